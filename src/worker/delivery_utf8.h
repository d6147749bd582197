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

/*
 * *length is that of the text, and then of the result, which is in the current
 * context.  NULL: it has a character that cannot be converted, which is no
 * error here: an error would end the read, and hold up all that come after the
 * call.
 */
extern const char *braze_delivery_utf8_text(const char *text, size_t *length);

/* the same of an object, and of where its name is in it; false is that NULL */
extern bool braze_delivery_utf8_object(const BrazeMapped *mapped, const BrazeObject *object,
									   BrazePackObject *packed);

/* why a call is rejected of which something cannot be converted */
extern char *braze_delivery_utf8_problem(void);

/*
 * Braze's words are UTF-8, and need not exist in the database's encoding.
 * Each such character becomes a question mark: what is said of a call must
 * never be why it cannot be settled.
 */
extern void braze_delivery_utf8_from_braze(char *reason);

#endif							/* BRAZE_DELIVERY_UTF8_H */
