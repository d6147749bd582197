/*-------------------------------------------------------------------------
 *
 * trigger_arguments.h
 *	  What the arguments of a trigger say, once they are understood.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TRIGGER_ARGUMENTS_H
#define BRAZE_TRIGGER_ARGUMENTS_H

#include "commands/trigger.h"

#include "functions/trigger_plan.h"

/*
 * Works out what the arguments ask for, and fills in all of the plan that
 * depends on them, in the current memory context.  Raises an error when they
 * make no sense.
 */
extern void braze_trigger_arguments_read(BrazeTriggerPlan *plan, const Trigger *trigger, Relation rel);

#endif							/* BRAZE_TRIGGER_ARGUMENTS_H */
