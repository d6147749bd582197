/*-------------------------------------------------------------------------
 *
 * segment_call.c
 *	  A Segment call, read out of jsonb.
 *
 * Knows the Segment spec, nothing of Braze but the names that its integration
 * has there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/call_kind.h"
#include "map/call_type.h"
#include "map/segment_call.h"

typedef struct FieldName
{
	const char *name;
	int			length;
	BrazeCallField field;
} FieldName;

#define NAMED(name)		name, sizeof(name) - 1

/*
 * In the order in which jsonb keeps keys (see braze_string_compare), so that
 * one walk over both finds them all.  The camelCase spelling of a field is
 * always the shorter one, comes first, and therefore wins.
 */
static const FieldName field_names[] = {
	{NAMED("name"), BRAZE_CALL_NAME},
	{NAMED("type"), BRAZE_CALL_TYPE},
	{NAMED("event"), BRAZE_CALL_EVENT},
	{NAMED("sentAt"), BRAZE_CALL_SENT_AT},
	{NAMED("traits"), BRAZE_CALL_TRAITS},
	{NAMED("userId"), BRAZE_CALL_USER_ID},
	{NAMED("context"), BRAZE_CALL_CONTEXT},
	{NAMED("groupId"), BRAZE_CALL_GROUP_ID},
	{NAMED("sent_at"), BRAZE_CALL_SENT_AT},
	{NAMED("user_id"), BRAZE_CALL_USER_ID},
	{NAMED("category"), BRAZE_CALL_CATEGORY},
	{NAMED("group_id"), BRAZE_CALL_GROUP_ID},
	{NAMED("_metadata"), BRAZE_CALL_METADATA},
	{NAMED("timestamp"), BRAZE_CALL_TIMESTAMP},
	{NAMED("previousId"), BRAZE_CALL_PREVIOUS_ID},
	{NAMED("properties"), BRAZE_CALL_PROPERTIES},
	{NAMED("receivedAt"), BRAZE_CALL_RECEIVED_AT},
	{NAMED("anonymousId"), BRAZE_CALL_ANONYMOUS_ID},
	{NAMED("previous_id"), BRAZE_CALL_PREVIOUS_ID},
	{NAMED("received_at"), BRAZE_CALL_RECEIVED_AT},
	{NAMED("anonymous_id"), BRAZE_CALL_ANONYMOUS_ID},
	{NAMED("integrations"), BRAZE_CALL_INTEGRATIONS},
	{NAMED("originalTimestamp"), BRAZE_CALL_ORIGINAL_TIMESTAMP},
	{NAMED("original_timestamp"), BRAZE_CALL_ORIGINAL_TIMESTAMP},
};

/* the names under which Segment has had its integration with Braze */
static const char *const integration_names[] = {
	"Braze", "Appboy", "Braze Cloud Mode (Actions)",
};

/* what stands under a name, in any case; false in one spelling is false */
static void
read_switch(BrazeCallIntegration *integration, JsonbContainer *object, const char *name)
{
	bool		all = strcmp(name, "All") == 0;
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value = {.type = jbvNull};

	braze_walk_object(&walk, object);
	while (braze_walk_pair(&walk, &key, &value))
	{
		if (key.length != (int) strlen(name) ||
			pg_strncasecmp(key.data, name, key.length) != 0)
			continue;
		if (value.type == jbvBool && !value.val.boolean)
		{
			if (all)
				integration->all_refused = true;
			else
				integration->refused = true;
		}
		else if (all)
			continue;
		else if (value.type == jbvBool)
			integration->asked_for = true;
		else if (braze_is_object(&value))
		{
			integration->asked_for = true;
			if (integration->nobjects < lengthof(integration->objects))
				integration->objects[integration->nobjects++] = value.val.binary.data;
		}
	}
}

static void
read_integrations(BrazeCallIntegration *integration, const JsonbValue *integrations)
{
	JsonbContainer *object = braze_object(integrations);

	if (object == NULL)
		return;

	read_switch(integration, object, "All");
	for (int i = 0; i < lengthof(integration_names); i++)
		read_switch(integration, object, integration_names[i]);
}

/* hostile lists are read this far */
#define MAX_BUNDLED		32

static bool
name_begins_with(BrazeString string, const char *prefix)
{
	int			length = strlen(prefix);

	return string.length >= length && pg_strncasecmp(string.data, prefix, length) == 0;
}

/*
 * The names of a list that are ours: Segment's destinations for Braze are
 * called such as "Braze Web Mode (Actions)".
 */
static int
read_our_names(const JsonbValue *list, BrazeString *names)
{
	BrazeWalk	walk;
	JsonbValue	value;
	int			count = 0;

	if (!braze_is_array(list))
		return 0;
	braze_walk_array(&walk, list->val.binary.data);
	while (count < MAX_BUNDLED && braze_walk_element(&walk, &value))
	{
		BrazeString name;

		if (value.type != jbvString)
			continue;
		name.data = value.val.string.val;
		name.length = value.val.string.len;
		if (name_begins_with(name, "Braze") || name_begins_with(name, "Appboy"))
			names[count++] = name;
	}
	return count;
}

/*
 * Segment's libraries for apps, as they call themselves in context.library.
 * Braze's plugins for them take identify and track calls alone.
 */
static const char *const app_libraries[] = {
	"analytics-swift", "analytics-kotlin", "@segment/analytics-react-native",
	"analytics-ios", "analytics-android",
};

static bool
comes_from_app(const BrazeSegmentCall *call)
{
	JsonbValue	name;

	if (!braze_segment_call_context_in(call, "library", "name", &name) ||
		name.type != jbvString)
		return false;
	for (int i = 0; i < lengthof(app_libraries); i++)
	{
		if (name.val.string.len == (int) strlen(app_libraries[i]) &&
			memcmp(name.val.string.val, app_libraries[i], name.val.string.len) == 0)
			return true;
	}
	return false;
}

/*
 * Is the call of a type that Segment's plugins hand to Braze's SDKs?  None of
 * them does so with alias and screen calls, and only the one for browsers does
 * with page and group calls.  The others come from here if at all.
 */
static bool
has_bundled_type(const BrazeSegmentCall *call)
{
	const JsonbValue *type = &call->fields[BRAZE_CALL_TYPE];

	if (type->type != jbvString)
		return false;
	switch (braze_call_type_find(type->val.string.val, type->val.string.len))
	{
		case BRAZE_TYPE_IDENTIFY:
		case BRAZE_TYPE_TRACK:
			return true;
		case BRAZE_TYPE_PAGE:
		case BRAZE_TYPE_GROUP:
			return !comes_from_app(call);
		default:
			return false;
	}
}

bool
braze_segment_call_is_bundled(const BrazeSegmentCall *call)
{
	JsonbContainer *metadata = braze_object(&call->fields[BRAZE_CALL_METADATA]);
	JsonbValue	list;
	BrazeString bundled[MAX_BUNDLED];
	BrazeString failed[MAX_BUNDLED];
	int			nbundled;
	int			nfailed = 0;

	if (metadata == NULL || !has_bundled_type(call) || !braze_lookup(metadata, "bundled", &list))
		return false;
	nbundled = read_our_names(&list, bundled);
	if (nbundled > 0 && braze_lookup(metadata, "failedInitializations", &list))
		nfailed = read_our_names(&list, failed);
	for (int i = 0; i < nbundled; i++)
	{
		bool		has_failed = false;

		/* an SDK that was blocked stands in both lists, and has sent nothing */
		for (int j = 0; j < nfailed && !has_failed; j++)
			has_failed = failed[j].length == bundled[i].length &&
				pg_strncasecmp(failed[j].data, bundled[i].data, bundled[i].length) == 0;
		if (!has_failed)
			return true;
	}
	return false;
}

void
braze_segment_call_read(BrazeSegmentCall *call, JsonbContainer *object)
{
	BrazeWalk	walk;
	BrazeString key;
	JsonbValue	value;
	int			next = 0;

	for (int i = 0; i < BRAZE_CALL_FIELDS; i++)
		call->fields[i].type = jbvNull;
	memset(&call->integration, 0, sizeof(call->integration));

	/*
	 * The walk over the keys and the table of names go on side by side, since
	 * both are in jsonb's order: a call with thousands of keys costs one
	 * pass, and no search for each field.
	 */
	braze_walk_object(&walk, object);
	while (next < lengthof(field_names) && braze_walk_pair(&walk, &key, &value))
	{
		int			order = 1;

		while (next < lengthof(field_names))
		{
			order = braze_string_compare(field_names[next].name, field_names[next].length,
										 key.data, key.length);
			if (order >= 0)
				break;
			next++;
		}
		/* a second spelling counts only where the first one says nothing */
		if (order == 0 && call->fields[field_names[next].field].type == jbvNull)
			call->fields[field_names[next].field] = value;
	}

	call->traits = braze_object(&call->fields[BRAZE_CALL_TRAITS]);
	call->properties = braze_object(&call->fields[BRAZE_CALL_PROPERTIES]);
	call->context = braze_object(&call->fields[BRAZE_CALL_CONTEXT]);

	if (call->fields[BRAZE_CALL_INTEGRATIONS].type != jbvNull)
		read_integrations(&call->integration, &call->fields[BRAZE_CALL_INTEGRATIONS]);

	/*
	 * Some libraries have it there.  Both are obeyed: what switches Braze off
	 * in either place does so.
	 */
	if (braze_segment_call_context(call, "integrations", &value))
		read_integrations(&call->integration, &value);
}

bool
braze_segment_call_context(const BrazeSegmentCall *call, const char *key, JsonbValue *value)
{
	return call->context != NULL && braze_lookup(call->context, key, value) &&
		value->type != jbvNull;
}

JsonbContainer *
braze_segment_call_context_traits(const BrazeSegmentCall *call)
{
	JsonbValue	value;

	return braze_segment_call_context(call, "traits", &value) ? braze_object(&value) : NULL;
}

bool
braze_segment_call_context_in(const BrazeSegmentCall *call, const char *object, const char *key,
							  JsonbValue *value)
{
	JsonbValue	inner;

	return braze_segment_call_context(call, object, &inner) && braze_is_object(&inner) &&
		braze_lookup(inner.val.binary.data, key, value) && value->type != jbvNull;
}

/* ----- whose meaning a call has ----- */

static const char *const kinds[] = {
	[BRAZE_SEGMENT_CALL] = "segment",
	[BRAZE_DELETE_USER_CALL] = "delete_user",
};

Datum
braze_segment_call_kind_text(BrazeCallKind kind)
{
	return CStringGetTextDatum(kinds[kind]);
}

/* -1: there is no such kind */
static int
find_kind(Datum value)
{
	struct varlena *name = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));

	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strlen(kinds[i]) == VARSIZE_ANY_EXHDR(name) &&
			memcmp(kinds[i], VARDATA_ANY(name), strlen(kinds[i])) == 0)
			return i;
	}
	return -1;
}

BrazeCallKind
braze_segment_call_kind_read(Datum value)
{
	int			kind = find_kind(value);

	if (kind < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("call_kind \"%s\" is not known", TextDatumGetCString(value)),
				 errhint("Valid values are segment and delete_user.")));
	return kind;
}

BrazeCallKind
braze_segment_call_kind_stored(Datum value)
{
	int			kind = find_kind(value);

	return kind < 0 ? BRAZE_SEGMENT_CALL : kind;
}
