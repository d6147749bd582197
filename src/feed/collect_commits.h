/*-------------------------------------------------------------------------
 *
 * collect_commits.h
 *	  Is what was collected safe here?  Only then is it deleted there.
 *
 * A transaction that others can see may be on no disk yet, if it did not wait
 * for that, and on no synchronous standby, if somebody has cancelled the wait.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_COMMITS_H
#define BRAZE_COLLECT_COMMITS_H

/* a transaction of ours has committed */
extern void braze_collect_commits_done(void);

/*
 * In no transaction, so that nothing is held meanwhile.  Returns when all that
 * was committed here is on disk, and on the standby if there is to be one; an
 * error if that cannot be said.
 */
extern void braze_collect_commits_wait(void);

#endif							/* BRAZE_COLLECT_COMMITS_H */
