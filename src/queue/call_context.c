/*-------------------------------------------------------------------------
 *
 * call_context.c
 *	  What an error says of the call that it is about.
 *
 * An application that inserts a thousand rows is told which one it was.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/numeric.h"

#include "json/jsonb_walk.h"
#include "queue/call_context.h"

/* bytes of an identifier or a type that an error shows */
#define MAX_SHOWN	100

static void
append_member(StringInfo text, const char *label, const char *other, Jsonb *call)
{
	JsonbValue	value;
	char	   *number;

	if ((!braze_lookup(&call->root, label, &value) || value.type == jbvNull) &&
		(other == NULL || !braze_lookup(&call->root, other, &value)))
		return;
	if (value.type == jbvString)
		appendStringInfo(text, "%s %s \"%.*s\"", text->len > 0 ? "," : "", label,
						 pg_mbcliplen(value.val.string.val, value.val.string.len, MAX_SHOWN),
						 value.val.string.val);
	else if (value.type == jbvNumeric)
	{
		/* a user id that is a number, without zeros at its end */
		number = numeric_normalize(value.val.numeric);
		appendStringInfo(text, "%s %s %.*s", text->len > 0 ? "," : "", label, MAX_SHOWN, number);
	}
}

void
braze_call_context(Jsonb *call, bool own_id)
{
	StringInfoData text;

	initStringInfo(&text);
	if (call != NULL && JB_ROOT_IS_OBJECT(call))
	{
		append_member(&text, "type", NULL, call);
		append_member(&text, "userId", "user_id", call);
		append_member(&text, "anonymousId", "anonymous_id", call);
		if (own_id)
			append_member(&text, "messageId", "message_id", call);
	}
	errcontext("queueing a call%s%s", text.len > 0 ? ":" : "", text.data);

	/* this runs in ErrorContext, which the error itself needs */
	pfree(text.data);
}
