/*-------------------------------------------------------------------------
 *
 * round_read.h
 *	  Which rows of the queue a read takes, and which destination gets them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_READ_H
#define BRAZE_ROUND_READ_H

typedef enum BrazeReadResult
{
	BRAZE_READ_ALL,				/* nothing further is there for now */
	BRAZE_READ_MORE,			/* a further round would find rows */
	BRAZE_READ_FAILED,
	BRAZE_READ_LOCKED			/* the queue is, since a moment ago */
} BrazeReadResult;

extern void braze_round_read_init(void);

/*
 * Whatever becomes of it, what was taken is on disk before anybody hears of
 * it.
 */
extern BrazeReadResult braze_round_read_queue(void);

/* did the last read stop for want of memory, and is there some again? */
extern bool braze_round_read_may_go_on(void);

/* may rows appear that nobody announces, in holes? */
extern bool braze_round_read_has_holes(void);

#endif							/* BRAZE_ROUND_READ_H */
