/*-------------------------------------------------------------------------
 *
 * trigger_condition.h
 *	  The WHEN condition of a trigger, asked of a row that is there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TRIGGER_CONDITION_H
#define BRAZE_TRIGGER_CONDITION_H

#include "commands/trigger.h"
#include "utils/relcache.h"

typedef struct BrazeTriggerCondition BrazeTriggerCondition;

/*
 * An error when it asks for more than the new row.  In the current memory
 * context; rel stays open.
 */
extern BrazeTriggerCondition *braze_trigger_condition_begin(const Trigger *trigger, Relation rel);

/* does the row meet it?  A trigger without a condition takes each row. */
extern bool braze_trigger_condition_holds(BrazeTriggerCondition *condition, HeapTuple tuple);

extern void braze_trigger_condition_end(BrazeTriggerCondition *condition);

#endif							/* BRAZE_TRIGGER_CONDITION_H */
