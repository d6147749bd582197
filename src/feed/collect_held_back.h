/*-------------------------------------------------------------------------
 *
 * collect_held_back.h
 *	  Destinations whose calls stay at their origin for now, and why.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_HELD_BACK_H
#define BRAZE_COLLECT_HELD_BACK_H

#include "feed/collect_notes.h"
#include "feed/collect_table.h"

/* all are forgotten */
extern void braze_collect_held_back_reset(void);

/* may its calls be queued by this role?  If not, they stay there from now on */
extern bool braze_collect_held_back_admits(const BrazeOrigin *origin, const BrazeCollectedRow *row);

/* the row stays for a reason of its own */
extern void braze_collect_held_back_add_row(const BrazeOrigin *origin, int64 id, const char *reason);

/* so long it took to find rows that stay; they are tried again the later */
extern void braze_collect_held_back_add_cost(int64 ms);

/*
 * Looks, from time to time, whether one of them can be collected now; then all
 * that stayed is to be read again.
 */
extern bool braze_collect_held_back_is_over(Oid role);

/* their names, a text[], for a query that leaves them out */
extern Datum braze_collect_held_back_names(void);

/* why calls stay there, for people; NULL: none does */
extern const char *braze_collect_held_back_reason(void);

#endif							/* BRAZE_COLLECT_HELD_BACK_H */
