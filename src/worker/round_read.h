/*-------------------------------------------------------------------------
 *
 * round_read.h
 *	  Which rows of the queue a read takes, and which destination gets them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_READ_H
#define BRAZE_ROUND_READ_H

#include "store/reader.h"

/* in a read's round; true when a further one would find rows at once */
extern bool braze_round_read_read(BrazeReader *reader);

/* did the last read stop for want of memory, and is there some again? */
extern bool braze_round_read_may_go_on(void);

/*
 * After each read, also one that failed, and outside of its transaction:
 * what was taken is on disk before anybody hears of it.
 */
extern void braze_round_read_flush(void);

/* the round ended with an error, which is pinned on the row at the consumer */
extern void braze_round_read_failed(const BrazeReader *reader, const char *message);

#endif							/* BRAZE_ROUND_READ_H */
