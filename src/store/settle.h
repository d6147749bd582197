/*-------------------------------------------------------------------------
 *
 * settle.h
 *	  Calls that are done leave the queue, the refused ones for dead letters.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_SETTLE_H
#define BRAZE_SETTLE_H

#include "queue/queue_table.h"
#include "store/settler.h"

/* is it still there? */
extern bool braze_settle_finds(BrazeSettler *settler, const BrazeSettleRow *row);

extern BrazeSettled braze_settle_delete(BrazeSettler *settler,
										const BrazeSettleRow *row);

/*
 * The same, and a dead letter is made of the row; letter lacks what the row
 * has.  Of a call that was queued again, the letter that is there is rewritten.
 */
extern BrazeSettled braze_settle_reject(BrazeSettler *settler,
										const BrazeSettleRow *row,
										const BrazeDeadLetter *letter);

#endif							/* BRAZE_SETTLE_H */
