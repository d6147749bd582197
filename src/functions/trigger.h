/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  braze_trigger: a row that changes becomes a call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TRIGGER_H
#define BRAZE_TRIGGER_H

/*
 * CREATE TRIGGER has made this trigger, perhaps one of ours.  Raises an error
 * when its arguments make no sense, or when the current user may not use the
 * destination: the command fails then, not the application's first INSERT.
 */
extern void braze_trigger_created(Oid relid, const char *name);

#endif							/* BRAZE_TRIGGER_H */
