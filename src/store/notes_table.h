/*-------------------------------------------------------------------------
 *
 * notes_table.h
 *	  Counting what the mapping left out: braze_notes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_NOTES_TABLE_H
#define BRAZE_NOTES_TABLE_H

#include "map/map.h"

/* of a destination in the table; what goes beyond is counted together */
#define BRAZE_MAX_SERVER_NOTES		1000

extern void braze_notes_table_init(void);

/* the notes of a call that was mapped for delivery; no database involved */
extern void braze_notes_table_count(const char *destination, int64 id,
									const BrazeMapped *mapped);

/* a sentence that only delivery could find */
extern void braze_notes_table_add(const char *destination, int64 id, const char *sentence);

/* in a transaction: adds what was counted since to the table; returns -1 */
extern bool braze_notes_table_are_due(void);
extern int	braze_notes_table_store(void);

/* that transaction has committed */
extern void braze_notes_table_stored(void);

#endif							/* BRAZE_NOTES_TABLE_H */
