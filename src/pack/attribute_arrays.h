/*-------------------------------------------------------------------------
 *
 * attribute_arrays.h
 *	  Arrays of attributes that Braze unites with what it has.
 *
 * Plain C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ATTRIBUTE_ARRAYS_H
#define BRAZE_ATTRIBUTE_ARRAYS_H

#include "pack/attributes.h"

/*
 * the name of what tells one element from another, NULL if arrays do not unite
 */
extern const char *braze_attribute_arrays_id(const BrazeAttribute *field);

/*
 * notes an array of a later object that is to
 * be united with this field; false: no memory
 */
extern bool braze_attribute_arrays_append(BrazeAttributes *fields, BrazeAttribute *earlier,
										  const BrazeAttribute *field);

/* writes the arrays that were noted into their fields; false: no memory */
extern bool braze_attribute_arrays_unite(BrazeAttributes *fields);

#endif							/* BRAZE_ATTRIBUTE_ARRAYS_H */
