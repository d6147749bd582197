/*-------------------------------------------------------------------------
 *
 * purchase.h
 *	  Orders and the other calls of the eCommerce spec.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PURCHASE_H
#define BRAZE_PURCHASE_H

#include "json/number.h"
#include "map/map_internal.h"

/*
 * the calls of Segment's eCommerce spec that Braze has a recommended event for
 */
typedef enum BrazeCommerceCall
{
	BRAZE_NO_COMMERCE_CALL,
	BRAZE_PRODUCT_VIEWED,
	BRAZE_PRODUCT_ADDED,
	BRAZE_PRODUCT_REMOVED,
	BRAZE_CART_UPDATED,
	BRAZE_CHECKOUT_STARTED,
	BRAZE_ORDER_COMPLETED,
	BRAZE_ORDER_REFUNDED,
	BRAZE_ORDER_CANCELLED,
	BRAZE_OTHER_COMMERCE_CALL	/* one without, but no revenue of its own */
} BrazeCommerceCall;

/* the products of a call, one after the other */
typedef struct BrazeProducts
{
	BrazeWalk	walk;
	JsonbContainer *only;		/* one that stands alone, until it is returned */
	int			number;			/* of the one returned last, from 1, for notes */
} BrazeProducts;

#define BRAZE_LABEL_SIZE	32

/*
 * Maps a track call that becomes purchases or a recommended event.  False when
 * it stays a custom event, which is then still to be written.
 */
extern bool braze_commerce_map(BrazeMap *map, BrazeString name);

/* purchase.c: false when there is nothing to record, and nothing is written */
extern bool braze_purchase_map(BrazeMap *map, BrazeString name);

/* what became of a call's revenue, or of an order's total; notes say why */
typedef enum BrazeRevenue
{
	BRAZE_NO_REVENUE,
	BRAZE_REVENUE_LEFT_OUT,
	BRAZE_REVENUE_RECORDED
} BrazeRevenue;

extern BrazeRevenue braze_purchase_map_revenue(BrazeMap *map, BrazeString name, bool order);

extern const char *const braze_product_id_keys[];

/* recommended_schema.c: the call whose recommended event has this very name */
extern BrazeCommerceCall braze_recommended_schema_event(BrazeString name);

/* recommended_event.c: false when the call cannot satisfy Braze's schema */
extern bool braze_recommended_event_map(BrazeMap *map, BrazeCommerceCall call);

/*
 * The first of the keys (NULL-terminated) whose value is a number or a string,
 * not blank and of at most max characters (0: any length).  key is set to it.
 */
extern bool braze_commerce_read_text(JsonbContainer *object, const char *const *keys, int max,
									 BrazeString *text, BrazeString *key);

/* the first of the keys whose value is a number or a numeric string, or NULL */
extern Numeric braze_commerce_read_number(JsonbContainer *object, const char *const *keys,
										  BrazeString *key);

/*
 * walks over properties.products; false when there is neither list nor object
 */
extern bool braze_commerce_read_products(BrazeProducts *products, JsonbContainer *properties);

/* the next one; object is NULL for an entry that is none */
extern bool braze_commerce_read_product(BrazeProducts *products, JsonbContainer **object);

/* what an object says of its currency */
typedef struct BrazeCurrency
{
	bool		given;			/* there is one, right or wrong */
	const char *code;			/* NULL: none is given, or it is not one */
} BrazeCurrency;

/*
 * object may be NULL; an order is read once, and not for each of its products
 */
extern BrazeCurrency braze_commerce_read_currency(JsonbContainer *object);

/*
 * The first of both that is right, else the default; NULL when one was given
 * but none is a currency.  Notes say what was passed over.
 */
extern const char *braze_commerce_choose_currency(BrazeMap *map, BrazeCurrency first,
												  BrazeCurrency second);

/*
 * A product's quantity, made fit for Braze: 1 at a multiple of the price where
 * it is not a whole number up to max.  False, with a note: leave the product
 * out.  label names the product in notes.  A negative quantity negates the
 * price; with refunds that is noted, without it the caller judges what came of
 * it.
 */
extern bool braze_commerce_read_quantity(BrazeMap *map, JsonbContainer *product, const char *label,
										 int max, bool refunds, Numeric *price, int *quantity);

#endif							/* BRAZE_PURCHASE_H */
