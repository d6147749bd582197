/*-------------------------------------------------------------------------
 *
 * enqueue.h
 *	  Judging a call and queueing it.
 *
 * What the queueing functions and the trigger have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ENQUEUE_H
#define BRAZE_ENQUEUE_H

#include "queue/call_builder.h"

/*
 * Queues a call for roleid, whose right to the destination is
 * checked; NULL stands for the default destination.  A call that the mapping
 * rejects is an error or a dead letter, as segment_braze.on_invalid_call says.
 *
 * never_fail extends that to what is wrong with the destination.  It is for
 * the trigger; a caller of the functions learns at once that it lacks a right.
 *
 * Returns the id in the queue, or 0 when the call became a dead letter or is a
 * duplicate, by the destination's option deduplicate.
 */
extern int64 braze_enqueue_call(BrazeNewCall call, const char *destination,
								Oid roleid, bool never_fail);

#endif							/* BRAZE_ENQUEUE_H */
