/*-------------------------------------------------------------------------
 *
 * commerce.c
 *	  Which calls of the eCommerce spec become purchases or recommended events.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

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
		/*
		 * A blank of the pattern stands for any number of separators, none
		 * included.
		 */
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

/*
 * Does any of the names begin with this letter?  This is asked of every event,
 * and most differ in it.
 */
static bool
begins_some_name(char letter)
{
	static uint32 letters = 0;

	if (letters == 0)
	{
		for (int i = 0; i < lengthof(call_names); i++)
			letters |= UINT32_C(1) << (call_names[i].name[0] - 'a');
	}
	return letter >= 'a' && letter <= 'z' && (letters >> (letter - 'a') & 1) != 0;
}

static BrazeCommerceCall
find_call(BrazeString name)
{
	char		first;

	name = braze_trim(name);

	/* not blank: braze_call_track_map has rejected such a name */
	first = pg_ascii_tolower((unsigned char) name.data[0]);
	if (!begins_some_name(first))
		return BRAZE_NO_COMMERCE_CALL;
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

	/*
	 * These stay events even if they have a revenue: what was looked at,
	 * searched or put into a cart is not bought by that.
	 */
	if (call == BRAZE_OTHER_COMMERCE_CALL)
		return false;

	if (orders_as != BRAZE_ORDERS_PURCHASES || call == BRAZE_ORDER_COMPLETED)
		note_products(map);
	/* events before purchases, as Braze applies them */
	if (orders_as != BRAZE_ORDERS_PURCHASES)
		recommended = braze_recommended_event_map(map, call);
	if (orders_as != BRAZE_ORDERS_ECOMMERCE && call == BRAZE_ORDER_COMPLETED)
		purchases = braze_purchase_map(map, name);

	/*
	 * With both of them wanted one may fail.  The custom event is what is
	 * left when nothing else says that the order was placed.
	 */
	return recommended || purchases;
}
