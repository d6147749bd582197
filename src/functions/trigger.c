/*-------------------------------------------------------------------------
 *
 * trigger.c
 *	  braze_trigger: a row that changes becomes a call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/guc.h"
#include "destination/destination.h"
#include "functions/trigger.h"
#include "functions/trigger_plan.h"
#include "queue/column.h"
#include "queue/enqueue.h"

BRAZE_SQL_FUNCTION(braze_trigger);

/* a row on its way into a call */
typedef struct RowCall
{
	const BrazeTriggerPlan *plan;
	TupleDesc	desc;
	const BrazeRow *row;
	const BrazeRow *old;		/* before an update; NULL: it does not count */
	const char *problem;		/* of the row itself; NULL: none */
	Size		bytes;			/* of the values that are in the call */
	StringInfoData left_out;	/* a sentence for each that is not in it */
} RowCall;

static bool
fits_in_call(Size bytes)
{
	return bytes <= (Size) braze_max_call_size * 1024;
}

/* false, with a sentence, when the call has no room for it any more */
static bool
take_value(RowCall *row_call, const BrazeColumn *column, Datum datum)
{
	StringInfo	left_out = &row_call->left_out;
	Size		size = braze_column_size(column, datum);

	if (fits_in_call(row_call->bytes + size))
	{
		row_call->bytes += size;
		return true;
	}
	appendStringInfo(left_out, "%sWith the %zu bytes of column \"%s\" the call is larger than "
					 "segment_braze.max_call_size, %d kB.", left_out->len > 0 ? " " : "", size,
					 NameStr(TupleDescAttr(row_call->desc, column->index)->attname),
					 braze_max_call_size);
	return false;
}

static bool
is_removed(const RowCall *row_call, const BrazeColumn *column)
{
	return row_call->plan->send_removed && row_call->old != NULL &&
		!row_call->old->nulls[column->index];
}

/* the members of the call's object */
static void
add_members(BrazeCallBuilder *call, RowCall *row_call)
{
	const BrazeRow *row = row_call->row;

	for (int i = 0; i < row_call->plan->nmembers; i++)
	{
		const BrazeColumn *column = &row_call->plan->members[i];
		JsonbValue	null;

		null.type = jbvNull;
		if (!row->nulls[column->index])
		{
			if (!take_value(row_call, column, row->values[column->index]))
				continue;
			braze_call_builder_add_inner_key(call, column->key);
			braze_column_add(call, column, row->values[column->index]);
		}
		else if (is_removed(row_call, column))
		{
			braze_call_builder_add_inner_key(call, column->key);
			braze_call_builder_add_value(call, &null);
		}
	}
}

/* a value of the call itself, if there is one */
static void
add_column_field(BrazeCallBuilder *call, RowCall *row_call, const BrazeColumn *column, const char *key)
{
	Datum		datum = row_call->row->values[column->index];

	if (row_call->row->nulls[column->index] || !take_value(row_call, column, datum))
		return;
	braze_call_builder_add_key(call, key);
	braze_column_add(call, column, datum);
}

/* fills a call with what the plan takes of the row */
static void
add_row(BrazeCallBuilder *call, void *arg)
{
	RowCall    *row_call = arg;
	const BrazeTriggerPlan *plan = row_call->plan;

	/*
	 * From the start: after an error the same row is built once more, as
	 * text.
	 */
	row_call->bytes = 0;
	resetStringInfo(&row_call->left_out);
	if (row_call->problem != NULL)
		appendStringInfoString(&row_call->left_out, row_call->problem);
	for (int i = 0; i < plan->nliterals; i++)
		braze_call_builder_add_text(call, plan->literals[i].key, plan->literals[i].text,
									strlen(plan->literals[i].text));
	for (int i = 0; i < plan->nfields; i++)
		add_column_field(call, row_call, &plan->fields[i], plan->fields[i].key);
	if (plan->whole)
		add_column_field(call, row_call, &plan->members[0], plan->object);
	else if (plan->object)
	{
		braze_call_builder_add_key(call, plan->object);
		braze_call_builder_begin_object(call);
		add_members(call, row_call);
		braze_call_builder_end_object(call);
	}
}

/* by the sizes of the values, before anything is built of them */
static void
assess_columns(const BrazeRow *row, const BrazeColumn *columns, int ncolumns, Size *bytes,
			   bool *may_fail)
{
	for (int i = 0; i < ncolumns; i++)
	{
		const BrazeColumn *column = &columns[i];
		Datum		datum = row->values[column->index];

		if (row->nulls[column->index])
			continue;
		*bytes += braze_column_size(column, datum);
		*may_fail = *may_fail || braze_column_may_fail(column, datum);
	}
}

/*
 * With a reason where something of the row is not in the call: it becomes a
 * dead letter then.
 */
static BrazeNewCall
build_call(const BrazeTriggerPlan *plan, TupleDesc desc, const BrazeRow *row, const BrazeRow *old,
		   const char *problem)
{
	RowCall		row_call = {plan, desc, row, old, problem};
	Size		bytes = 0;
	bool		may_fail = false;
	BrazeNewCall call;

	initStringInfo(&row_call.left_out);
	assess_columns(row, plan->fields, plan->nfields, &bytes, &may_fail);
	assess_columns(row, plan->members, plan->nmembers, &bytes, &may_fail);
	call = braze_call_builder_build(plan->type, add_row, &row_call,
									!fits_in_call(bytes) ? BRAZE_CALL_TOO_LARGE :
									may_fail ? BRAZE_CALL_MAY_FAIL : BRAZE_CALL_SAFE);
	if (row_call.left_out.len > 0)
	{
		/* the text ended early, by an error: what came later is not left out */
		if (call.json == NULL && call.text == NULL)
			appendStringInfo(&row_call.left_out, " %s", call.reason);
		call.reason = row_call.left_out.data;
	}
	return call;
}

/* is one of the columns that the call depends on another than before? */
static bool
has_changed(const BrazeTriggerPlan *plan, TupleDesc desc, const BrazeRow *row, const BrazeRow *old)
{
	for (int i = 0; i < plan->ncompared; i++)
	{
		int			index = plan->compared[i];
		Form_pg_attribute attribute = TupleDescAttr(desc, index);

		if (row->nulls[index] != old->nulls[index])
			return true;

		/*
		 * By the bytes, since not every type has an equality, and one may be
		 * anybody's code.  At worst a row that is equal in another spelling
		 * is sent.
		 */
		if (!row->nulls[index] &&
			!datum_image_eq(row->values[index], old->values[index],
							attribute->attbyval, attribute->attlen))
			return true;
	}
	return false;
}

/* ----- what an error says of the row ----- */

/* bytes of a text that an error shows */
#define MAX_SHOWN	100

typedef struct ErrorRow
{
	const BrazeTriggerPlan *plan;
	const BrazeRow *row;
	const BrazeNewCall *call;	/* its json is NULL until it is built */
	const char *how;			/* it is queued */
} ErrorRow;

/* only of types whose output can neither fail nor look anything up */
static const char *
simple_value(const BrazeColumn *column, Datum datum)
{
	struct varlena *string;

	switch (column->base_type)
	{
		case INT2OID:
			return psprintf("%d", DatumGetInt16(datum));
		case INT4OID:
			return psprintf("%d", DatumGetInt32(datum));
		case INT8OID:
			return psprintf(INT64_FORMAT, DatumGetInt64(datum));
		case UUIDOID:
			return DatumGetCString(DirectFunctionCall1(uuid_out, datum));
		case TEXTOID:
		case VARCHAROID:
			string = (struct varlena *) DatumGetPointer(datum);
			if (VARATT_IS_EXTERNAL(string) || VARATT_IS_COMPRESSED(string))
				return NULL;
			return pnstrdup(VARDATA_ANY(string),
							pg_mbcliplen(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string), MAX_SHOWN));
		default:
			return NULL;
	}
}

/* the call itself says more, once there is one */
static void
describe_row(void *arg)
{
	const ErrorRow *error = arg;
	StringInfoData ids;

	initStringInfo(&ids);
	for (int i = 0; i < error->plan->nfields && error->call->json == NULL; i++)
	{
		const BrazeColumn *field = &error->plan->fields[i];
		const char *value;

		/*
		 * Who it is about and which call it is; other values are nobody's
		 * business in a log.
		 */
		if (error->row->nulls[field->index] ||
			(strcmp(field->key, "userId") != 0 && strcmp(field->key, "anonymousId") != 0 &&
			 strcmp(field->key, "messageId") != 0))
			continue;
		value = simple_value(field, error->row->values[field->index]);
		if (value != NULL)
			appendStringInfo(&ids, ", %s \"%s\"", field->key, value);
	}
	errcontext("%s, %s%s", error->plan->where, error->how, ids.data);
	pfree(ids.data);
}

/* columns that have no value yet when the trigger is fired */
static void
remove_absent(const BrazeTriggerPlan *plan, BrazeRow *row)
{
	for (int i = 0; i < plan->nabsent; i++)
		row->nulls[plan->absent[i]] = true;
}

int64
braze_trigger_queue_row(const BrazeTriggerPlan *plan, const Trigger *trigger, TupleDesc desc,
						HeapTuple tuple)
{
	BrazeRow	row = braze_column_deform_row(tuple, desc);
	BrazeNewCall call = {NULL};
	ErrorRow	error = {plan, &row, &call, "for a row that is backfilled"};
	ErrorContextCallback context = {error_context_stack, describe_row, &error};
	const char *problem = NULL;
	int64		id;

	error_context_stack = &context;
	remove_absent(plan, &row);
	if (!TRIGGER_FOR_BEFORE(trigger->tgtype))
		problem = braze_virtual_columns_compute(&plan->virtual_columns, tuple, desc, &row);
	call = build_call(plan, desc, &row, NULL, problem);
	id = braze_enqueue_call(call, plan->destination, GetUserId(), BRAZE_ENQUEUE_CALLER);
	error_context_stack = context.previous;
	return id;
}

/* whose right to the destination counts */
static Oid
owner_of(const BrazeTriggerPlan *plan, Relation rel)
{
	Oid			owner = rel->rd_rel->relowner;

	if (plan->origin != RelationGetRelid(rel))
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(plan->origin));

		/* the partition may have been detached by now */
		if (HeapTupleIsValid(tuple))
		{
			owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
			ReleaseSysCache(tuple);
		}
	}
	return owner;
}

Datum
braze_trigger(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	const BrazeTriggerPlan *plan;
	TupleDesc	desc;
	HeapTuple	tuple;
	BrazeRow	row;
	BrazeRow	before;
	const BrazeRow *old = NULL;
	const char *problem = NULL;
	BrazeNewCall call = {NULL};
	ErrorRow	error;
	ErrorContextCallback context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("braze_trigger is a trigger function"),
				 errhint("Call it from a trigger: CREATE TRIGGER ... FOR EACH ROW "
						 "EXECUTE FUNCTION braze_trigger(...).")));
	plan = braze_trigger_plan(data->tg_trigger, data->tg_relation);
	desc = RelationGetDescr(data->tg_relation);
	tuple = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ?
		data->tg_newtuple : data->tg_trigtuple;
	row = braze_column_deform_row(tuple, desc);
	if (TRIGGER_FIRED_BY_UPDATE(data->tg_event) &&
		(plan->send_removed || plan->only_changed))
	{
		before = braze_column_deform_row(data->tg_trigtuple, desc);
		old = &before;
	}

	/* in both rows: a column without a value is not one that was removed */
	if (!TRIGGER_FIRED_BY_DELETE(data->tg_event))
	{
		remove_absent(plan, &row);
		if (old != NULL)
			remove_absent(plan, &before);
	}

	/*
	 * From here on anything may fail by the values of the row, and an error
	 * names the row.
	 */
	error = (ErrorRow)
	{
		plan, &row, &call, "with the rights of the table's owner"
	};
	context = (ErrorContextCallback)
	{
		error_context_stack, describe_row, &error
	};
	error_context_stack = &context;

	/* the row that a DELETE removes is complete at any time */
	if (!TRIGGER_FIRED_BEFORE(data->tg_event) || TRIGGER_FIRED_BY_DELETE(data->tg_event))
	{
		problem = braze_virtual_columns_compute(&plan->virtual_columns, tuple, desc, &row);
		if (old != NULL)
			(void) braze_virtual_columns_compute(&plan->virtual_columns, data->tg_trigtuple,
												 desc, &before);
	}

	/*
	 * Only now: generated columns, which may be what has changed, have their
	 * values.
	 */
	if (old == NULL || !plan->only_changed || has_changed(plan, desc, &row, old))
	{
		call = build_call(plan, desc, &row, old, problem);
		(void) braze_enqueue_call(call, plan->destination,
								  owner_of(plan, data->tg_relation), BRAZE_ENQUEUE_NEVER_FAIL);
	}
	error_context_stack = context.previous;
	return PointerGetDatum(tuple);
}
