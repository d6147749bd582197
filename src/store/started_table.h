/*-------------------------------------------------------------------------
 *
 * started_table.h
 *	  From which databases a destination delivers: braze_started.
 *
 * A note counts for one database of one server only, so that none of them
 * delivers because another does: neither a copy nor a restored, replicated or
 * upgraded database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_STARTED_TABLE_H
#define BRAZE_STARTED_TABLE_H

/* as for braze_paused, see paused_table.h */
extern bool braze_started_table_try_read(void);

/* was braze_start called for it in this database? */
extern bool braze_started_table_has(const char *destination);

/* for people: what to do when it was not */
extern char *braze_started_table_advice(const char *destination);

/* what a note names beside the destination */
extern int64 braze_started_table_system(void);

#endif							/* BRAZE_STARTED_TABLE_H */
