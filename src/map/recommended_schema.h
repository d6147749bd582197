/*-------------------------------------------------------------------------
 *
 * recommended_schema.h
 *	  The schemas of Braze's recommended eCommerce events.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_RECOMMENDED_SCHEMA_H
#define BRAZE_RECOMMENDED_SCHEMA_H

#include "map/purchase.h"

/* the sources of a field's value, in order of preference */
#define BRAZE_MAX_SOURCES	5

typedef enum BrazeSchemaType
{
	BRAZE_SCHEMA_STRING,
	BRAZE_SCHEMA_AMOUNT,		/* a number, 0 or more */
	BRAZE_SCHEMA_DISCOUNT,		/* the same, whatever its sign was */
	BRAZE_SCHEMA_PRODUCT_NAME,	/* a string, else the product_id */
	BRAZE_SCHEMA_VARIANT,		/* the same */
	BRAZE_SCHEMA_QUANTITY,		/* an integer, found together with the price */
	BRAZE_SCHEMA_PRICE,
	BRAZE_SCHEMA_TOTAL,			/* a number, else the sum over the products */
	BRAZE_SCHEMA_TYPES,			/* a list of the types that a view can have */
	BRAZE_SCHEMA_DISCOUNTS,		/* a list of objects */
	BRAZE_SCHEMA_REASON,		/* a string, else "unspecified" */
	BRAZE_SCHEMA_ACTION,
	BRAZE_SCHEMA_CURRENCY,
	BRAZE_SCHEMA_SOURCE,
	BRAZE_SCHEMA_PRODUCTS
} BrazeSchemaType;

typedef struct BrazeSchemaField
{
	const char *name;
	BrazeSchemaType type;
	bool		required;
	const char *sources[BRAZE_MAX_SOURCES]; /* NULL-terminated */
} BrazeSchemaField;

typedef struct BrazeSchema
{
	const char *event;
	const BrazeSchemaField *fields;
	const char *action;			/* NULL: the call's own */
	bool		product_call;	/* the top level is the product */
	bool		absolute;		/* money that goes back: amounts without their
								 * sign */
} BrazeSchema;

/*
 * what stands in the list of products; ends
 * with a NULL name, as all lists of fields
 */
extern const BrazeSchemaField braze_product_fields[];

/* false for the event of a product that is viewed: it names no others */
extern bool braze_recommended_schema_has_products(const BrazeSchema *schema);

extern const BrazeSchema *braze_recommended_schema(BrazeCommerceCall call);

#endif							/* BRAZE_RECOMMENDED_SCHEMA_H */
