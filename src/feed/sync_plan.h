/*-------------------------------------------------------------------------
 *
 * sync_plan.h
 *	  Which column of a sync's query is what.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_PLAN_H
#define BRAZE_SYNC_PLAN_H

#include "access/tupdesc.h"

#include "braze/hash.h"
#include "feed/sync.h"
#include "queue/column.h"
#include "queue/user_id.h"

/* how the text of a column, over which the hash goes, is had from a value */
typedef struct BrazeSyncOutput
{
	Oid			type;			/* domains looked through */
	FmgrInfo	function;
} BrazeSyncOutput;

typedef struct BrazeSyncPlan
{
	const BrazeSync *sync;
	TupleDesc	desc;
	int			user;			/* columns, from 0 */
	BrazeUserIdType user_type;
	int			event;			/* -1: none, as the next two */
	int			key;
	FmgrInfo	key_output;
	int			cursor;
	Oid			cursor_type;
	bool		whole;			/* is the one member the object itself? */
	int			nmembers;
	BrazeColumn *members;		/* of the traits or properties */
	BrazeSyncOutput *outputs;	/* one per member */
	BrazeHashKey hash_key;
} BrazeSyncPlan;

/*
 * In the current memory context, which also has to have sync.  An error where
 * the columns are not there, or cannot be what they are to be.
 */
extern BrazeSyncPlan *braze_sync_plan(const BrazeSync *sync, TupleDesc desc);

#endif							/* BRAZE_SYNC_PLAN_H */
