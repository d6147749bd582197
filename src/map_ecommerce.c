/*-------------------------------------------------------------------------
 *
 * map_ecommerce.c
 *	  Calls of Segment's eCommerce spec as Braze's recommended events.
 *
 * Braze drops a recommended event that lacks a required field, has one of a
 * wrong type, or any field that is not in its schema, and still answers with
 * success.  So the braze_schemas are tables here, and a call that cannot satisfy its
 * schema stays a custom event.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "compat.h"
#include "map_schema.h"

/* Braze takes an integer; this is one in every language */
#define MAX_QUANTITY		PG_INT32_MAX

/* closing braces and brackets may follow what the limit let through */
#define CLOSING				16

/* what is given up, step by step, for an event that is too large */
typedef enum Fit
{
	FIT_ALL,
	FIT_NO_PRODUCT_METADATA,
	FIT_NO_METADATA,
	FIT_NOT
} Fit;

typedef struct Writer
{
	BrazeMap   *map;
	const BrazeSchema *schema;
	Fit			fit;
	bool		product_is_call;	/* top level and product are one object */

	/* of the object at hand, the call's or a product's */
	JsonbContainer *object;
	BrazeNames	consumed;
	BrazeString product_id;		/* data NULL: none yet */
	Numeric		price;			/* as found together with the quantity */
	int			quantity;
	bool		first;			/* no comma yet */
	StringInfoData missing;		/* names of required fields without a value */
} Writer;

static const char *const price_sources[] = {"price", NULL};

static void
write_key(Writer *writer, const char *name)
{
	BrazeText  *text = &writer->map->text;

	if (!writer->first)
		braze_text_char(text, ',');
	writer->first = false;
	braze_text_string(text, name, strlen(name));
	braze_text_char(text, ':');
}

static void
write_string(Writer *writer, const char *name, const char *value)
{
	write_key(writer, name);
	braze_text_string(&writer->map->text, value, strlen(value));
}

static bool
write_text_field(Writer *writer, const BrazeSchemaField *field, BrazeString *text)
{
	BrazeString key;
	bool		is_id = field->type == BRAZE_SCHEMA_STRING &&
		strcmp(field->name, "product_id") == 0;

	if (!braze_first_text(writer->object, field->sources, is_id ? BRAZE_MAX_PRODUCT_ID : 0,
						  text, &key))
		return false;
	if (!braze_names_has(&writer->consumed, key))
		braze_names_add(&writer->consumed, key);
	write_key(writer, field->name);
	braze_text_string(&writer->map->text, text->data, text->length);
	if (is_id)
		writer->product_id = *text;
	return true;
}

static void
write_number(Writer *writer, const char *name, Numeric number)
{
	write_key(writer, name);
	braze_text_number(&writer->map->text, number);
}

/* the price and the quantity of a product; false, with a note, when there is none */
static bool
find_price(BrazeMap *map, JsonbContainer *product, const char *label, Numeric *price,
		   int *quantity)
{
	BrazeString key;

	*price = braze_first_number(product, price_sources, &key);
	if (*price == NULL)
	{
		braze_note(map, "%s was left out: it has no price that is a number.", label);
		return false;
	}
	return braze_find_quantity(map, product, label, MAX_QUANTITY, price, quantity);
}

/* the sum of price times quantity over the products that are sent; NULL: too large */
static Numeric
sum_products(Writer *writer)
{
	BrazeMap   *map = writer->map;
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
	if (!braze_products_begin(&products, writer->object))
		return NULL;
	while (sum != NULL && braze_products_next(&products, &product))
	{
		char		label[BRAZE_LABEL_SIZE];

		CHECK_FOR_INTERRUPTS();
		snprintf(label, sizeof(label), "Product %d", products.number);
		if (product == NULL ||
			!braze_first_text(product, braze_product_fields[0].sources, BRAZE_MAX_PRODUCT_ID, &text, &key) ||
			!find_price(map, product, label, &price, &quantity))
			continue;
		price = braze_number_multiply(price, int64_to_numeric(quantity));
		sum = price == NULL ? NULL : braze_number_add(sum, price);
	}
	return sum;
}

static bool
write_total(Writer *writer, const BrazeSchemaField *field)
{
	BrazeString key;
	BrazeDecimal decimal;
	Numeric		total = braze_first_number(writer->object, field->sources, &key);

	if (total != NULL)
		braze_names_add(&writer->consumed, key);
	else
		total = sum_products(writer);
	if (total == NULL)
		return false;
	braze_decimal_read(&decimal, total);
	if (writer->schema->positive_total && decimal.negative)
		total = braze_number_negate(total);
	write_number(writer, field->name, total);
	return true;
}

/* as they are, or not at all: one that is no string does not fit the schema */
static bool
write_strings(Writer *writer, const BrazeSchemaField *field)
{
	BrazeText  *text = &writer->map->text;
	JsonbValue	value;
	JsonbValue	entry;
	BrazeWalk	walk;
	BrazeLoss	loss;

	if (!braze_lookup(writer->object, field->sources[0], &value) || !braze_is_array(&value) ||
		JsonContainerSize(value.val.binary.data) == 0)
		return false;
	braze_walk_array(&walk, value.val.binary.data);
	while (braze_walk_element(&walk, &entry))
	{
		if (!braze_is_string(&entry))
			return false;
	}
	braze_names_add(&writer->consumed,
					(BrazeString) {field->sources[0], strlen(field->sources[0])});
	write_key(writer, field->name);
	(void) braze_text_value(text, &value, BRAZE_IN_PROPERTY, &loss);
	return true;
}

static bool
has_object(JsonbContainer *array)
{
	BrazeWalk	walk;
	JsonbValue	entry;

	braze_walk_array(&walk, array);
	while (braze_walk_element(&walk, &entry))
	{
		if (braze_is_object(&entry))
			return true;
	}
	return false;
}

static bool
write_discounts(Writer *writer, const BrazeSchemaField *field)
{
	BrazeMap   *map = writer->map;
	BrazeText  *text = &map->text;
	BrazeString name;
	JsonbValue	value;
	JsonbValue	entry;
	BrazeWalk	walk;
	const char *const *source = field->sources;
	bool		empty = true;

	for (; *source != NULL; source++)
	{
		if (braze_lookup(writer->object, *source, &value) && braze_is_array(&value) &&
			has_object(value.val.binary.data))
			break;
	}
	if (*source == NULL)
		return false;

	name.data = *source;
	name.length = strlen(*source);
	braze_names_add(&writer->consumed, name);
	write_key(writer, field->name);
	braze_text_char(text, '[');
	braze_walk_array(&walk, value.val.binary.data);
	while (!text->full && braze_walk_element(&walk, &entry))
	{
		int			mark = braze_text_mark(text);
		BrazeLoss	loss;

		if (!braze_is_object(&entry))
		{
			braze_note(map, "An entry of the property %s was left out: it is no object.",
					   braze_quote(name));
			continue;
		}
		if (!empty)
			braze_text_char(text, ',');
		if (braze_text_value(text, &entry, BRAZE_IN_PROPERTY, &loss))
			empty = false;
		else if (!text->full)
			braze_text_rewind(text, mark);
		braze_note_loss(map, "property", name, &loss, true);
	}
	braze_text_char(text, ']');
	return true;
}

static void
write_action(Writer *writer, const BrazeSchemaField *field)
{
	static const char *const actions[] = {"add", "remove", "replace"};
	const char *action = writer->schema->action;
	JsonbValue	value;
	BrazeString text;

	if (action == NULL)
	{
		action = "replace";
		if (braze_lookup(writer->object, "action", &value) && value.type == jbvString)
		{
			braze_scalar_text(&value, &text);
			for (int i = 0; i < lengthof(actions); i++)
			{
				if (braze_string_is(text, actions[i]))
				{
					action = actions[i];
					braze_names_add(&writer->consumed, (BrazeString) {"action", 6});
				}
			}
		}
	}
	write_string(writer, field->name, action);
}

static bool
write_currency(Writer *writer, const BrazeSchemaField *field)
{
	JsonbContainer *product = NULL;
	BrazeProducts products;
	JsonbValue	value;
	const char *currency;

	/* the call has one currency: its own, else that of its first product */
	if (!writer->product_is_call && braze_products_begin(&products, writer->object) &&
		!(braze_lookup(writer->object, "currency", &value) && value.type != jbvNull))
		braze_products_next(&products, &product);
	currency = braze_find_currency(writer->map, writer->object, product);
	if (currency == NULL)
		return false;
	if (product == NULL)
		braze_names_add(&writer->consumed, (BrazeString) {"currency", 8});
	write_string(writer, field->name, currency);
	return true;
}

static void
add_missing(Writer *writer, const char *names)
{
	if (writer->missing.len > 0)
		appendStringInfoString(&writer->missing, ", ");
	appendStringInfoString(&writer->missing, names);
}

static bool write_products(Writer *writer, const BrazeSchemaField *field);

static void
write_field(Writer *writer, const BrazeSchemaField *field)
{
	BrazeString text;
	BrazeString key;
	Numeric		number;
	char		digits[12];
	bool		written = true;

	switch (field->type)
	{
		case BRAZE_SCHEMA_STRING:
			written = write_text_field(writer, field, &text);
			break;
		case BRAZE_SCHEMA_PRODUCT_NAME:
		case BRAZE_SCHEMA_VARIANT:
			written = write_text_field(writer, field, &text);
			if (!written && writer->product_id.data != NULL)
			{
				write_key(writer, field->name);
				braze_text_string(&writer->map->text, writer->product_id.data,
								  writer->product_id.length);
				written = true;
			}
			break;
		case BRAZE_SCHEMA_REASON:
			if (!write_text_field(writer, field, &text))
				write_string(writer, field->name, "unspecified");
			break;
		case BRAZE_SCHEMA_SOURCE:
			if (!write_text_field(writer, field, &text))
				write_string(writer, field->name, writer->map->settings->ecommerce_source);
			break;
		case BRAZE_SCHEMA_NUMBER:
			number = braze_first_number(writer->object, field->sources, &key);
			written = number != NULL;
			if (written)
			{
				braze_names_add(&writer->consumed, key);
				write_number(writer, field->name, number);
			}
			break;
		case BRAZE_SCHEMA_PRICE:
			written = writer->price != NULL;
			if (written)
			{
				braze_names_add(&writer->consumed, (BrazeString) {"price", 5});
				write_number(writer, field->name, writer->price);
			}
			break;
		case BRAZE_SCHEMA_QUANTITY:
			braze_names_add(&writer->consumed, (BrazeString) {"quantity", 8});
			write_key(writer, field->name);
			braze_text_bytes(&writer->map->text, digits,
							 snprintf(digits, sizeof(digits), "%d", writer->quantity));
			break;
		case BRAZE_SCHEMA_TOTAL:
			written = write_total(writer, field);
			break;
		case BRAZE_SCHEMA_STRINGS:
			written = write_strings(writer, field);
			break;
		case BRAZE_SCHEMA_DISCOUNTS:
			written = write_discounts(writer, field);
			break;
		case BRAZE_SCHEMA_ACTION:
			write_action(writer, field);
			break;
		case BRAZE_SCHEMA_CURRENCY:
			written = write_currency(writer, field);
			break;
		case BRAZE_SCHEMA_PRODUCTS:
			written = write_products(writer, field);
			break;
	}

	if (!written && field->required)
		add_missing(writer, field->name);
}

/*
 * Everything of the object that no field took, as far as there is room; where
 * names meet, metadata wins.
 */
static void
write_metadata(Writer *writer)
{
	BrazeText  *text = &writer->map->text;
	int			room = text->limit - braze_text_mark(text) - (int) sizeof(",\"metadata\":");
	BrazeProperties metadata;
	JsonbContainer *given = NULL;
	JsonbValue	value;

	if (text->full || room <= 0)
		return;
	/* a call that has metadata already, as Braze has it, keeps its shape */
	if (braze_lookup(writer->object, "metadata", &value))
		given = braze_object(&value);
	if (given != NULL)
		braze_names_add(&writer->consumed, (BrazeString) {"metadata", 8});

	braze_properties_begin(&metadata, writer->map, braze_no_reserved,
						   Min(room, BRAZE_MAX_EVENT_PROPERTIES));
	braze_properties_add(&metadata, given, NULL, NULL);
	braze_properties_add(&metadata, writer->object, &writer->consumed, given);
	braze_properties_end(&metadata);
	braze_properties_write(&metadata, "metadata");
}

/* false, with nothing written, when a field is missing */
static bool
write_product(Writer *writer)
{
	BrazeText  *text = &writer->map->text;
	int			mark = braze_text_mark(text);

	braze_text_char(text, '{');
	writer->first = true;
	for (const BrazeSchemaField *field = braze_product_fields; field->name != NULL; field++)
		write_field(writer, field);
	if (writer->missing.len > 0)
	{
		if (!text->full)
			braze_text_rewind(text, mark);
		return false;
	}
	if (writer->fit == FIT_ALL)
		write_metadata(writer);
	braze_text_char(text, '}');
	return true;
}

static bool
write_products(Writer *writer, const BrazeSchemaField *field)
{
	BrazeMap   *map = writer->map;
	BrazeText  *text = &map->text;
	int			mark = braze_text_mark(text);
	bool		empty = true;
	BrazeProducts products;
	Writer		product = *writer;

	initStringInfo(&product.missing);
	write_key(writer, field->name);
	braze_text_char(text, '[');
	if (writer->product_is_call)
	{
		/* what the product lacks, the call lacks */
		if (!write_product(&product))
			add_missing(writer, product.missing.data);
		empty = false;
	}
	else if (braze_products_begin(&products, writer->object))
	{
		while (!text->full && braze_products_next(&products, &product.object))
		{
			int			before = braze_text_mark(text);
			char		label[BRAZE_LABEL_SIZE];

			CHECK_FOR_INTERRUPTS();
			snprintf(label, sizeof(label), "Product %d", products.number);
			if (product.object == NULL)
			{
				braze_note(map, "%s was left out: it is no object.", label);
				continue;
			}
			if (!find_price(map, product.object, label, &product.price, &product.quantity))
				continue;
			product.consumed.count = 0;
			product.product_id.data = NULL;
			resetStringInfo(&product.missing);
			if (!empty)
				braze_text_char(text, ',');
			if (write_product(&product))
			{
				empty = false;
				continue;
			}
			braze_note(map, "%s was left out: Braze needs its %s.",
					   label, product.missing.data);
			if (!text->full)
				braze_text_rewind(text, before);
		}
		braze_names_add(&writer->consumed, (BrazeString) {"products", 8});
	}
	if (empty)
	{
		if (!text->full)
			braze_text_rewind(text, mark);
		return false;
	}
	braze_text_char(text, ']');
	return true;
}

/* is the call its own product: a product call, or an order without a list? */
static bool
is_product_call(const Writer *writer)
{
	BrazeProducts products;
	BrazeString text;
	BrazeString key;

	if (writer->schema->product_call)
		return true;
	return braze_schema_has_products(writer->schema) &&
		!braze_products_begin(&products, writer->object) &&
		braze_first_text(writer->object, braze_product_fields[0].sources,
						 BRAZE_MAX_PRODUCT_ID, &text, &key) &&
		braze_first_number(writer->object, price_sources, &key) != NULL;
}

/* writes the event; false when it lacks a field or is too large, with nothing written */
static bool
write_event(Writer *writer)
{
	BrazeMap   *map = writer->map;
	BrazeText  *text = &map->text;
	int			limit;

	resetStringInfo(&writer->missing);
	writer->consumed.count = 0;
	writer->product_id.data = NULL;

	braze_object_begin(map, BRAZE_EVENTS);
	braze_write_app_id(map);
	braze_text_literal(text, ",\"name\":");
	braze_text_string(text, writer->schema->event, strlen(writer->schema->event));
	braze_write_time(map);
	braze_text_literal(text, ",\"properties\":");
	limit = braze_text_narrow(text, BRAZE_MAX_EVENT_PROPERTIES - CLOSING);
	braze_text_char(text, '{');
	writer->first = true;
	for (const BrazeSchemaField *field = writer->schema->fields; field->name != NULL; field++)
		write_field(writer, field);
	if (writer->missing.len == 0 && writer->fit != FIT_NO_METADATA &&
		!writer->product_is_call)
		write_metadata(writer);
	text->limit = limit;

	if (writer->missing.len > 0 || text->full)
	{
		braze_object_cancel(map);
		return false;
	}
	braze_text_close(text, '}');
	return braze_object_end(map);
}

bool
braze_map_recommended(BrazeMap *map, BrazeCommerceCall call)
{
	Writer		writer;
	BrazeString key;

	writer.map = map;
	writer.schema = braze_schema(call);
	writer.object = map->call.properties;
	initStringInfo(&writer.missing);
	if (writer.object == NULL)
	{
		braze_note(map, "The call did not become Braze's recommended event %s: it has no properties.",
				   writer.schema->event);
		return false;
	}

	writer.product_is_call = is_product_call(&writer);
	writer.quantity = 1;
	writer.price = braze_first_number(writer.object, price_sources, &key);
	if (writer.product_is_call && writer.price != NULL &&
		!braze_find_quantity(map, writer.object, "The product", MAX_QUANTITY,
							 &writer.price, &writer.quantity))
	{
		braze_note(map, "The call did not become Braze's recommended event %s.",
				   writer.schema->event);
		return false;
	}

	for (writer.fit = FIT_ALL; writer.fit < FIT_NOT; writer.fit++)
	{
		if (write_event(&writer))
			return true;
		if (writer.missing.len > 0)
		{
			braze_note(map, "The call did not become Braze's recommended event %s: it lacks %s; add that to the properties.",
					   writer.schema->event, writer.missing.data);
			return false;
		}
		if (writer.fit == FIT_ALL)
			braze_note(map, "What the products hold besides Braze's own fields was left out: the event is larger than the %d bytes that Braze takes.",
					   BRAZE_MAX_EVENT_PROPERTIES);
	}
	braze_note(map, "The call did not become Braze's recommended event %s: it is larger than the %d bytes that Braze takes.",
			   writer.schema->event, BRAZE_MAX_EVENT_PROPERTIES);
	return false;
}
