/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  The settings segment_braze.*, all of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_GUC_H
#define BRAZE_GUC_H

/* segment_braze.on_invalid_call */
typedef enum BrazeOnInvalidCall
{
	BRAZE_INVALID_ERROR,
	BRAZE_INVALID_DEAD_LETTER
} BrazeOnInvalidCall;

/* of a session that queues */
extern char *braze_destination_setting; /* empty: not set */
extern int	braze_on_invalid_call;

/* of sessions and worker alike, lest a call that was queued is refused later */
extern int	braze_max_call_size;	/* kB */

/* of the server, from its start: places for destinations in shared memory */
extern int	braze_max_destinations;

/* of the worker */
extern bool braze_deliver;
extern int	braze_max_memory;	/* MB */
extern int	braze_restart_delay;	/* seconds */
extern int	braze_nap;			/* milliseconds */
extern int	braze_dead_letter_retention;
extern int	braze_activity_retention;	/* seconds, 0: for ever */

#define BRAZE_SYNC_WORKERS_LIMIT	64
extern int	braze_max_sync_workers;

/* while the library is loaded */
extern void braze_guc_init(void);

#endif							/* BRAZE_GUC_H */
