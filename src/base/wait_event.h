/*-------------------------------------------------------------------------
 *
 * wait_event.h
 *	  What pg_stat_activity calls the waits of this extension.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_WAIT_EVENT_H
#define BRAZE_WAIT_EVENT_H

typedef enum BrazeWait
{
	BRAZE_WAIT_LAUNCHER_NAP,
	BRAZE_WAIT_LAUNCHER_RESTART_DELAY,
	BRAZE_WAIT_WORKER_NAP,
	BRAZE_WAIT_WORKER_ANSWER,
	BRAZE_WAIT_WORKER_SHUTDOWN,
	BRAZE_WAIT_FLUSH,
	BRAZE_WAIT_TEST,
	BRAZE_WAIT_PARTS,
	BRAZE_WAIT_COLLECTOR_NAP
} BrazeWait;

#define BRAZE_WAITS		(BRAZE_WAIT_COLLECTOR_NAP + 1)

/* for WaitLatch */
extern uint32 braze_wait_event(BrazeWait wait);

#endif							/* BRAZE_WAIT_EVENT_H */
