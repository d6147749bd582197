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
 * it commits, with the id that its call had in the queue, and enters
 * afterwards; it leaves when it is settled or back in the queue.  enter returns
 * what leave is to be told.
 */
extern void braze_claims_bound_announce(int64 letter, int64 id);
extern int	braze_claims_bound_enter(int64 letter, int64 id);
extern void braze_claims_bound_leave(int generation);

/* after any of these: what is no longer under way may be retried */
extern void braze_claims_bound_publish(void);

/*
 * Before the transaction that puts calls back commits, and after it before
 * publish: between two looks with the same count, none went back unseen.
 */
extern void braze_claims_bound_count_release(void);

/* for everybody; to be asked after a letter was seen */
typedef struct BrazeClaimsBound
{
	int64		lowest_letter;	/* none with a lower id is under way */
	int64		highest_id;		/* and no call that had a higher one in the
								 * queue */
	int64		releases;		/* how often calls were released so far */
} BrazeClaimsBound;

extern BrazeClaimsBound braze_claims_bound_now(void);

/*
 * of a letter whose state says so: is it now, or was it when the worker ended?
 */
extern bool braze_claims_bound_holds(int64 letter);

#endif							/* BRAZE_CLAIMS_BOUND_H */
