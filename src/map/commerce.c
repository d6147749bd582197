/*-------------------------------------------------------------------------
 *
 * commerce.c
 *	  Which calls of the eCommerce spec become purchases or recommended events,
 *	  and what both rooms read out of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "braze/currency.h"
#include "map/purchase.h"

typedef struct CallName
{
	const char *name;			/* lower case */
	BrazeCommerceCall call;
} CallName;

/*
 * The Product, Cart, Checkout, Payment and Order calls of Segment's eCommerce
 * spec, in the spelling of its first version too.
 */
static const CallName call_names[] = {
	{"product viewed", BRAZE_PRODUCT_VIEWED},
	{"viewed product", BRAZE_PRODUCT_VIEWED},
	{"product added", BRAZE_PRODUCT_ADDED},
	{"added product", BRAZE_PRODUCT_ADDED},
	{"product removed", BRAZE_PRODUCT_REMOVED},
	{"removed product", BRAZE_PRODUCT_REMOVED},
	{"cart updated", BRAZE_CART_UPDATED},
	{"checkout started", BRAZE_CHECKOUT_STARTED},
	{"order completed", BRAZE_ORDER_COMPLETED},
	{"completed order", BRAZE_ORDER_COMPLETED},
	{"order refunded", BRAZE_ORDER_REFUNDED},
	{"order cancelled", BRAZE_ORDER_CANCELLED},

	{"products viewed", BRAZE_OTHER_COMMERCE_CALL},
	{"products searched", BRAZE_OTHER_COMMERCE_CALL},
	{"product list viewed", BRAZE_OTHER_COMMERCE_CALL},
	{"product list filtered", BRAZE_OTHER_COMMERCE_CALL},
	{"viewed product category", BRAZE_OTHER_COMMERCE_CALL},
	{"product clicked", BRAZE_OTHER_COMMERCE_CALL},
	{"product shared", BRAZE_OTHER_COMMERCE_CALL},
	{"product reviewed", BRAZE_OTHER_COMMERCE_CALL},
	{"product added to wishlist", BRAZE_OTHER_COMMERCE_CALL},
	{"product removed from wishlist", BRAZE_OTHER_COMMERCE_CALL},
	{"wishlist product added to cart", BRAZE_OTHER_COMMERCE_CALL},
	{"cart viewed", BRAZE_OTHER_COMMERCE_CALL},
	{"cart shared", BRAZE_OTHER_COMMERCE_CALL},
	{"checkout step viewed", BRAZE_OTHER_COMMERCE_CALL},
	{"viewed checkout step", BRAZE_OTHER_COMMERCE_CALL},
	{"checkout step completed", BRAZE_OTHER_COMMERCE_CALL},
	{"completed checkout step", BRAZE_OTHER_COMMERCE_CALL},
	{"payment info entered", BRAZE_OTHER_COMMERCE_CALL},
	{"order updated", BRAZE_OTHER_COMMERCE_CALL},
};

/* any case; blanks, underscores or nothing between the words */
static bool
name_matches(BrazeString name, const char *pattern)
{
	const char *p = name.data;
	const char *end = p + name.length;

	for (; *pattern != '\0'; pattern++)
	{
		if (*pattern == ' ')
		{
			while (p < end && (*p == ' ' || *p == '\t' || *p == '_'))
				p++;
		}
		else if (p < end && pg_ascii_tolower((unsigned char) *p) == *pattern)
			p++;
		else
			return false;
	}
	return p == end;
}

/* a list that was written as text twice; of a warehouse's row it is parsed */
static void
note_products(BrazeMap *map)
{
	JsonbValue	products;

	if (map->call.properties != NULL &&
		braze_lookup(map->call.properties, "products", &products) &&
		braze_is_json_text(&products))
		braze_mapping_note(map, "The products were not read: they are a text that holds JSON; send the list itself.");
}

static BrazeCommerceCall
find_call(BrazeString name)
{
	char		first;

	name = braze_trim(name);
	first = pg_ascii_tolower((unsigned char) name.data[0]);

	/* this is asked of every event, and most differ in the first letter */
	for (int i = 0; i < lengthof(call_names); i++)
	{
		if (first == call_names[i].name[0] && name_matches(name, call_names[i].name))
			return call_names[i].call;
	}
	return BRAZE_NO_COMMERCE_CALL;
}

bool
braze_commerce_map(BrazeMap *map, BrazeString name)
{
	BrazeOrdersAs orders_as = map->settings->orders_as;
	BrazeCommerceCall call;
	bool		recommended = false;
	bool		purchases = false;

	/*
	 * Braze recognises the event by its name, whatever orders_as says, and
	 * where it does not fit the schema drops it and answers with success.
	 */
	call = braze_recommended_schema_event(name);
	if (call != BRAZE_NO_COMMERCE_CALL)
	{
		note_products(map);
		if (!braze_recommended_event_map(map, call))
			braze_mapping_note_reject(map, "Braze would drop the event %s: it knows events of this name, and this one does not have what they need.",
						 braze_mapping_note_quote(name));
		return true;
	}

	call = find_call(name);
	if (call == BRAZE_NO_COMMERCE_CALL)
		return map->settings->log_purchase_when_revenue_present &&
			braze_purchase_map_revenue(map, name, false) == BRAZE_REVENUE_RECORDED;
	if (call == BRAZE_OTHER_COMMERCE_CALL)
		return false;

	if (orders_as != BRAZE_ORDERS_PURCHASES || call == BRAZE_ORDER_COMPLETED)
		note_products(map);
	/* events before purchases, as Braze applies them */
	if (orders_as != BRAZE_ORDERS_PURCHASES)
		recommended = braze_recommended_event_map(map, call);
	if (orders_as != BRAZE_ORDERS_ECOMMERCE && call == BRAZE_ORDER_COMPLETED)
		purchases = braze_purchase_map(map, name);
	return recommended || purchases;
}

bool
braze_commerce_first_text(JsonbContainer *object, const char *const *keys, int max,
				 BrazeString *text, BrazeString *key)
{
	JsonbValue	value;

	for (; *keys != NULL; keys++)
	{
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
braze_commerce_first_number(JsonbContainer *object, const char *const *keys, BrazeString *key)
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
braze_commerce_products_begin(BrazeProducts *products, JsonbContainer *properties)
{
	JsonbValue	value;

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
braze_commerce_products_next(BrazeProducts *products, JsonbContainer **object)
{
	JsonbValue	value;

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

const char *
braze_commerce_find_currency(BrazeMap *map, JsonbContainer *first, JsonbContainer *second)
{
	JsonbContainer *objects[2] = {first, second};
	bool		given = false;
	JsonbValue	value;
	BrazeString text;
	const char *currency;

	for (int i = 0; i < lengthof(objects); i++)
	{
		if (objects[i] == NULL || !braze_lookup(objects[i], "currency", &value) ||
			value.type == jbvNull ||
			(value.type == jbvString && !braze_solid_text(&value, &text)))
			continue;
		given = true;
		currency = value.type == jbvString ? braze_currency_code(text.data, text.length) : NULL;
		if (currency != NULL)
			return currency;
		braze_mapping_note(map, "A currency was passed over: it is not a code of ISO 4217 such as USD.");
	}
	return given ? NULL : map->settings->default_currency;
}

bool
braze_commerce_find_quantity(BrazeMap *map, JsonbContainer *product, const char *label,
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
		braze_mapping_note(map, "%s was counted once: its quantity is no number.", label);
		return true;
	}
	braze_number_read(&decimal, number);
	if (braze_number_is_zero(&decimal))
	{
		braze_mapping_note(map, "%s was left out: its quantity is 0.", label);
		return false;
	}
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
	*price = braze_number_multiply(*price, number);
	if (*price == NULL)
	{
		braze_mapping_note(map, "%s was left out: its price times its quantity is too large.", label);
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
