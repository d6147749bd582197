/*-------------------------------------------------------------------------
 *
 * phone.h
 *	  Telephone numbers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PHONE_H
#define BRAZE_PHONE_H

#include "json/jsonb_walk.h"

/* as ITU-T E.164 writes them: +14155552671 */
extern bool braze_phone_is_e164(BrazeString string);

#endif							/* BRAZE_PHONE_H */
