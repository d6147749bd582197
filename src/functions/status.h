/*-------------------------------------------------------------------------
 *
 * status.h
 *	  What shared memory knows of this database's worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_STATUS_H
#define BRAZE_STATUS_H

/*
 * NULL when this database's worker runs and delivers; else what is missing, and
 * what to do.  starting: nothing is, and it will be there in a moment.
 */
extern const char *braze_status_why_no_worker(bool *starting);

#endif							/* BRAZE_STATUS_H */
