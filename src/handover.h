/*-------------------------------------------------------------------------
 *
 * handover.h
 *	  A queue that logical replication hands over to a node which delivers.
 *
 * What that node has confirmed leaves the queue here.  Its replication slot
 * stands in braze_replication, where braze_hand_over put it: only from then on
 * is all that the queue holds certain to go through the slot.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_HANDOVER_H
#define BRAZE_HANDOVER_H

#include "postgres_ext.h"

extern void braze_handover_init(void);

/* in a transaction: to which slot is the queue handed over, if any? */
extern void braze_handover_refresh(void);

/* is it?  Then nothing is sent from here. */
extern bool braze_handed_over(void);

/* is there something that the other node has yet to confirm? */
extern bool braze_handover_waits(void);

/*
 * In a transaction each: takes note of what is in the queue, and deletes what
 * was confirmed.  Both return false when somebody has locked the table.  more
 * is set when there is further work at once.
 */
extern bool braze_handover_read(bool *more);
extern bool braze_handover_delete(bool *more);

/* the transaction has committed, or has not */
extern void braze_handover_end(bool committed);

/* an error has taken the transaction along */
extern void braze_handover_reset(void);

/* in any process: is somebody connected to this slot? */
extern bool braze_handover_is_received(const char *name);

#endif							/* BRAZE_HANDOVER_H */
