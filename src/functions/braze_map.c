/*-------------------------------------------------------------------------
 *
 * braze_map.c
 *	  braze_map: what a call becomes, shown in SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "base/compat.h"
#include "base/guc.h"
#include "destination/destination.h"
#include "functions/srf.h"
#include "json/json_read.h"
#include "map/map.h"
#include "queue/column_values.h"

BRAZE_SQL_FUNCTION(braze_map);
BRAZE_SQL_FUNCTION(braze_map_queued);

#define MAP_COLUMNS		5

static const char *const outcomes[] = {
	[BRAZE_SEND] = "send",
	[BRAZE_SKIP] = "skip",
	[BRAZE_REJECT] = "reject",
};

/* of a query, for all the calls that it maps */
typedef struct MapState
{
	BrazeMapped *mapped;
	MemoryContext row;			/* for one row of the result */
} MapState;

static MapState *
map_state(FunctionCallInfo fcinfo)
{
	MapState   *state = fcinfo->flinfo->fn_extra;
	MemoryContext old;

	if (state != NULL)
		return state;
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	state = palloc(sizeof(MapState));
	state->mapped = braze_map_create();
	state->row = AllocSetContextCreate(CurrentMemoryContext, "braze_map row",
									   ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(old);
	fcinfo->flinfo->fn_extra = state;
	return state;
}

static Datum
span_text(const BrazeMapped *mapped, BrazeSpan span)
{
	return PointerGetDatum(cstring_to_text_with_len(mapped->text.data + span.offset,
													span.length));
}

#ifdef USE_ASSERT_CHECKING
/*
 * The text is what is sent, and jsonb keeps one of two equal keys: so none may
 * have been lost on the way.
 */
static bool
has_unique_keys(const char *json, int length, Jsonb *parsed)
{
	JsonbIterator *it = JsonbIteratorInit(&parsed->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		in_string = false;
	int			keys = 0;

	for (const char *end = json + length; json < end; json++)
	{
		if (in_string && *json == '\\')
			json++;
		else if (*json == '"')
			in_string = !in_string;
		else if (*json == ':' && !in_string)
			keys++;
	}
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			keys--;
	}
	return keys == 0;
}
#endif

static Datum
span_jsonb(const BrazeMapped *mapped, BrazeSpan span)
{
	const char *json = mapped->text.data + span.offset;
	Jsonb	   *parsed = braze_json_read(json, span.length);

	Assert(has_unique_keys(json, span.length, parsed));
	return JsonbPGetDatum(parsed);
}

/* the notes on one object, extra (may be NULL) first */
static ArrayType *
notes_array(const BrazeMapped *mapped, int object, const char *extra)
{
	Datum	   *notes;
	int			count = 0;

	if (extra == NULL && mapped->nnotes == 0)
		return construct_empty_array(TEXTOID);
	notes = palloc(sizeof(Datum) * (mapped->nnotes + 1));
	if (extra != NULL)
		notes[count++] = CStringGetTextDatum(extra);
	for (int i = 0; i < mapped->nnotes; i++)
	{
		if (mapped->notes[i].object == object)
			notes[count++] = span_text(mapped, mapped->notes[i].sentence);
	}
	return construct_array(notes, count, TEXTOID, -1, false, TYPALIGN_INT);
}

/*
 * The rows of a call that has been mapped.  wanted (may be NULL) are the
 * numbers of the objects to show; extra is a note on the call.
 */
static void
put_rows(ReturnSetInfo *result, const MapState *state, const int *wanted,
		 int nwanted, const char *extra)
{
	const BrazeMapped *mapped = state->mapped;
	Datum		values[MAP_COLUMNS];
	bool		nulls[MAP_COLUMNS];
	BrazeOutcome outcome = mapped->outcome;

	/*
	 * The worker would make a dead letter of such a call, and what is shown
	 * is what would happen.
	 */
	if (outcome == BRAZE_SEND && extra == NULL &&
		!braze_map_has_objects(mapped, wanted, nwanted))
	{
		outcome = BRAZE_REJECT;
		extra = BRAZE_OTHER_OBJECTS;
	}
	memset(nulls, false, sizeof(nulls));
	values[0] = CStringGetTextDatum(outcomes[outcome]);

	if (outcome != BRAZE_SEND)
	{
		nulls[1] = nulls[2] = nulls[3] = true;
		values[4] = PointerGetDatum(notes_array(mapped, 0, extra));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		return;
	}

	for (int i = 0; i < mapped->nobjects; i++)
	{
		const BrazeObject *object = &mapped->objects[i];
		const BrazeKindInfo *kind = &braze_kinds[object->kind];
		MemoryContext old;

		CHECK_FOR_INTERRUPTS();

		/*
		 * An order can become thousands of purchases, and the text of one row
		 * is not needed for the next.
		 */
		MemoryContextReset(state->row);
		if (wanted != NULL)
		{
			bool		found = false;

			for (int j = 0; j < nwanted && !found; j++)
				found = wanted[j] == braze_map_number(mapped, i);
			if (!found)
				continue;
		}
		old = MemoryContextSwitchTo(state->row);
		values[1] = CStringGetTextDatum(braze_endpoints[kind->endpoint].path);
		values[2] = CStringGetTextDatum(kind->array);
		values[3] = span_jsonb(mapped, object->json);
		values[4] = PointerGetDatum(notes_array(mapped, i, extra));
		MemoryContextSwitchTo(old);
		/* a note on the call stands once, on the first row that is shown */
		extra = NULL;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * the destination's settings; the defaults where the session has none to mean
 */
static const BrazeSettings *
find_settings(FunctionCallInfo fcinfo)
{
	BrazeDestinationProblem problem;
	const BrazeDestination *destination;

	if (!PG_ARGISNULL(1))
		return &braze_destination_for(NameStr(*PG_GETARG_NAME(1)), GetUserId())->settings;

	destination = braze_destination_find(NULL, GetUserId(), &problem);
	if (destination != NULL)
		return &destination->settings;

	/*
	 * None need exist to try a mapping out.  But one that is named in
	 * segment_braze.destination must be there, and of several the caller has
	 * to say which.
	 */
	if (problem.sqlstate == ERRCODE_AMBIGUOUS_PARAMETER ||
		(braze_destination_setting != NULL && braze_destination_setting[0] != '\0'))
		return &braze_destination_for(NULL, GetUserId())->settings;
	return braze_destination_default_settings();
}

Datum
braze_map(PG_FUNCTION_ARGS)
{
	MapState   *state;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("call must not be null"),
				 errhint("Pass a Segment call, such as '{\"type\": \"track\", \"userId\": \"u1\", \"event\": \"Signed Up\"}'.")));

	braze_srf_materialize(fcinfo, MAP_COLUMNS);
	state = map_state(fcinfo);
	braze_map_call(PG_GETARG_JSONB_P(0), BRAZE_SEGMENT_CALL, find_settings(fcinfo),
				   GetCurrentTransactionStartTimestamp(),
				   GetCurrentTransactionStartTimestamp(), state->mapped);
	put_rows((ReturnSetInfo *) fcinfo->resultinfo, state, NULL, 0, NULL);
	return (Datum) 0;
}

/*
 * What a call that is queued will become, for braze_pending.  Whoever may read
 * the queue may see it: no USAGE is asked for, and a server that is gone is a
 * note.
 */
Datum
braze_map_queued(PG_FUNCTION_ARGS)
{
	const BrazeSettings *settings = braze_destination_default_settings();
	MapState   *state;
	const int  *wanted = NULL;
	int			nwanted = 0;
	char	   *extra = NULL;

	braze_srf_materialize(fcinfo, MAP_COLUMNS);
	if (PG_ARGISNULL(0))
		return (Datum) 0;

	/*
	 * Never an error: this is asked of every row of the queue, and one row
	 * must not hide the others.
	 */
	if (PG_ARGISNULL(1))
		extra = "The call names no destination.";
	else
	{
		const char *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
		BrazeDestination *destination = braze_destination_load(name);

		if (destination != NULL)
			settings = &destination->settings;
		else
			extra = psprintf("There is no such server: \"%s\"; the call waits until there is.", name);
	}
	if (!PG_ARGISNULL(2))
		nwanted = braze_column_values_objects_read(PG_GETARG_DATUM(2), &wanted);

	state = map_state(fcinfo);
	braze_map_call(PG_GETARG_JSONB_P(0),
				   PG_ARGISNULL(4) ? BRAZE_SEGMENT_CALL : braze_segment_call_kind_read(PG_GETARG_DATUM(4)),
				   settings,
				   PG_ARGISNULL(3) ? GetCurrentTransactionStartTimestamp() : PG_GETARG_TIMESTAMPTZ(3),
				   GetCurrentTransactionStartTimestamp(), state->mapped);
	put_rows((ReturnSetInfo *) fcinfo->resultinfo, state, wanted, nwanted, extra);
	return (Datum) 0;
}
