/*-------------------------------------------------------------------------
 *
 * memory_budget.h
 *	  How max_memory is shared by the destinations.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_MEMORY_BUDGET_H
#define BRAZE_MEMORY_BUDGET_H

#include "worker/delivery.h"

/* before the others are asked, in each step: what do all packs hold now? */
extern void braze_memory_budget_count(void);

/*
 * each time that the answers there are were taken: how many are still to come?
 */
extern void braze_memory_budget_answers_taken(BrazeDelivery *delivery);

/* is there memory for further calls? */
extern bool braze_memory_budget_has_room(BrazeDelivery *delivery);

/* so much that another read is worth it after one that filled it */
extern bool braze_memory_budget_has_much_room(BrazeDelivery *delivery);

/*
 * Is there some for a call of which the id is held?  Ids alone may fill the
 * memory there is, and would stay for ever if nothing could be read for them:
 * so they have a quarter more.
 */
extern bool braze_memory_budget_has_reserve(BrazeDelivery *delivery);

#endif							/* BRAZE_MEMORY_BUDGET_H */
