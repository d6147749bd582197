/*-------------------------------------------------------------------------
 *
 * round_internal.h
 *	  What the files that hold the worker's transactions share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_INTERNAL_H
#define BRAZE_ROUND_INTERNAL_H

#include "pack/pack.h"
#include "queue/queue.h"
#include "utils/elog.h"
#include "utils/palloc.h"

/* lives as long as the worker */
extern MemoryContext braze_rounds_context;

/* a transaction whose errors are ours to handle */
extern void braze_round_begin(const char *activity);
extern void braze_round_end(void);

/* logs the error and cleans up; returns a copy that the caller frees */
extern ErrorData *braze_round_fail(MemoryContext caller);

/*
 * May what others added to a table run when it is written?  Then each call is
 * written in an attempt of its own, and after so long it is the others' turn.
 */
extern bool braze_round_settle_needs_care(void);

#define BRAZE_MAX_ROUND_MS	1000

extern BrazeSettleRow braze_round_settle_row_of(const BrazeCall *call);

#endif							/* BRAZE_ROUND_INTERNAL_H */
