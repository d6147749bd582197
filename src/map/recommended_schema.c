/*-------------------------------------------------------------------------
 *
 * recommended_schema.c
 *	  The schemas of Braze's recommended eCommerce events.
 *
 * Each field has its sources: Braze's own name, and those of Segment's spec.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/recommended_schema.h"

#define PRODUCT_ID		{"product_id", BRAZE_SCHEMA_STRING, true, {"product_id", "productId", "id", "sku"}}
#define PRODUCT_NAME	{"product_name", BRAZE_SCHEMA_PRODUCT_NAME, true, {"product_name", "name"}}
#define VARIANT_ID		{"variant_id", BRAZE_SCHEMA_VARIANT, true, {"variant_id", "variant", "sku"}}
#define QUANTITY		{"quantity", BRAZE_SCHEMA_QUANTITY, true, {"quantity"}}
#define PRICE			{"price", BRAZE_SCHEMA_PRICE, true, {"price"}}
#define IMAGE_URL		{"image_url", BRAZE_SCHEMA_STRING, false, {"image_url"}}
#define PRODUCT_URL		{"product_url", BRAZE_SCHEMA_STRING, false, {"product_url", "url"}}
#define CURRENCY		{"currency", BRAZE_SCHEMA_CURRENCY, true, {"currency"}}
#define SOURCE			{"source", BRAZE_SCHEMA_SOURCE, true, {"source"}}
#define TOTAL_VALUE		{"total_value", BRAZE_SCHEMA_TOTAL, true, {"total_value", "total", "revenue", "value"}}
#define SUBTOTAL_VALUE	{"subtotal_value", BRAZE_SCHEMA_AMOUNT, false, {"subtotal_value", "subtotal"}}
#define TAX				{"tax", BRAZE_SCHEMA_AMOUNT, false, {"tax"}}
#define SHIPPING		{"shipping", BRAZE_SCHEMA_AMOUNT, false, {"shipping"}}
#define TOTAL_DISCOUNTS	{"total_discounts", BRAZE_SCHEMA_DISCOUNT, false, {"total_discounts", "discount"}}
#define DISCOUNTS		{"discounts", BRAZE_SCHEMA_DISCOUNTS, false, {"discount_items", "discounts"}}
#define ORDER_ID		{"order_id", BRAZE_SCHEMA_STRING, true, {"order_id"}}
#define PRODUCTS		{"products", BRAZE_SCHEMA_PRODUCTS, true, {"products"}}
#define END				{NULL}

const BrazeSchemaField braze_product_fields[] = {
	PRODUCT_ID, PRODUCT_NAME, VARIANT_ID, QUANTITY, PRICE, IMAGE_URL, PRODUCT_URL, END
};

/* the products come last: of a product call they hold what nothing else took */
static const BrazeSchemaField product_viewed[] = {
	PRODUCT_ID, PRODUCT_NAME, VARIANT_ID, PRICE, CURRENCY, SOURCE,
	IMAGE_URL, PRODUCT_URL, {"type", BRAZE_SCHEMA_TYPES, false, {"type"}}, END
};

static const BrazeSchemaField cart_updated[] = {
	{"cart_id", BRAZE_SCHEMA_STRING, true, {"cart_id"}},
	{"action", BRAZE_SCHEMA_ACTION, false, {"action"}},
	TOTAL_VALUE, SUBTOTAL_VALUE, TAX, SHIPPING, CURRENCY, SOURCE, PRODUCTS, END
};

static const BrazeSchemaField checkout_started[] = {
	{"checkout_id", BRAZE_SCHEMA_STRING, true, {"checkout_id", "order_id"}},
	{"cart_id", BRAZE_SCHEMA_STRING, false, {"cart_id"}},
	TOTAL_VALUE, SUBTOTAL_VALUE, TAX, SHIPPING, CURRENCY, SOURCE, PRODUCTS, END
};

static const BrazeSchemaField order_placed[] = {
	ORDER_ID,
	{"cart_id", BRAZE_SCHEMA_STRING, false, {"cart_id"}},
	TOTAL_VALUE, SUBTOTAL_VALUE, TAX, SHIPPING, TOTAL_DISCOUNTS, DISCOUNTS,
	CURRENCY, SOURCE, PRODUCTS, END
};

static const BrazeSchemaField order_cancelled[] = {
	ORDER_ID,
	{"cancel_reason", BRAZE_SCHEMA_REASON, true, {"cancel_reason", "reason"}},
	TOTAL_VALUE, SUBTOTAL_VALUE, TAX, SHIPPING, TOTAL_DISCOUNTS, DISCOUNTS,
	CURRENCY, SOURCE, PRODUCTS, END
};

static const BrazeSchemaField order_refunded[] = {
	ORDER_ID, TOTAL_VALUE, TOTAL_DISCOUNTS, DISCOUNTS, CURRENCY, SOURCE, PRODUCTS, END
};


static const BrazeSchema schemas[] = {
	[BRAZE_PRODUCT_VIEWED] = {"ecommerce.product_viewed", product_viewed},
	[BRAZE_PRODUCT_ADDED] = {"ecommerce.cart_updated", cart_updated, "add", true},
	[BRAZE_PRODUCT_REMOVED] = {"ecommerce.cart_updated", cart_updated, "remove", true},
	[BRAZE_CART_UPDATED] = {"ecommerce.cart_updated", cart_updated},
	[BRAZE_CHECKOUT_STARTED] = {"ecommerce.checkout_started", checkout_started},
	[BRAZE_ORDER_COMPLETED] = {"ecommerce.order_placed", order_placed},
	[BRAZE_ORDER_REFUNDED] = {"ecommerce.order_refunded", order_refunded, NULL, false, true},
	[BRAZE_ORDER_CANCELLED] = {"ecommerce.order_cancelled", order_cancelled, NULL, false, true},
};

const BrazeSchema *
braze_recommended_schema(BrazeCommerceCall call)
{
	return &schemas[call];
}

bool
braze_recommended_schema_has_products(const BrazeSchema *schema)
{
	return schema->fields != product_viewed;
}

BrazeCommerceCall
braze_recommended_schema_event(BrazeString name)
{
	for (int i = 0; i < lengthof(schemas); i++)
	{
		if (schemas[i].event != NULL && schemas[i].action == NULL &&
			braze_string_is(name, schemas[i].event))
			return i;
	}
	return BRAZE_NO_COMMERCE_CALL;
}
