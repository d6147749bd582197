/*-------------------------------------------------------------------------
 *
 * claims_table.h
 *	  Calls that are dead letters while they are under way.
 *
 * Calls of at_most_once destinations leave the queue before they are sent.  A
 * row says where its call is, and afterwards where it was moved to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CLAIMS_TABLE_H
#define BRAZE_CLAIMS_TABLE_H

#include "queue/queue_table.h"
#include "store/settler.h"

typedef enum BrazeClaimResult
{
	BRAZE_CLAIM_DONE,
	BRAZE_CLAIM_GONE,			/* somebody deleted it */
	BRAZE_CLAIM_LATER			/* somebody has locked it, or its place is
								 * taken */
} BrazeClaimResult;

extern BrazeClaimResult braze_claims_table_claim(BrazeSettler *settler, BrazeSettleRow *row);
extern BrazeClaimResult braze_claims_table_release(BrazeSettler *settler, BrazeSettleRow *row);

/* as those of settle.c, for a call that is in flight */
extern BrazeSettled braze_claims_table_delete(BrazeSettler *settler, const BrazeSettleRow *row);
extern BrazeSettled braze_claims_table_reject(const BrazeSettleRow *row, const BrazeDeadLetter *letter);

#endif							/* BRAZE_CLAIMS_TABLE_H */
