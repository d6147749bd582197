/*-------------------------------------------------------------------------
 *
 * call_builder.h
 *	  Building a call, as jsonb or, where that cannot be, as text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CALL_BUILDER_H
#define BRAZE_CALL_BUILDER_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/jsonb.h"

#include "base/call_kind.h"
#include "base/compat.h"

/*
 * A call being built.  Keys are string constants; values that are passed as
 * Datums are not copied and must live until braze_call_builder_finish.
 */
typedef struct BrazeCallBuilder
{
	BrazeJsonbState state;
	StringInfo	text;			/* NULL: it becomes jsonb */
	bool		has_time;
	bool		has_message_id;
} BrazeCallBuilder;

extern void braze_call_builder_begin(BrazeCallBuilder *call, const char *type);

/* a key of the call, of an object in it, and the values that follow one */
extern void braze_call_builder_add_key(BrazeCallBuilder *call, const char *key);
extern void braze_call_builder_add_inner_key(BrazeCallBuilder *call, const char *key);
extern void braze_call_builder_begin_object(BrazeCallBuilder *call);
extern void braze_call_builder_end_object(BrazeCallBuilder *call);
extern void braze_call_builder_add_value(BrazeCallBuilder *call, JsonbValue *value);
extern void braze_call_builder_add_document(BrazeCallBuilder *call, Jsonb *value);

/* both at once */
extern void braze_call_builder_add_text(BrazeCallBuilder *call, const char *key,
										const char *value, int length);
extern void braze_call_builder_add_jsonb(BrazeCallBuilder *call, const char *key, Jsonb *value);
extern void braze_call_builder_add_timestamp(BrazeCallBuilder *call, const char *key,
											 TimestampTz value);

/* a call with timestamp and messageId, to be queued */
typedef struct BrazeNewCall
{
	Jsonb	   *json;			/* NULL: it cannot be jsonb */
	char	   *text;			/* what it is then; NULL: not even that */
	const char *reason;			/* why it cannot be sent, if json is NULL at
								 * least; NULL: it may */
	BrazeCallKind kind;
	bool		has_own_id;		/* is the messageId the caller's, and not made
								 * by us? */
} BrazeNewCall;

/* adds timestamp and messageId where the caller added none */
extern BrazeNewCall braze_call_builder_finish(BrazeCallBuilder *call);

/*
 * What may happen when jsonb is made of the values of a call.  Errors are not
 * rare: json allows characters and numbers that jsonb does not, a cast to json
 * is somebody's function, and a deep document exhausts the stack.
 */
typedef enum BrazeCallRisk
{
	BRAZE_CALL_SAFE,
	BRAZE_CALL_MAY_FAIL,
	BRAZE_CALL_TOO_LARGE		/* it is not tried */
} BrazeCallRisk;

/* adds all to a call that has been begun; perhaps called twice, see below */
typedef void (*BrazeCallFill) (BrazeCallBuilder *call, void *arg);

/*
 * Builds a call.  When invalid calls are to become dead letters, no value
 * makes this fail: the call is text then, or not even that, with the reason.
 * One that is too large is text in any case, and fill may say why.
 */
extern BrazeNewCall braze_call_builder_build(const char *type, BrazeCallFill fill, void *arg,
											 BrazeCallRisk risk);

/* the call with timestamp and messageId, which are added where it has none */
extern BrazeNewCall braze_call_builder_complete(Jsonb *call);

/*
 * What somebody else has sent as text, as jsonb.  NULL, and why not, when it
 * is none.
 */
extern Jsonb *braze_call_builder_read(const char *text, const char **reason);

/*
 * Runs body in a subtransaction.  An error that is the fault of a value is
 * returned, all others are raised.
 */
extern ErrorData *braze_call_builder_try(void (*body) (void *arg), void *arg);

/* may a document of that many bytes be too deep for the stack? */
extern bool braze_call_builder_may_be_deep(Size bytes);

#endif							/* BRAZE_CALL_BUILDER_H */
