/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  braze_trigger: a row that changes becomes a call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TRIGGER_H
#define BRAZE_TRIGGER_H

#include "commands/trigger.h"
#include "fmgr.h"

#include "functions/trigger_plan.h"

/*
 * a trigger with this address is one of ours, whatever the function is called
 */
extern PGDLLEXPORT Datum braze_trigger(PG_FUNCTION_ARGS);

/*
 * Queues the call that the trigger makes of a row when that is inserted, with
 * the rights of the current user.  Returns what braze_enqueue_call does.
 */
extern int64 braze_trigger_queue_row(const BrazeTriggerPlan *plan, const Trigger *trigger,
									 TupleDesc desc, HeapTuple tuple);

#endif							/* BRAZE_TRIGGER_H */
