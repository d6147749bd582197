/*-------------------------------------------------------------------------
 *
 * deliveries.h
 *	  All destinations of the database that the worker knows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERIES_H
#define BRAZE_DELIVERIES_H

#include "worker/delivery.h"

/* they stay in the list when their server is dropped: calls may be under way */
extern List *braze_deliveries;	/* of BrazeDelivery * */

/*
 * Those of them that may have something to do.  Of many destinations most have
 * nothing, and the steps of each turn need not look at these.
 */
extern List *braze_deliveries_at_work;

/* whoever gives a call to one that may be at rest, or changes it, calls this */
extern void braze_deliveries_put_to_work(BrazeDelivery *delivery);
extern void braze_deliveries_put_all_to_work(void);

/* takes those out of the list that have nothing to do now */
extern void braze_deliveries_let_rest(void);

/* lives as long as the worker */
extern MemoryContext braze_deliveries_context;

extern void braze_deliveries_init(void);

/* at the end of the list */
extern void braze_deliveries_add(BrazeDelivery *delivery);

/* it is taken out of the list, and about to be freed */
extern void braze_deliveries_not_found_again(const BrazeDelivery *delivery);

/* by the name of its server, which may be any text */
extern BrazeDelivery *braze_deliveries_find(const char *name);

/* the pack could not allocate what it needs: ends the process with an error */
extern void braze_deliveries_out_of_memory(void);

#endif							/* BRAZE_DELIVERIES_H */
