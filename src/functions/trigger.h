/*-------------------------------------------------------------------------
 *
 * trigger.h
 *	  braze_trigger: a row that changes becomes a call.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TRIGGER_H
#define BRAZE_TRIGGER_H

#include "fmgr.h"

/* a trigger with this address is one of ours, whatever the function is called */
extern PGDLLEXPORT Datum braze_trigger(PG_FUNCTION_ARGS);

#endif							/* BRAZE_TRIGGER_H */
