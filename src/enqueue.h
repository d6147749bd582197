/*-------------------------------------------------------------------------
 *
 * enqueue.h
 *	  Building a call, judging it and queueing it.
 *
 * What the queueing functions and the trigger have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ENQUEUE_H
#define BRAZE_ENQUEUE_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "call_kind.h"
#include "compat.h"

/* the setting segment_braze.on_invalid_call */
typedef enum BrazeOnInvalidCall
{
	BRAZE_INVALID_ERROR,
	BRAZE_INVALID_DEAD_LETTER
} BrazeOnInvalidCall;

extern int	braze_on_invalid_call;

/* the setting segment_braze.max_call_size, in kB */
extern int	braze_max_call_size;

/*
 * A call being built.  Keys are string constants; values that are passed as
 * Datums are not copied and must live until braze_call_finish.
 */
typedef struct BrazeCallBuilder
{
	BrazeJsonbState state;
	bool		has_time;
	bool		has_message_id;
} BrazeCallBuilder;

extern void braze_call_begin(BrazeCallBuilder *call, const char *type);
extern void braze_call_add_text(BrazeCallBuilder *call, const char *key,
								const char *value, int length);
extern void braze_call_add_jsonb(BrazeCallBuilder *call, const char *key, Jsonb *value);
extern void braze_call_add_timestamp(BrazeCallBuilder *call, const char *key,
									 TimestampTz value);

/* for values of other kinds: the key, after which the caller pushes the value */
extern void braze_call_add_key(BrazeCallBuilder *call, const char *key);

/* a call with timestamp and messageId, to be queued */
typedef struct BrazeNewCall
{
	Jsonb	   *json;
	BrazeCallKind kind;
	bool		has_own_id;		/* is the messageId the caller's, and not made by us? */
} BrazeNewCall;

/* adds timestamp and messageId where the caller added none */
extern BrazeNewCall braze_call_finish(BrazeCallBuilder *call);

/* pushes any jsonb, a scalar too, as the value of a key */
extern void braze_push_jsonb(BrazeJsonbState *state, Jsonb *value);

/* the call with timestamp and messageId, which are added where it has none */
extern BrazeNewCall braze_call_complete(Jsonb *call);

/*
 * Queues a call for roleid, whose right to the destination is
 * checked; NULL stands for the default destination.  A call that the mapping
 * rejects is an error or a dead letter, as segment_braze.on_invalid_call says.
 *
 * never_fail extends that to what is wrong with the destination.  It is for
 * the trigger; a caller of the functions learns at once that it lacks a right.
 *
 * reason, if not NULL, says why the call is invalid already.
 *
 * Returns the id in the queue, or 0 when the call became a dead letter or is a
 * duplicate, by the destination's option deduplicate.
 */
extern int64 braze_enqueue_call(BrazeNewCall call, const char *destination,
								Oid roleid, bool never_fail, const char *reason);

#endif							/* BRAZE_ENQUEUE_H */
