/*-------------------------------------------------------------------------
 *
 * recommended_event.c
 *	  Calls of Segment's eCommerce spec as Braze's recommended events.
 *
 * Braze drops a recommended event that lacks a required field, has one of a
 * wrong type, or any field that is not in its schema, and still answers with
 * success.  So the schemas are tables (recommended_schema.c), and a call that
 * cannot satisfy its schema stays a custom event.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "base/compat.h"
#include "base/name_list.h"
#include "map/recommended_event.h"

/* closing braces and brackets may follow what the limit let through */
#define CLOSING				16

static void
write_string(BrazeEventWriter *writer, const char *name, const char *value)
{
	braze_event_key(writer, name);
	braze_json_write_string(&writer->map->text, value, strlen(value));
}

/* false when neither the object nor what is around it has such a text */
static bool
write_text_field(BrazeEventWriter *writer, const BrazeSchemaField *field, BrazeString *text)
{
	BrazeString key;
	JsonbContainer *of = writer->object;
	bool		is_id = field->type == BRAZE_SCHEMA_STRING &&
	strcmp(field->name, "product_id") == 0;
	int			max = is_id ? BRAZE_LIMIT_PRODUCT_ID : 0;

	if (!braze_commerce_read_text(of, field->sources, max, text, &key))
	{
		of = writer->around;
		if (of == NULL || !braze_commerce_read_text(of, field->sources, max, text, &key))
			return false;
	}
	braze_event_consume(writer, of, key);
	braze_event_key(writer, field->name);
	braze_json_write_string(&writer->map->text, text->data, text->length);
	if (is_id)
		writer->product_id = *text;
	return true;
}

static bool
is_view_type(const JsonbValue *value)
{
	BrazeString text;

	return value->type == jbvString && braze_solid_text(value, &text) &&
		(braze_string_is(text, "price_drop") || braze_string_is(text, "back_in_stock"));
}

static void
write_view_type(BrazeEventWriter *writer, const JsonbValue *value, bool *empty)
{
	BrazeString text;

	if (!is_view_type(value))
		return;
	if (!*empty)
		braze_text_char(&writer->map->text, ',');
	*empty = false;
	braze_solid_text(value, &text);
	braze_json_write_string(&writer->map->text, text.data, text.length);
}

/* those that Braze knows; if there are others, all are in metadata, too */
static bool
write_types(BrazeEventWriter *writer, const BrazeSchemaField *field)
{
	BrazeText  *text = &writer->map->text;
	int			mark = braze_text_mark(text);
	bool		first = writer->first;
	bool		all_known = true;
	bool		empty = true;
	JsonbContainer *of = writer->object;
	JsonbValue	value;
	JsonbValue	entry;
	BrazeWalk	walk;

	/* a view that was read from a list has its type beside the list */
	if (!braze_lookup(of, field->sources[0], &value))
	{
		of = writer->around;
		if (of == NULL || !braze_lookup(of, field->sources[0], &value))
			return false;
	}
	braze_event_key(writer, field->name);
	braze_text_char(text, '[');
	if (braze_is_array(&value))
	{
		braze_walk_array(&walk, value.val.binary.data);
		while (!text->full && braze_walk_element(&walk, &entry))
		{
			write_view_type(writer, &entry, &empty);
			all_known = all_known && is_view_type(&entry);
		}
	}
	else
	{
		write_view_type(writer, &value, &empty);
		all_known = is_view_type(&value);
	}
	if (empty)
	{
		if (!text->full)
			braze_text_rewind(text, mark);
		/* the key was the first member perhaps, and is written no more */
		writer->first = first;
		return false;
	}
	braze_text_char(text, ']');
	if (all_known)
		braze_event_consume(writer, of, braze_string(field->sources[0]));
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
write_discounts(BrazeEventWriter *writer, const BrazeSchemaField *field)
{
	BrazeMap   *map = writer->map;
	BrazeText  *text = &map->text;
	BrazeString name;
	JsonbValue	value;
	JsonbValue	entry;
	BrazeWalk	walk;
	const char *const *source = field->sources;
	bool		empty = true;

	/*
	 * A list without an object is left for the metadata: taken from here, it
	 * would be an empty list, and what it says would be lost.
	 */
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
	braze_property_names_add(&writer->consumed, name);
	braze_event_key(writer, field->name);
	braze_text_char(text, '[');
	braze_walk_array(&walk, value.val.binary.data);
	while (!text->full && braze_walk_element(&walk, &entry))
	{
		int			mark = braze_text_mark(text);
		BrazeLoss	loss;

		/*
		 * Braze drops an event of which one entry is wrong, and says nothing:
		 * such an entry must not reach it.
		 */
		if (!braze_is_object(&entry))
		{
			braze_mapping_note(map, "An entry of the property %s was left out: it is not an object.",
							   braze_mapping_note_quote(name));
			continue;
		}
		if (!empty)
			braze_text_char(text, ',');
		if (braze_json_write_value(text, &entry, BRAZE_IN_PROPERTY, &loss))
			empty = false;
		else if (!text->full)
			braze_text_rewind(text, mark);
		braze_mapping_note_loss(map, "property", name, &loss, true);
	}
	braze_text_char(text, ']');
	return true;
}

/* what the call's name says, or else its own action where Braze knows that */
static void
write_action(BrazeEventWriter *writer, const BrazeSchemaField *field)
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
					braze_property_names_add(&writer->consumed, braze_string("action"));
				}
			}
		}
	}
	writer->action = action;
	write_string(writer, field->name, action);
}

static void
add_missing(BrazeEventWriter *writer, const char *names)
{
	braze_name_list_add(&writer->missing, names);
}

static bool write_products(BrazeEventWriter *writer, const BrazeSchemaField *field);

/* writes a field, or notes among the missing ones that the event needs it */
static void
write_field(BrazeEventWriter *writer, const BrazeSchemaField *field)
{
	BrazeString text;
	char		digits[12];
	int			nnotes = writer->map->mapped.nnotes;
	bool		written = true;

	switch (field->type)
	{
		case BRAZE_SCHEMA_STRING:
			written = write_text_field(writer, field, &text);
			break;
		case BRAZE_SCHEMA_PRODUCT_NAME:
		case BRAZE_SCHEMA_VARIANT:

			/*
			 * The schema has the product_id before both, so that it is known
			 * by now.
			 */
			written = write_text_field(writer, field, &text);
			if (!written && writer->product_id.data != NULL)
			{
				braze_event_key(writer, field->name);
				braze_json_write_string(&writer->map->text, writer->product_id.data,
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
		case BRAZE_SCHEMA_AMOUNT:
		case BRAZE_SCHEMA_DISCOUNT:
			written = braze_recommended_money_amount(writer, field);
			break;
		case BRAZE_SCHEMA_PRICE:
			written = writer->price != NULL;
			/* of a view, whose product has no quantity */
			if (written && braze_recommended_money_is_negative(writer->price))
				writer->below_zero = field->name;
			else if (written)
			{
				braze_property_names_add(&writer->consumed, braze_string("price"));
				braze_recommended_money_number(writer, field->name, writer->price);
			}
			break;
		case BRAZE_SCHEMA_QUANTITY:

			/*
			 * Found with the price, since a fraction of a quantity changes
			 * that.
			 */
			braze_property_names_add(&writer->consumed, braze_string("quantity"));
			braze_event_key(writer, field->name);
			braze_text_bytes(&writer->map->text, digits,
							 snprintf(digits, sizeof(digits), "%d", writer->quantity));
			break;
		case BRAZE_SCHEMA_TOTAL:
			written = braze_recommended_money_total(writer, field);
			break;
		case BRAZE_SCHEMA_TYPES:
			written = write_types(writer, field);
			break;
		case BRAZE_SCHEMA_DISCOUNTS:
			written = write_discounts(writer, field);
			break;
		case BRAZE_SCHEMA_ACTION:
			write_action(writer, field);
			break;
		case BRAZE_SCHEMA_CURRENCY:
			written = braze_recommended_money_currency(writer, field);
			break;
		case BRAZE_SCHEMA_PRODUCTS:
			written = write_products(writer, field);
			break;
	}

	/*
	 * The fields after it are written all the same: one note names everything
	 * that is missing.
	 */
	if (!written && field->required)
	{
		/*
		 * Products are told of where their prices are read first, which may
		 * be for the total.
		 */
		if (writer->reason < 0 && field->type == BRAZE_SCHEMA_PRODUCTS)
			writer->reason = writer->first_note;
		else if (writer->reason < 0 && nnotes < writer->map->mapped.nnotes)
			writer->reason = nnotes;
		add_missing(writer, field->name);
	}
}

/* a call that has metadata already, as Braze has it, keeps its shape */
static void
add_rest(BrazeEventWriter *writer, BrazeProperties *metadata, JsonbContainer *object)
{
	JsonbContainer *given;
	JsonbValue	value;

	if (braze_lookup(object, "metadata", &value) && (given = braze_object(&value)) != NULL)
	{
		braze_event_consume(writer, object, braze_string("metadata"));
		braze_properties_add(metadata, given, NULL);
	}
	braze_properties_add(metadata, object, object == writer->object ? &writer->consumed :
						 &writer->consumed_around);
}

/*
 * Everything that no field took, as far as there is room; where names meet,
 * metadata wins, and the object over what is around it.
 */
static void
write_metadata(BrazeEventWriter *writer)
{
	BrazeText  *text = &writer->map->text;
	int			room = text->limit - braze_text_mark(text) - (int) sizeof(",\"metadata\":");
	BrazeProperties metadata;

	/* it comes after the fields, which the event cannot do without */
	if (text->full || room <= 0)
		return;
	braze_properties_begin(&metadata, writer->map, braze_no_reserved,
						   Min(room, BRAZE_LIMIT_EVENT_PROPERTIES));
	add_rest(writer, &metadata, writer->object);
	if (writer->around != NULL)
		add_rest(writer, &metadata, writer->around);
	braze_properties_end(&metadata);
	braze_properties_write(&metadata, "metadata");
}

/* false, with nothing written, when a field is missing */
static bool
write_product(BrazeEventWriter *writer)
{
	BrazeText  *text = &writer->map->text;
	int			mark = braze_text_mark(text);

	braze_text_char(text, '{');
	writer->first = true;
	for (const BrazeSchemaField *field = braze_product_fields; field->name != NULL; field++)
		write_field(writer, field);

	/*
	 * Before the metadata, which may be large: a product without a required
	 * field is not sent.
	 */
	if (writer->missing.len > 0)
	{
		if (!text->full)
			braze_text_rewind(text, mark);
		return false;
	}
	if (writer->fit == BRAZE_FIT_ALL)
		write_metadata(writer);
	braze_text_char(text, '}');
	return true;
}

/* false, with nothing written, when no product of the call can be sent */
static bool
write_products(BrazeEventWriter *writer, const BrazeSchemaField *field)
{
	BrazeMap   *map = writer->map;
	BrazeText  *text = &map->text;
	int			mark = braze_text_mark(text);
	bool		empty = true;
	BrazeProducts products;
	BrazeEventWriter product = *writer;

	/*
	 * A copy of the writer for each product in turn: what a product lacks and
	 * what was consumed of it is not what the call lacks and what was
	 * consumed of the call.
	 */
	initStringInfo(&product.missing);
	braze_event_key(writer, field->name);
	braze_text_char(text, '[');
	if (writer->product_is_call)
	{
		/* what the product lacks, the call lacks */
		if (!write_product(&product))
			add_missing(writer, product.missing.data);
		empty = false;
	}
	else if (braze_commerce_read_products(&products, writer->object))
	{
		while (!text->full && braze_commerce_read_product(&products, &product.object))
		{
			int			before = braze_text_mark(text);
			int			nnotes;
			char		label[BRAZE_LABEL_SIZE];

			CHECK_FOR_INTERRUPTS();
			nnotes = map->mapped.nnotes;
			snprintf(label, sizeof(label), "Product %d", products.number);
			if (product.object == NULL)
			{
				braze_mapping_note(map, "%s was left out: it is not an object.", label);
				continue;
			}

			/*
			 * The price first, before anything is written: a product without
			 * one is left out, and the total does not count it either.
			 */
			if (!braze_recommended_money_find_price(writer, product.object, label, &product.price, &product.quantity))
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
			/* notes on its fields speak of a product that is sent */
			(void) braze_mapping_note_take_back(map, nnotes);
			braze_mapping_note(map, "%s was left out: Braze needs its %s.",
							   label, product.missing.data);
			if (!text->full)
				braze_text_rewind(text, before);
		}

		/*
		 * Those that were left out have a note, and do not return as
		 * metadata.
		 */
		braze_property_names_add(&writer->consumed, braze_string("products"));
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
is_product_call(const BrazeEventWriter *writer)
{
	BrazeProducts products;
	BrazeString text;
	BrazeString key;

	/*
	 * A call about one product may still have a list, beside it or in place
	 * of it; an id at the top says that the top is the product.
	 */
	if (writer->schema->product_call)
		return !braze_commerce_read_products(&products, writer->object) ||
			braze_commerce_read_text(writer->object, braze_product_fields[0].sources,
									 BRAZE_LIMIT_PRODUCT_ID, &text, &key);
	return braze_recommended_schema_has_products(writer->schema) &&
		!braze_commerce_read_products(&products, writer->object) &&
		braze_commerce_read_text(writer->object, braze_product_fields[0].sources,
								 BRAZE_LIMIT_PRODUCT_ID, &text, &key) &&
		braze_commerce_read_number(writer->object, braze_price_sources, &key) != NULL;
}

/*
 * writes the event; false when it lacks a
 * field or is too large, with nothing written
 */
static bool
write_event(BrazeEventWriter *writer)
{
	BrazeMap   *map = writer->map;
	BrazeText  *text = &map->text;
	int			mark;
	int			limit;

	/*
	 * All of this again for each attempt: the one before may have been cut
	 * short anywhere.
	 */
	resetStringInfo(&writer->missing);
	writer->reason = -1;
	writer->below_zero = NULL;
	writer->action = NULL;
	writer->consumed.count = 0;
	writer->consumed_around.count = 0;
	writer->product_id.data = NULL;
	if (writer->around != NULL)
		braze_property_names_add(&writer->consumed_around, braze_string("products"));

	braze_object_writer_begin(map, BRAZE_EVENTS);
	braze_object_writer_app_id(map);
	braze_object_writer_name(map, BRAZE_NAME_KEY, braze_string(writer->schema->event));
	braze_object_writer_time(map);
	braze_text_literal(text, ",\"properties\":");
	mark = braze_text_mark(text);
	limit = braze_text_narrow(text, BRAZE_LIMIT_EVENT_PROPERTIES - CLOSING);
	braze_text_char(text, '{');
	writer->first = true;
	for (const BrazeSchemaField *field = writer->schema->fields; field->name != NULL; field++)
		write_field(writer, field);

	/*
	 * Where the call is its own product, the product's metadata has taken
	 * what no field took.
	 */
	if (writer->missing.len == 0 && writer->fit != BRAZE_FIT_NO_METADATA &&
		!writer->product_is_call)
		write_metadata(writer);
	braze_text_widen(text, limit, mark, BRAZE_LIMIT_EVENT_PROPERTIES - CLOSING);

	if (writer->missing.len > 0 || writer->below_zero != NULL || text->full)
	{
		braze_object_writer_cancel(map);
		return false;
	}
	braze_text_close(text, '}');
	return braze_object_writer_end(map);
}

/*
 * notes why there is no such event; what was noted on the way is not true then
 */
static bool
give_up_event(BrazeEventWriter *writer)
{
	BrazeMap   *map = writer->map;
	const char *event = writer->schema->event;
	const char *first = NULL;

	/* the first thing that went wrong often explains the rest */
	if (writer->reason >= 0)
		first = braze_mapping_note_take_back(map, writer->reason);
	(void) braze_mapping_note_take_back(map, writer->first_note);
	first = first == NULL ? "" : psprintf(" %s", first);
	if (writer->object == NULL)
		braze_mapping_note(map, "The call did not become Braze's recommended event %s: it has no properties.",
						   event);
	else if (writer->missing.len > 0)
		braze_mapping_note(map, "The call did not become Braze's recommended event %s: it lacks %s; add that to the properties.%s",
						   event, writer->missing.data, first);
	else if (writer->below_zero != NULL)
		braze_mapping_note(map, "The call did not become Braze's recommended event %s: its %s is below 0, and Braze takes 0 or more.",
						   event, writer->below_zero);
	else if (writer->fit == BRAZE_FIT_NOT)
		braze_mapping_note(map, "The call did not become Braze's recommended event %s: it is larger than the %d bytes that Braze takes.",
						   event, BRAZE_LIMIT_EVENT_PROPERTIES);
	else
		braze_mapping_note(map, "The call did not become Braze's recommended event %s.%s", event, first);
	return false;
}

/*
 * a view has one product; where it is the
 * only one of a list, it is taken from there
 */
static void
find_viewed_product(BrazeEventWriter *writer)
{
	BrazeProducts products;
	JsonbContainer *product;
	JsonbContainer *further;
	BrazeString text;
	BrazeString key;

	if (!braze_commerce_read_products(&products, writer->object) ||
		braze_commerce_read_text(writer->object, braze_product_fields[0].sources,
								 BRAZE_LIMIT_PRODUCT_ID, &text, &key) ||
		!braze_commerce_read_product(&products, &product) || product == NULL ||
		braze_commerce_read_product(&products, &further))
		return;
	writer->around = writer->object;
	writer->object = product;
}

bool
braze_recommended_event_map(BrazeMap *map, BrazeCommerceCall call)
{
	BrazeEventWriter writer;
	BrazeString key;

	writer.map = map;
	writer.first_note = map->mapped.nnotes;
	/* until fields are written, whatever is noted says why there is no event */
	writer.reason = writer.first_note;
	writer.schema = braze_recommended_schema(call);
	writer.object = map->call.properties;
	writer.fit = BRAZE_FIT_ALL;
	writer.below_zero = NULL;
	initStringInfo(&writer.missing);
	if (writer.object == NULL)
		return give_up_event(&writer);

	writer.around = NULL;
	if (!braze_recommended_schema_has_products(writer.schema))
		find_viewed_product(&writer);
	writer.product_is_call = is_product_call(&writer);
	writer.quantity = 1;
	writer.summed = false;
	writer.price = braze_commerce_read_number(writer.object, braze_price_sources, &key);
	if (writer.product_is_call && writer.price != NULL &&
		!braze_recommended_money_fit_price(&writer, writer.object, "The product", &writer.price,
										   &writer.quantity))
		return give_up_event(&writer);

	/*
	 * Only what was written shows how large the event is, so it is written
	 * with all there is, and where that is too much once more with less.
	 * Metadata is what reports can do without.
	 */
	for (; writer.fit < BRAZE_FIT_NOT; writer.fit++)
	{
		if (write_event(&writer))
			return true;
		/* a smaller event would lack the same */
		if (writer.missing.len > 0 || writer.below_zero != NULL)
			return give_up_event(&writer);
		if (writer.fit == BRAZE_FIT_ALL)
			braze_mapping_note(map, "What the products hold besides Braze's own fields was left out: the event is larger than the %d bytes that Braze takes.",
							   BRAZE_LIMIT_EVENT_PROPERTIES);
	}
	return give_up_event(&writer);
}
