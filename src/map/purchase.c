/*-------------------------------------------------------------------------
 *
 * purchase.c
 *	  Orders, and other calls with a revenue, as purchases.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "map/purchase.h"

/* more than this many pieces are one purchase at the whole price */
#define MAX_PIECES			7500

const char *const braze_product_id_keys[] = {
	"product_id", "productId", "id", "sku", "name", NULL
};

static const char *const price_keys[] = {"price", NULL};
static const char *const revenue_keys[] = {"revenue", NULL};
static const char *const total_keys[] = {"total", NULL};

/* one purchase object; more than one when the quantity is to be split */
typedef struct Purchase
{
	BrazeString product_id;
	const char *currency;
	Numeric		price;
	int			quantity;
	BrazeNames	consumed;		/* of the product: not among the properties */
	BrazeProperties properties;
} Purchase;

/* what is the same for all products of an order, and read once */
typedef struct Order
{
	JsonbContainer *properties; /* shared by the products; NULL: the only
								 * product has them */
	BrazeCurrency currency;
	bool		bare;			/* no more properties: there is no room */
} Order;

/*
 * Properties fill no more than half of what a call may become: revenue reports
 * can do without them, and not without the purchases that come after.
 */
#define PROPERTIES_UP_TO	(BRAZE_MAX_CALL_TEXT / 2)

/* what the order's products have in common */
static const BrazeNames order_consumed = {2, {{"currency", 8}, {"products", 8}}};

static void
consume_field(BrazeNames *names, const char *name)
{
	braze_property_names_add(names, braze_string(name));
}

/* false when the call's text is full: nothing more can be written */
static bool
write_purchase(BrazeMap *map, Purchase *purchase, int quantity, Order *order)
{
	BrazeText  *text = &map->text;
	int			mark;
	char		digits[12];

	braze_object_writer_begin(map, BRAZE_PURCHASES);
	braze_object_writer_app_id(map);
	/* what follows is in this order for pack/tally, which reads it again */
	braze_object_writer_name(map, BRAZE_PRODUCT_KEY, purchase->product_id);
	braze_text_literal(text, ",\"currency\":");
	braze_json_write_string(text, purchase->currency, strlen(purchase->currency));
	braze_text_literal(text, ",\"price\":");
	braze_json_write_number(text, purchase->price);
	braze_text_literal(text, ",\"quantity\":");
	braze_text_bytes(text, digits, snprintf(digits, sizeof(digits), "%d", quantity));
	braze_object_writer_time(map);
	mark = braze_text_mark(text);
	if (!order->bare)
		braze_properties_write(&purchase->properties, "properties");
	if (!text->full && !order->bare && braze_text_mark(text) > PROPERTIES_UP_TO)
	{
		braze_text_rewind(text, mark);
		order->bare = true;
		braze_mapping_note(map, "This purchase and those after it were sent without properties: with them the order becomes more than %d MB; split it.",
						   PROPERTIES_UP_TO / (1024 * 1024));
	}
	return braze_object_writer_end(map);
}

/*
 * Braze takes at most 100 pieces in one object, and reads them as 100
 * purchases.
 */
static bool
write_pieces(BrazeMap *map, Purchase *purchase, JsonbContainer *product,
			 Order *order)
{
	BrazeProperties *properties = &purchase->properties;
	int			rest = purchase->quantity;

	braze_properties_begin(properties, map, braze_purchase_reserved,
						   BRAZE_LIMIT_PURCHASE_PROPERTIES);
	if (map->settings->purchase_properties && !order->bare)
	{
		braze_properties_add(properties, product, &purchase->consumed);
		if (order->properties != NULL)
			braze_properties_join(properties, order->properties, &order_consumed);
	}
	braze_properties_end(properties);

	/*
	 * The properties are the same for all pieces, and were made once: with
	 * those of the order they may be most of the work.
	 */
	while (rest > 0)
	{
		if (!write_purchase(map, purchase, Min(rest, BRAZE_LIMIT_QUANTITY), order))
			return false;
		rest -= BRAZE_LIMIT_QUANTITY;
	}
	return true;
}

/* one product of an order; false when the call's text is full */
static bool
record_product(BrazeMap *map, JsonbContainer *product, Order *order,
			   const char *label)
{
	int			nnotes = map->mapped.nnotes;
	Purchase	purchase;
	BrazeString key;

	if (!braze_commerce_read_text(product, braze_product_id_keys, BRAZE_LIMIT_PRODUCT_ID,
								  &purchase.product_id, &key))
	{
		braze_mapping_note(map, "%s was left out: it has no product_id (productId, id, sku or name) of 1 to %d characters.",
						   label, BRAZE_LIMIT_PRODUCT_ID);
		return true;
	}
	purchase.consumed.count = 0;
	braze_property_names_add(&purchase.consumed, key);

	purchase.price = braze_commerce_read_number(product, price_keys, &key);
	if (purchase.price == NULL)
	{
		braze_mapping_note(map, "%s was left out: it has no price that is a number.", label);
		return true;
	}
	purchase.currency = braze_commerce_choose_currency(map, braze_commerce_read_currency(product),
													   order->currency);
	if (purchase.currency == NULL)
	{
		/*
		 * One sentence says it all.  Those on each currency that was passed
		 * over would say the same again.
		 */
		(void) braze_mapping_note_take_back(map, nnotes);
		braze_mapping_note(map, "%s was left out: its currency is not a code of ISO 4217 such as USD.", label);
		return true;
	}
	if (!braze_commerce_read_quantity(map, product, label, MAX_PIECES, true,
									  &purchase.price, &purchase.quantity))
		return true;

	consume_field(&purchase.consumed, "price");
	consume_field(&purchase.consumed, "quantity");
	consume_field(&purchase.consumed, "currency");
	return write_pieces(map, &purchase, product, order);
}

/*
 * notes on a product are on its first purchase, or on the call when it has none
 */
static bool
map_product(BrazeMap *map, JsonbContainer *product, Order *order, const char *label)
{
	int			before = map->mapped.nobjects;
	bool		room;

	map->note_object = before;
	room = record_product(map, product, order, label);
	if (map->mapped.nobjects == before)
		braze_mapping_note_to_call(map);
	map->note_object = 0;
	return room;
}

/* a number that is not 0, or NULL */
static Numeric
find_amount(JsonbContainer *object, const char *const *keys, BrazeString *key)
{
	Numeric		amount = braze_commerce_read_number(object, keys, key);
	BrazeDecimal decimal;

	if (amount == NULL)
		return NULL;
	braze_number_read(&decimal, amount);
	return braze_number_is_zero(&decimal) ? NULL : amount;
}

BrazeRevenue
braze_purchase_map_revenue(BrazeMap *map, BrazeString name, bool order)
{
	JsonbContainer *object = map->call.properties;
	int			nnotes = map->mapped.nnotes;
	Order		alone = {NULL, {false, NULL}, false};
	Purchase	purchase;
	BrazeString key;

	if (object == NULL)
		return BRAZE_NO_REVENUE;
	purchase.price = find_amount(object, revenue_keys, &key);

	/*
	 * A total includes tax and shipping, so it is the second choice, and of
	 * an order only: in other events it may be anything.
	 */
	if (purchase.price == NULL && order)
		purchase.price = find_amount(object, total_keys, &key);
	if (purchase.price == NULL)
		return BRAZE_NO_REVENUE;
	purchase.currency = braze_commerce_choose_currency(map, braze_commerce_read_currency(object),
													   alone.currency);
	if (purchase.currency == NULL)
	{
		(void) braze_mapping_note_take_back(map, nnotes);
		braze_mapping_note(map, "The %s was not recorded as a purchase: its currency is not a code of ISO 4217 such as USD.",
						   braze_mapping_note_quote(key));
		return BRAZE_REVENUE_LEFT_OUT;
	}

	purchase.product_id = name;
	purchase.quantity = 1;
	purchase.consumed.count = 0;
	braze_property_names_add(&purchase.consumed, key);
	consume_field(&purchase.consumed, "currency");
	(void) write_pieces(map, &purchase, object, &alone);
	return BRAZE_REVENUE_RECORDED;
}

/* an order that is its own only product */
static bool
is_product(JsonbContainer *properties)
{
	BrazeString text;
	BrazeString key;

	return braze_commerce_read_text(properties, braze_product_id_keys, BRAZE_LIMIT_PRODUCT_ID,
									&text, &key) &&
		braze_commerce_read_number(properties, price_keys, &key) != NULL;
}

bool
braze_purchase_map(BrazeMap *map, BrazeString name)
{
	JsonbContainer *properties = map->call.properties;
	int			before = map->mapped.nobjects;
	int			nnotes = map->mapped.nnotes;
	Order		order = {NULL, {false, NULL}, false};
	const char *first;
	BrazeProducts products;
	JsonbContainer *product;

	if (properties != NULL && braze_commerce_read_products(&products, properties))
	{
		order.properties = properties;
		order.currency = braze_commerce_read_currency(properties);
		while (braze_commerce_read_product(&products, &product))
		{
			char		label[BRAZE_LABEL_SIZE];

			CHECK_FOR_INTERRUPTS();
			snprintf(label, sizeof(label), "Product %d", products.number);
			if (product == NULL)
				braze_mapping_note(map, "%s was left out: it is not an object.", label);

			/*
			 * The call is full, which a note says: no product after this one
			 * fits.
			 */
			else if (!map_product(map, product, &order, label))
				break;
		}
	}
	else if (properties != NULL && is_product(properties))
		map_product(map, properties, &order, "The product");

	/* with one product recorded the revenue would count it a second time */
	if (map->mapped.nobjects > before)
		return true;
	switch (braze_purchase_map_revenue(map, name, true))
	{
		case BRAZE_REVENUE_RECORDED:
			braze_mapping_note(map, "The order was recorded as one purchase of its revenue or total: it has no product that could be recorded.");
			return true;
		case BRAZE_REVENUE_LEFT_OUT:
			(void) braze_mapping_note_take_back(map, nnotes);
			braze_mapping_note(map, "The order was not recorded as a purchase: its currency is not a code of ISO 4217 such as USD.");
			break;
		case BRAZE_NO_REVENUE:

			/*
			 * the products go with the custom event, whatever was noted on
			 * them
			 */
			first = braze_mapping_note_take_back(map, nnotes);
			braze_mapping_note(map, "The order was not recorded as a purchase: it has neither a product that could be recorded nor a revenue or total.%s",
							   first == NULL ? "" : psprintf(" %s", first));
			break;
	}
	return false;
}
