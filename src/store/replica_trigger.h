/*-------------------------------------------------------------------------
 *
 * replica_trigger.h
 *	  The trigger that has replicated rows wake the worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_REPLICA_TRIGGER_H
#define BRAZE_REPLICA_TRIGGER_H

/*
 * In a transaction: has braze_notify_replicated and braze_notify_deleted fire
 * for replicated rows again, if they are ordinary triggers.  Returns -1: not to
 * be called again soon.
 */
extern int	braze_replica_trigger_restore(void);

#endif							/* BRAZE_REPLICA_TRIGGER_H */
