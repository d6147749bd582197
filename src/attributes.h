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

typedef enum BrazeFieldClass
{
	BRAZE_FIELD_CONTROL,		/* identifier or flag: says how, not what */
	BRAZE_FIELD_VOLATILE,		/* Braze changes it by itself: always sent */
	BRAZE_FIELD_VALUE,			/* what was sent last is what is there */
	BRAZE_FIELD_OPERATOR		/* inc, add, remove ...: changes what is there */
} BrazeFieldClass;

typedef struct BrazeField
{
	BrazeFieldClass class;
	const char *name;			/* with its quotes */
	size_t		name_length;
	const char *value;
	size_t		value_length;
	bool		overrides;		/* folding: an earlier object had another value */
} BrazeField;

typedef struct BrazeFields
{
	int			count;
	int			max;
	BrazeField *list;			/* malloc'd, reused */
	bool		merge_objects;	/* _merge_objects is true */
	bool		update_only;	/* _update_existing_only is true */
	void	   *owned;			/* text that united arrays made necessary */
} BrazeFields;

extern void braze_fields_init(BrazeFields *fields);
extern void braze_fields_free(BrazeFields *fields);

/* false: out of memory.  The fields point into the text. */
extern bool braze_fields_read(BrazeFields *fields, const char *json, size_t length);

/*
 * Must the object be applied on its own, since it changes what is there?  One
 * with very many fields is not worth folding, and counts as such.
 */
extern bool braze_attributes_stand_alone(const char *json, size_t length);

/*
 * Adds a later object of the same user: its values win, subscription groups
 * and push tokens unite.  Both must have the same flags and not stand alone.
 */
extern bool braze_fields_fold(BrazeFields *fields, const BrazeFields *later);

/* the size of the text, and the text itself; returns its end */
extern size_t braze_fields_size(const BrazeFields *fields);
extern char *braze_fields_write(const BrazeFields *fields, char *to);

#endif							/* BRAZE_ATTRIBUTES_H */
