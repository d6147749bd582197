/*-------------------------------------------------------------------------
 *
 * trigger_trust.h
 *	  Whether a trigger may run with the rights of its table's owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TRIGGER_TRUST_H
#define BRAZE_TRIGGER_TRUST_H

#include "utils/relcache.h"
#include "utils/reltrigger.h"

/*
 * Raises an error when the trigger could run the code of a role that does not
 * have the privileges of the table's owner.
 */
extern void braze_trigger_trust_check(Relation rel, const Trigger *trigger);

#endif							/* BRAZE_TRIGGER_TRUST_H */
