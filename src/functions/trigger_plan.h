/*-------------------------------------------------------------------------
 *
 * trigger_plan.h
 *	  What a trigger does with a row, worked out once and kept for the session.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TRIGGER_PLAN_H
#define BRAZE_TRIGGER_PLAN_H

#include "commands/trigger.h"

#include "functions/virtual_columns.h"
#include "queue/column.h"

/* a text that goes into every call */
typedef struct BrazeTriggerLiteral
{
	const char *key;
	const char *text;
} BrazeTriggerLiteral;

typedef struct BrazeTriggerPlan
{
	Oid			trigger;		/* the hash key */
	Oid			relid;
	Oid			origin;			/* the table on which it was created: it may
								 * be a partition's clone */
	bool		valid;			/* cleared when the table changes */
	MemoryContext context;		/* owns all that follows */

	const char *where;			/* names the trigger and its table */
	const char *type;			/* of the call */
	int			nliterals;
	BrazeTriggerLiteral *literals;
	int			nfields;
	BrazeColumn *fields;		/* go to the top level of the call */
	const char *object;			/* "properties", "traits" or NULL: none */
	bool		whole;			/* is the one member the object itself? */
	int			nmembers;
	BrazeColumn *members;		/* go into the object */
	bool		send_removed;	/* does a value that becomes NULL go as null? */
	int			nabsent;
	int		   *absent;			/* columns without a value yet, see below */
	BrazeVirtualColumns virtual_columns;
	bool		only_changed;
	int			ncompared;
	int		   *compared;		/* columns that only_changed looks at */
	const char *destination;	/* NULL: the default */
} BrazeTriggerPlan;

/*
 * A BEFORE trigger comes before the generated columns are computed: in the new
 * row they have no value, or that of the old row.
 *
 * The plan of a trigger, from this session's cache.  Stays allocated until
 * the transaction ends.  Raises an error when the arguments make no sense.
 */
extern const BrazeTriggerPlan *braze_trigger_plan(const Trigger *trigger, Relation rel);

#endif							/* BRAZE_TRIGGER_PLAN_H */
