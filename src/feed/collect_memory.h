/*-------------------------------------------------------------------------
 *
 * collect_memory.h
 *	  How much memory a collector may use.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_MEMORY_H
#define BRAZE_COLLECT_MEMORY_H

/*
 * bounds what the process takes from now on; again
 * whenever the settings were read
 */
extern void braze_collect_memory_bound(void);

/* bytes of text that a row may have at most */
extern int	braze_collect_memory_of_row(void);

#endif							/* BRAZE_COLLECT_MEMORY_H */
