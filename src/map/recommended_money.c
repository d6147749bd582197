/*-------------------------------------------------------------------------
 *
 * recommended_money.c
 *	  Prices, totals and the currency of Braze's recommended events.
 *
 * Braze drops an event with a monetary field below 0.  What is taken off or
 * goes back is therefore sent without its sign; any other negative amount has
 * no place among Braze's fields.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/compat.h"
#include "map/recommended_event.h"

/* Braze takes an integer; this is one in every language */
#define MAX_QUANTITY		PG_INT32_MAX

const char *const braze_price_sources[] = {"price", NULL};

void
braze_recommended_money_number(BrazeEventWriter *writer, const char *name, Numeric number)
{
	braze_event_key(writer, name);
	braze_json_write_number(&writer->map->text, number);
}

bool
braze_recommended_money_is_negative(Numeric number)
{
	BrazeDecimal decimal;

	braze_number_read(&decimal, number);
	return decimal.negative;
}

bool
braze_recommended_money_fit_price(BrazeEventWriter *writer, JsonbContainer *product,
								  const char *label, Numeric *price, int *quantity)
{
	BrazeMap   *map = writer->map;

	if (!braze_commerce_read_quantity(map, product, label, MAX_QUANTITY, false, price, quantity))
		return false;
	if (!braze_recommended_money_is_negative(*price))
		return true;

	/*
	 * Braze drops an event with an amount below 0, and answers with success.
	 * In a refund the sign says what the event's name says already.
	 */
	if (!writer->schema->absolute)
	{
		braze_mapping_note(map, "%s was left out: its price is below 0, and Braze takes no such price in %s.",
						   label, writer->schema->event);
		return false;
	}
	*price = braze_number_negate(*price);
	braze_mapping_note(map, "%s has its price without the sign: Braze takes 0 or more in %s.",
					   label, writer->schema->event);
	return true;
}

bool
braze_recommended_money_find_price(BrazeEventWriter *writer, JsonbContainer *product,
								   const char *label, Numeric *price, int *quantity)
{
	BrazeString key;

	*price = braze_commerce_read_number(product, braze_price_sources, &key);
	if (*price == NULL)
	{
		braze_mapping_note(writer->map, "%s was left out: it has no price that is a number.", label);
		return false;
	}
	return braze_recommended_money_fit_price(writer, product, label, price, quantity);
}

/*
 * the sum of price times quantity over the
 * products that are sent; NULL: too large
 */
static Numeric
sum_products(BrazeEventWriter *writer)
{
	Numeric		sum = int64_to_numeric(0);
	BrazeProducts products;
	JsonbContainer *product;
	Numeric		price;
	int			quantity;
	BrazeString text;
	BrazeString key;

	if (writer->product_is_call)
		return writer->price == NULL ? NULL :
			braze_number_multiply(writer->price, int64_to_numeric(writer->quantity));
	if (!braze_commerce_read_products(&products, writer->object))
		return NULL;
	while (sum != NULL && braze_commerce_read_product(&products, &product))
	{
		char		label[BRAZE_LABEL_SIZE];

		CHECK_FOR_INTERRUPTS();
		snprintf(label, sizeof(label), "Product %d", products.number);

		/*
		 * The same products that are sent: without an id or a price none is.
		 * What is noted here on a price is noted with the product again, and
		 * stands once.
		 */
		if (product == NULL ||
			!braze_commerce_read_text(product, braze_product_fields[0].sources, BRAZE_LIMIT_PRODUCT_ID, &text, &key) ||
			!braze_recommended_money_find_price(writer, product, label, &price, &quantity))
			continue;
		price = braze_number_multiply(price, int64_to_numeric(quantity));
		sum = price == NULL ? NULL : braze_number_add(sum, price);
	}
	return sum;
}

/* an amount without its sign, where that is what Braze wants; false: below 0 */
static bool
fit_amount(BrazeEventWriter *writer, const BrazeSchemaField *field, Numeric *amount)
{
	if (!braze_recommended_money_is_negative(*amount))
		return true;
	if (!writer->schema->absolute && field->type != BRAZE_SCHEMA_DISCOUNT)
		return false;
	*amount = braze_number_negate(*amount);
	braze_mapping_note(writer->map, "The %s was sent without its sign: Braze takes 0 or more in %s.",
					   field->name, writer->schema->event);
	return true;
}

/* one that does not fit goes where all goes that has no field: into metadata */
bool
braze_recommended_money_amount(BrazeEventWriter *writer, const BrazeSchemaField *field)
{
	BrazeString key;
	Numeric		amount = braze_commerce_read_number(writer->object, field->sources, &key);

	if (amount == NULL)
		return false;
	if (!fit_amount(writer, field, &amount))
	{
		braze_mapping_note(writer->map, "The property %s is not the %s of %s: it is below 0, and Braze takes 0 or more.",
						   braze_mapping_note_quote(key), field->name, writer->schema->event);
		return false;
	}
	braze_property_names_add(&writer->consumed, key);
	braze_recommended_money_number(writer, field->name, amount);
	return true;
}

/*
 * What is added to a cart or removed from it does not tell what the cart is
 * worth: then there is a total only if the call has one.
 */
bool
braze_recommended_money_total(BrazeEventWriter *writer, const BrazeSchemaField *field)
{
	BrazeString key;
	Numeric		total = braze_commerce_read_number(writer->object, field->sources, &key);

	if (total != NULL)
		braze_property_names_add(&writer->consumed, key);

	/* known by now: the schema has the action before the total */
	else if (writer->action != NULL && strcmp(writer->action, "replace") != 0)
		return true;
	else
	{
		if (!writer->summed)
			writer->sum = sum_products(writer);
		writer->summed = true;
		total = writer->sum;
	}
	if (total == NULL)
		return false;
	if (!fit_amount(writer, field, &total))
	{
		/* required, so it cannot go to the metadata as others do */
		writer->below_zero = field->name;
		return true;
	}
	braze_recommended_money_number(writer, field->name, total);
	return true;
}

bool
braze_recommended_money_currency(BrazeEventWriter *writer, const BrazeSchemaField *field)
{
	JsonbContainer *product = NULL;
	BrazeProducts products;
	BrazeCurrency own = braze_commerce_read_currency(writer->object);
	BrazeCurrency other;
	const char *currency;

	/* the call has one currency: its own, else that of its first product */
	if (!writer->product_is_call && braze_commerce_read_products(&products, writer->object))
		braze_commerce_read_product(&products, &product);
	if (writer->around != NULL)
		product = writer->around;
	other = braze_commerce_read_currency(product);
	currency = braze_commerce_choose_currency(writer->map, own, other);
	if (currency == NULL)
		return false;

	/* one of the object that was passed over has a note */
	braze_event_consume(writer, writer->object, braze_string("currency"));
	if (writer->around != NULL && own.code == NULL && other.given)
		braze_event_consume(writer, writer->around, braze_string("currency"));
	braze_event_key(writer, field->name);
	braze_json_write_string(&writer->map->text, currency, strlen(currency));
	return true;
}
