/*-------------------------------------------------------------------------
 *
 * read_failure.h
 *	  Calls that raise an error when they are read or mapped.
 *
 * Such a call is tried again after a second, a few times.  Until then its
 * destination falls behind, and the others go on.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_READ_FAILURE_H
#define BRAZE_READ_FAILURE_H

#include "worker/delivery.h"

extern void braze_read_failure_note(BrazeDelivery *delivery, int64 id, const char *message);

/* is it too early to try again? */
extern bool braze_read_failure_waits(const BrazeDelivery *delivery);

/* the error for which the call is given up, NULL: it is to be tried */
extern const char *braze_read_failure_reason(const BrazeDelivery *delivery, int64 id);

/* the queue may have another call with this id from now on */
extern void braze_read_failure_reset(BrazeDelivery *delivery);

#endif							/* BRAZE_READ_FAILURE_H */
