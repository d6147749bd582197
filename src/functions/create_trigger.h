/*-------------------------------------------------------------------------
 *
 * create_trigger.h
 *	  CREATE TRIGGER ... EXECUTE FUNCTION braze_trigger(...) is checked at once.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CREATE_TRIGGER_H
#define BRAZE_CREATE_TRIGGER_H

/* while the library is loaded */
extern void braze_create_trigger_init(void);

/* is this function of a trigger braze_trigger? */
extern bool braze_create_trigger_is_ours(Oid function);

#endif							/* BRAZE_CREATE_TRIGGER_H */
