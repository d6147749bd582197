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
