/*-------------------------------------------------------------------------
 *
 * stray_log.h
 *	  What the log says of calls whose ids the reader had passed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_STRAY_LOG_H
#define BRAZE_STRAY_LOG_H

#include "worker/delivery.h"

/* one was found */
extern void braze_stray_log_note(const BrazeDelivery *delivery, int64 id);

/* one line for all that were found since; read is the last id read */
extern void braze_stray_log_report(int64 read);

#endif							/* BRAZE_STRAY_LOG_H */
