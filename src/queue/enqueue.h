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
 * keep_invalid makes a call that is rejected a dead letter whatever the setting
 * says.  It is for calls that come in from outside, where the sender of many
 * must not have them all refused because of one.
 *
 * Returns the id in the queue, or one of the two below.
 */
typedef enum BrazeEnqueueMode
{
	BRAZE_ENQUEUE_CALLER,
	BRAZE_ENQUEUE_NEVER_FAIL,
	BRAZE_ENQUEUE_KEEP_INVALID
} BrazeEnqueueMode;

#define BRAZE_NOT_QUEUED	0	/* a duplicate, by deduplicate, or no room */
#define BRAZE_DEAD_LETTER	(-1)

extern int64 braze_enqueue_call(BrazeNewCall call, const char *destination,
								Oid roleid, BrazeEnqueueMode mode);

#endif							/* BRAZE_ENQUEUE_H */
