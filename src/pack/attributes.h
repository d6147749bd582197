/*-------------------------------------------------------------------------
 *
 * attributes.h
 *	  Attributes objects as text: their fields, and folding several into one.
 *
 * Plain C.  The text is the mapping's own, so it is valid, its identifier
 * comes first, and no name stands in it twice; it is read without checking
 * that again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ATTRIBUTES_H
#define BRAZE_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum BrazeAttributeClass
{
	BRAZE_ATTRIBUTE_CONTROL,	/* identifier or flag: says how, not what */
	BRAZE_ATTRIBUTE_VOLATILE,	/* Braze changes it by itself: always sent */
	BRAZE_ATTRIBUTE_VALUE,		/* what was sent last is what is there */
	BRAZE_ATTRIBUTE_OPERATOR	/* inc, add, remove ...: changes what is there */
} BrazeAttributeClass;

typedef struct BrazeAttribute
{
	BrazeAttributeClass class;
	const char *name;			/* with its quotes */
	size_t		name_length;
	const char *value;
	size_t		value_length;
	bool		overrides;		/* folding: an earlier object had another
								 * value */
	int			next_array;		/* folding: one to unite with it, -1: none */
	int			last_array;
} BrazeAttribute;

/* an array of a later object that is to be united with a field's own */
typedef struct BrazeArray
{
	const char *text;
	size_t		length;
	int			next;			/* of the same field, -1: none */
} BrazeArray;

typedef struct BrazeAttributes
{
	int			count;
	int			max;
	BrazeAttribute *list;		/* malloc'd, reused */
	bool		merge_objects;	/* _merge_objects is true */
	bool		update_only;	/* _update_existing_only is true */

	/* for folding; all malloc'd and reused */
	int		   *places;			/* of names in the list, by hash; empty: -1 */
	int			nplaces;		/* a power of two, 0: not filled */
	int			maxplaces;
	BrazeArray *arrays;
	int			narrays;
	int			maxarrays;
	void	   *owned;			/* text that united arrays made necessary */
} BrazeAttributes;

extern void braze_attributes_init(BrazeAttributes *fields);
extern void braze_attributes_free(BrazeAttributes *fields);

/* false: out of memory.  The fields point into the text. */
extern bool braze_attributes_read(BrazeAttributes *fields, const char *json, size_t length);

/*
 * Must the object be applied on its own, since it changes what is there?
 * *points is what it costs, in Braze's data points; see tally.c.
 */
extern bool braze_attributes_stand_alone(const char *json, size_t length, uint16_t *points);

/* what sending these fields costs */
extern uint16_t braze_attributes_points(const BrazeAttributes *fields);

/* the identifier that an object of any kind but identity's begins with */
extern const char *braze_attributes_identifier(const char *json, size_t length,
											   size_t *identifier_length);

/*
 * Adds a later object of the same user: its values win, subscription groups and
 * push tokens unite.  Both must have the same flags and not stand alone.  After
 * the last one, braze_attribute_arrays_unite writes the united arrays.  False:
 * out of memory.
 */
extern bool braze_attributes_fold(BrazeAttributes *fields, const BrazeAttributes *later);

/* a power of two that leaves half of the places of a hash table empty */
static inline int
braze_attributes_places(int count)
{
	int			places = 16;

	while (places < count * 2)
		places *= 2;
	return places;
}

/* returns the end of the text */
extern char *braze_attributes_write(const BrazeAttributes *fields, char *to);

#endif							/* BRAZE_ATTRIBUTES_H */
