/*-------------------------------------------------------------------------
 *
 * read_blocked.h
 *	  What the log and the status say while the queue cannot be read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_READ_BLOCKED_H
#define BRAZE_READ_BLOCKED_H

/* what keeps it from being read; empty: nothing does any more */
extern void braze_read_blocked_report(const char *problem);

#endif							/* BRAZE_READ_BLOCKED_H */
