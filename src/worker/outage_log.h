/*-------------------------------------------------------------------------
 *
 * outage_log.h
 *	  What the log says while a destination cannot be reached, and of pauses.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OUTAGE_LOG_H
#define BRAZE_OUTAGE_LOG_H

#include "worker/delivery.h"

/*
 * from time to time: has one been retrying for so long that it is to be told?
 */
extern void braze_outage_log_look(void);

/* Braze has answered it */
extern void braze_outage_log_answered(BrazeDelivery *delivery);

/* nothing is sent to it for now, and nobody will be told that it is back */
extern void braze_outage_log_cancel(BrazeDelivery *delivery);

/*
 * It is paused, as the catalogs or the key file say; NULL: no more.  What
 * Braze's answer paused is told by delivery_pause.c.
 */
extern void braze_outage_log_pause(const BrazeDelivery *delivery, const char *reason);

#endif							/* BRAZE_OUTAGE_LOG_H */
