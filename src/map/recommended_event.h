/*-------------------------------------------------------------------------
 *
 * recommended_event.h
 *	  The event that a call of the eCommerce spec becomes, while it is written.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_RECOMMENDED_EVENT_H
#define BRAZE_RECOMMENDED_EVENT_H

#include "map/recommended_schema.h"

/* what is given up, step by step, for an event that is too large */
typedef enum BrazeFit
{
	BRAZE_FIT_ALL,
	BRAZE_FIT_NO_PRODUCT_METADATA,
	BRAZE_FIT_NO_METADATA,
	BRAZE_FIT_NOT
} BrazeFit;

typedef struct BrazeEventWriter
{
	BrazeMap   *map;
	const BrazeSchema *schema;
	BrazeFit	fit;
	bool		product_is_call;	/* top level and product are one object */

	/* of the object at hand, the call's or a product's */
	JsonbContainer *object;
	JsonbContainer *around;		/* the call's, where the object is a view's
								 * one product: it has what that lacks; else
								 * NULL */
	BrazeNames	consumed;		/* of the object: they are fields of the event */
	BrazeNames	consumed_around;	/* of what is around it */
	BrazeString product_id;		/* data NULL: none yet */
	Numeric		price;			/* as found together with the quantity */
	int			quantity;
	bool		summed;			/* the products were, for the attempts after
								 * this one, too */
	Numeric		sum;			/* NULL: too large */
	bool		first;			/* no comma yet */
	const char *action;			/* of a cart's update */
	StringInfoData missing;		/* names of required fields without a value */
	int			first_note;		/* how many notes the call had before */
	int			reason;			/* the note on why the first of the missing
								 * ones is, -1: there is none */
	const char *below_zero;		/* a required amount that is, NULL: none */
} BrazeEventWriter;

/* what a field has taken is not in the metadata as well */
static inline void
braze_event_consume(BrazeEventWriter *writer, JsonbContainer *of, BrazeString key)
{
	BrazeNames *consumed = of == writer->object ? &writer->consumed : &writer->consumed_around;

	if (!braze_property_names_has(consumed, key))
		braze_property_names_add(consumed, key);
}

static inline void
braze_event_key(BrazeEventWriter *writer, const char *name)
{
	BrazeText  *text = &writer->map->text;

	if (!writer->first)
		braze_text_char(text, ',');
	writer->first = false;
	braze_json_write_string(text, name, strlen(name));
	braze_text_char(text, ':');
}

/* ---- recommended_money.c ---- */

extern const char *const braze_price_sources[];

extern bool braze_recommended_money_is_negative(Numeric number);

/*
 * Makes the quantity and the price of a product fit for Braze, which takes
 * prices of 0 or more.  False, with a note: leave the product out.
 */
extern bool braze_recommended_money_fit_price(BrazeEventWriter *writer, JsonbContainer *product,
											  const char *label, Numeric *price, int *quantity);

/* the same for the price that the product has; false, too, when it has none */
extern bool braze_recommended_money_find_price(BrazeEventWriter *writer, JsonbContainer *product,
											   const char *label, Numeric *price, int *quantity);

/* these write a field; false: there is no value for it */
extern void braze_recommended_money_number(BrazeEventWriter *writer, const char *name, Numeric number);
extern bool braze_recommended_money_amount(BrazeEventWriter *writer, const BrazeSchemaField *field);
extern bool braze_recommended_money_total(BrazeEventWriter *writer, const BrazeSchemaField *field);
extern bool braze_recommended_money_currency(BrazeEventWriter *writer, const BrazeSchemaField *field);

#endif							/* BRAZE_RECOMMENDED_EVENT_H */
