/*-------------------------------------------------------------------------
 *
 * commerce_read.c
 *	  What purchases and recommended events both read out of a call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "braze/currency.h"
#include "map/purchase.h"

bool
braze_commerce_read_text(JsonbContainer *object, const char *const *keys, int max,
						 BrazeString *text, BrazeString *key)
{
	JsonbValue	value;

	for (; *keys != NULL; keys++)
	{
		/*
		 * A value that Braze would refuse counts as absent, and the next key
		 * may have one that it takes: a shop may leave product_id empty and
		 * fill in the sku.
		 */
		if (braze_lookup(object, *keys, &value) && braze_scalar_text(&value, text) &&
			braze_trim(*text).length > 0 &&
			(max == 0 || !braze_longer_than(*text, max)))
		{
			key->data = *keys;
			key->length = strlen(*keys);
			return true;
		}
	}
	return false;
}

Numeric
braze_commerce_read_number(JsonbContainer *object, const char *const *keys, BrazeString *key)
{
	JsonbValue	value;
	Numeric		number;

	for (; *keys != NULL; keys++)
	{
		if (!braze_lookup(object, *keys, &value))
			continue;
		number = braze_number(&value);
		if (number != NULL)
		{
			key->data = *keys;
			key->length = strlen(*keys);
			return number;
		}
	}
	return NULL;
}

bool
braze_commerce_read_products(BrazeProducts *products, JsonbContainer *properties)
{
	JsonbValue	value;

	/*
	 * Without products this is a walk over nothing, for callers that do not
	 * look at the result.
	 */
	products->only = NULL;
	products->number = 0;
	products->walk.count = 0;
	products->walk.next = 0;
	if (!braze_lookup(properties, "products", &value))
		return false;
	products->only = braze_object(&value);
	if (products->only != NULL)
		return true;
	if (!braze_is_array(&value))
		return false;
	braze_walk_array(&products->walk, value.val.binary.data);
	return true;
}

bool
braze_commerce_read_product(BrazeProducts *products, JsonbContainer **object)
{
	JsonbValue	value;

	/*
	 * Entries that are not products count as well, so that a note says where
	 * in the list the product stands.
	 */
	products->number++;
	if (products->only != NULL)
	{
		*object = products->only;
		products->only = NULL;
		return true;
	}
	if (!braze_walk_element(&products->walk, &value))
		return false;
	*object = braze_object(&value);
	return true;
}

BrazeCurrency
braze_commerce_read_currency(JsonbContainer *object)
{
	BrazeCurrency currency = {false, NULL};
	JsonbValue	value;
	BrazeString text;

	/* null and "" are what shops write for "the usual one": none is given */
	if (object == NULL || !braze_lookup(object, "currency", &value) ||
		value.type == jbvNull ||
		(value.type == jbvString && !braze_solid_text(&value, &text)))
		return currency;
	currency.given = true;
	if (value.type == jbvString)
		currency.code = braze_currency_code(text.data, text.length);
	return currency;
}

const char *
braze_commerce_choose_currency(BrazeMap *map, BrazeCurrency first, BrazeCurrency second)
{
	if (first.code != NULL)
		return first.code;
	if (!first.given && !second.given)
		return map->settings->default_currency;

	/*
	 * A wrong currency does not become the default one: 100 pounds would be
	 * sent as 100 dollars.
	 */
	if (first.given || second.code == NULL)
		braze_mapping_note(map, "A currency was not used: it is not a code of ISO 4217 such as USD.");
	return second.code;
}

bool
braze_commerce_read_quantity(BrazeMap *map, JsonbContainer *product, const char *label,
							 int max, bool refunds, Numeric *price, int *quantity)
{
	JsonbValue	value;
	Numeric		number;
	BrazeDecimal decimal;
	int64		whole;

	*quantity = 1;
	if (!braze_lookup(product, "quantity", &value) || value.type == jbvNull)
		return true;
	number = braze_number(&value);
	if (number == NULL)
	{
		braze_mapping_note(map, "%s was counted once: its quantity is not a number.", label);
		return true;
	}
	braze_number_read(&decimal, number);
	if (braze_number_is_zero(&decimal))
	{
		braze_mapping_note(map, "%s was left out: its quantity is 0.", label);
		return false;
	}

	/*
	 * A return: Braze has no negative quantity, and reads a negative price as
	 * money that goes back.
	 */
	if (decimal.negative)
	{
		number = braze_number_negate(number);
		*price = braze_number_negate(*price);
		if (refunds)
			braze_mapping_note(map, "%s was recorded with a negated price: its quantity is negative.", label);
		braze_number_read(&decimal, number);
	}
	if (braze_number_is_whole(&decimal) && braze_number_int64(&decimal, 0, &whole) &&
		whole <= max)
	{
		*quantity = whole;
		return true;
	}

	/*
	 * Braze cannot be told this quantity.  The sum is what revenue reports
	 * are made of, so it stays right, as the price of one piece.
	 */
	*price = braze_number_multiply(*price, number);
	if (*price == NULL)
	{
		braze_mapping_note(map, "%s was left out: its price times its quantity is too large, or has too many digits.", label);
		return false;
	}
	if (braze_number_is_whole(&decimal))
		braze_mapping_note(map, "%s was recorded once, at its price times its quantity: the quantity is larger than %d.",
						   label, max);
	else
		braze_mapping_note(map, "%s was recorded once, at its price times its quantity: Braze takes whole quantities only.",
						   label);
	return true;
}
