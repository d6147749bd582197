/*-------------------------------------------------------------------------
 *
 * delivery_utf8.h
 *	  Braze reads UTF-8, and the mapping writes the database's encoding.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_UTF8_H
#define BRAZE_DELIVERY_UTF8_H

#include "map/map.h"
#include "pack/pack.h"

/* *length is that of the text, and then of the result; in the current context */
extern const char *braze_delivery_utf8_text(const char *text, size_t *length);

/* the same of an object, and of where its name is in it */
extern void braze_delivery_utf8_object(const BrazeMapped *mapped, const BrazeObject *object,
									   BrazePackObject *packed);

#endif							/* BRAZE_DELIVERY_UTF8_H */
