/*-------------------------------------------------------------------------
 *
 * queued_in_transaction.h
 *	  What a transaction did to a destination, which counts when it commits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_QUEUED_IN_TRANSACTION_H
#define BRAZE_QUEUED_IN_TRANSACTION_H

#include "base/size_counter.h"

/* of one destination in one subtransaction */
typedef struct BrazeTally
{
	struct BrazeTally *next;
	struct BrazeTally *next_in_bucket;
	SubTransactionId subtransaction;
	NameData	destination;
	BrazeSizeCounter *size;
	int64		queued;			/* calls that our functions queued */
	int64		duplicates;		/* calls not queued because of deduplicate */
	int64		dropped;		/* because of on_full */
	int64		letters;		/* bytes of dead letters */
	BrazeSizeChange change;		/* rows; their bytes are open in size as well */
	int64		highest;		/* of their ids */
	bool		below;			/* some are up to the bound, and found in the
								 * table */
	bool		uncounted;		/* nor is one above it counted */
} BrazeTally;

/* that of the subtransaction under way */
extern BrazeTally *braze_queued_in_transaction(const char *destination);

/*
 * counts a row that was inserted, by whichever way, and what its call takes up
 */
extern void braze_queued_in_transaction_add(const char *destination, int64 id, int64 bytes);

/* counts a call that one of our functions has queued */
extern void braze_queued_in_transaction_queued(const char *destination);

/* counts a call that was dropped; true for the first one of the transaction */
extern bool braze_queued_in_transaction_dropped(const char *destination);

#endif							/* BRAZE_QUEUED_IN_TRANSACTION_H */
