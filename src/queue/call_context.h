/*-------------------------------------------------------------------------
 *
 * call_context.h
 *	  What an error says of the call that it is about.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CALL_CONTEXT_H
#define BRAZE_CALL_CONTEXT_H

#include "utils/jsonb.h"

/*
 * For a callback of error_context_stack.  call may be NULL; own_id: its
 * messageId came with it, one that was made here tells nobody anything.
 */
extern void braze_call_context(Jsonb *call, bool own_id);

#endif							/* BRAZE_CALL_CONTEXT_H */
