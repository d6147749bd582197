/*-------------------------------------------------------------------------
 *
 * sync_row.h
 *	  A row of a sync's query: its key, its hash, its call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SYNC_ROW_H
#define BRAZE_SYNC_ROW_H

#include "lib/stringinfo.h"

#include "feed/sync_plan.h"

/*
 * What the state knows a row by: the user, or the key of an event.  An error
 * when it is null, or no id.  Lives as long as the row and the current context.
 */
extern BrazeString braze_sync_row_key(const BrazeSyncPlan *plan, const BrazeRow *row);

/*
 * over the text of what would be sent; buffer is only memory to be used again
 */
extern int64 braze_sync_row_hash(const BrazeSyncPlan *plan, const BrazeRow *row,
								 StringInfo buffer);

/* the moment of an event */
extern TimestampTz braze_sync_row_time(const BrazeSyncPlan *plan, const BrazeRow *row);

/* known: the row was synced before, so what is null is to become null */
extern BrazeNewCall braze_sync_row_call(const BrazeSyncPlan *plan, const BrazeRow *row,
										bool known);

/* the call for a user whom the query does not return any more, by their key */
extern BrazeNewCall braze_sync_row_removal(const BrazeSyncPlan *plan, const char *key);

#endif							/* BRAZE_SYNC_ROW_H */
