/*-------------------------------------------------------------------------
 *
 * claims_bound.h
 *	  Which dead letters the worker has under way right now.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CLAIMS_BOUND_H
#define BRAZE_CLAIMS_BOUND_H

/*
 * The worker's part.  A letter is announced before the transaction that makes
 * it commits, and enters afterwards; it leaves when it is settled or back in
 * the queue.  enter returns what leave is to be told.
 */
extern void braze_claims_bound_announce(int64 letter);
extern int	braze_claims_bound_enter(int64 letter);
extern void braze_claims_bound_leave(int generation);

/* after any of these: what is no longer under way may be retried */
extern void braze_claims_bound_publish(void);

/*
 * Before the transaction that puts calls back commits, and after it before
 * publish: between two looks with the same count, none went back unseen.
 */
extern void braze_claims_bound_count_release(void);

/*
 * For everybody: no letter with a lower id is under way.  To be asked after the
 * letter was seen.  releases is how often calls were released so far.
 */
extern int64 braze_claims_bound_lowest(int64 *releases);

/* of a letter whose state says so: is it now, or was it when the worker ended? */
extern bool braze_claims_bound_holds(int64 letter);

#endif							/* BRAZE_CLAIMS_BOUND_H */
