/*-------------------------------------------------------------------------
 *
 * destination.c
 *	  A destination is a foreign server of the wrapper segment_braze.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_foreign_server.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/closest_name.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/name_list.h"
#include "destination/destination.h"
#include "destination/option_table.h"
#include "destination/option_validator.h"

#define WRAPPER_NAME	"segment_braze"

/*
 * What ordinary sessions use.  A session that queues for many roles or
 * destinations goes round this many; parsing one anew costs microseconds.
 */
#define CACHE_SIZE		16

/* names that a hint lists before it stops */
#define MAX_NAMES_IN_HINT	8

typedef struct CacheEntry
{
	NameData	name;			/* as asked for; empty: the only usable one */
	Oid			roleid;			/* InvalidOid: the entry is free */
	BrazeDestination *destination;
} CacheEntry;

static CacheEntry cache[CACHE_SIZE];
static int	cache_next = 0;		/* the entry to be replaced next */
static MemoryContext cache_context = NULL;

/* set by invalidation, which may come while a cached destination is in use */
static bool cache_is_stale = false;

static void
invalidate_cache(Datum arg, int cacheid, uint32 hashvalue)
{
	cache_is_stale = true;
}

const BrazeSettings *
braze_destination_default_settings(void)
{
	static BrazeSettings *settings = NULL;

	if (settings == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
		BrazeSettings *defaults = palloc(sizeof(BrazeSettings));

		braze_option_validator_load(NIL, defaults);
		settings = defaults;
		MemoryContextSwitchTo(old);
	}
	return settings;
}

/* the server of this name if it is one of our wrapper's, else NULL */
static ForeignServer *
find_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	if (server == NULL ||
		server->fdwid != get_foreign_data_wrapper_oid(WRAPPER_NAME, true))
		return NULL;
	return server;
}

/* what braze_sdk alone reads is the last part of the settings */
static bool
is_for_sdks(const char *name)
{
	for (int i = 0; i < braze_option_count; i++)
	{
		if (strcmp(braze_option_table[i].name, name) == 0)
			return braze_option_table[i].offset != BRAZE_NOT_A_SETTING &&
				braze_option_table[i].offset >= BRAZE_SETTING(sdk_endpoint);
	}
	return false;
}

/*
 * Those that change what is sent.  A zero byte ends each name and each value,
 * and is in none.
 */
static void
keep_options(BrazeDestination *destination, List *options)
{
	ListCell   *cell;

	initStringInfo(&destination->options);
	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);
		const char *value = defGetString(option);

		if (is_for_sdks(option->defname))
			continue;
		appendBinaryStringInfo(&destination->options, option->defname, strlen(option->defname) + 1);
		appendBinaryStringInfo(&destination->options, value, strlen(value) + 1);
	}
}

bool
braze_destination_is_same(const BrazeDestination *a, const BrazeDestination *b)
{
	return a->serverid == b->serverid && a->options.len == b->options.len &&
		memcmp(a->options.data, b->options.data, a->options.len) == 0;
}

BrazeDestination *
braze_destination_load(const char *name)
{
	MemoryContext context;
	MemoryContext old;
	ForeignServer *server;
	BrazeDestination *destination;

	/*
	 * also for what the look-up leaves behind: the caller's may live for ever
	 */
	context = AllocSetContextCreate(CurrentMemoryContext, "segment_braze destination",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	server = find_server(name);
	if (server == NULL)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return NULL;
	}
	destination = palloc0(sizeof(BrazeDestination));
	namestrcpy(&destination->name, server->servername);
	destination->serverid = server->serverid;
	destination->context = context;
	braze_option_validator_load(server->options, &destination->settings);
	keep_options(destination, server->options);

	/* the validator refuses it, and the catalogs may hold it all the same */
	if (destination->settings.delivery == BRAZE_AT_MOST_ONCE)
		destination->settings.changed_attributes_only = false;
	MemoryContextSwitchTo(old);
	return destination;
}

static int
compare_cells(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

List	   *
braze_destination_names(void)
{
	List	   *names = NIL;
	Oid			wrapper = get_foreign_data_wrapper_oid(WRAPPER_NAME, true);
	Relation	catalog;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(wrapper))
		return NIL;

	catalog = table_open(ForeignServerRelationId, AccessShareLock);
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server server = (Form_pg_foreign_server) GETSTRUCT(tuple);

		if (server->srvfdw == wrapper)
			names = lappend(names, pstrdup(NameStr(server->srvname)));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	list_sort(names, compare_cells);
	return names;
}

static bool
may_use(Oid serverid, Oid roleid)
{
	return braze_server_aclcheck(serverid, roleid, ACL_USAGE) == ACLCHECK_OK;
}

/* those of the names that roleid may use */
static List *
usable_names(List *names, Oid roleid)
{
	List	   *usable = NIL;
	ListCell   *cell;

	foreach(cell, names)
	{
		Oid			serverid = get_foreign_server_oid(lfirst(cell), true);

		if (OidIsValid(serverid) && may_use(serverid, roleid))
			usable = lappend(usable, lfirst(cell));
	}
	return usable;
}

List	   *
braze_destination_usable_names(Oid roleid)
{
	return usable_names(braze_destination_names(), roleid);
}

static char *
list_destinations(List *names)
{
	StringInfoData text;
	int			i = 0;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, names)
	{
		if (i++ == MAX_NAMES_IN_HINT)
		{
			braze_name_list_add(&text, "...");
			break;
		}
		braze_name_list_add(&text, psprintf("\"%s\"", (char *) lfirst(cell)));
	}
	return text.data;
}

static const char *
next_in_list(void *state)
{
	List	  **names = state;
	const char *name;

	if (*names == NIL)
		return NULL;
	name = linitial(*names);
	*names = list_delete_first(*names);
	return name;
}

static void
set_problem(BrazeDestinationProblem *problem, int sqlstate, char *message, char *hint)
{
	problem->sqlstate = sqlstate;
	problem->message = message;
	problem->detail = NULL;
	problem->hint = hint;
}

static char *
create_hint(void)
{
	return pstrdup("Create one with CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze "
				   "OPTIONS (datacenter 'US-01').");
}

static void
explain_missing(const char *name, Oid roleid, BrazeDestinationProblem *problem)
{
	List	   *usable = usable_names(braze_destination_names(), roleid);
	List	   *left = list_copy(usable);
	const char *closest = braze_closest_name(name, next_in_list, &left);
	char	   *hint;

	if (GetForeignServerByName(name, true) != NULL)
		hint = psprintf("Server \"%s\" belongs to another foreign-data wrapper.", name);
	else if (closest)
		hint = psprintf("Perhaps you meant \"%s\".", closest);
	else if (usable != NIL)
		hint = psprintf("Destinations to choose from: %s.", list_destinations(usable));
	else
		hint = create_hint();
	set_problem(problem, ERRCODE_UNDEFINED_OBJECT,
				psprintf("destination \"%s\" does not exist", name), hint);
}

static void
explain_denied(const char *name, Oid roleid, BrazeDestinationProblem *problem)
{
	char	   *role = GetUserNameFromId(roleid, true);

	set_problem(problem, ERRCODE_INSUFFICIENT_PRIVILEGE,
				psprintf("permission denied for destination \"%s\"", name),
				role == NULL ? NULL :
				psprintf("Its owner can run: GRANT USAGE ON FOREIGN SERVER %s TO %s.",
						 quote_identifier(name), quote_identifier(role)));
	if (role != NULL)
		problem->detail = psprintf("Role \"%s\" does not have USAGE on the foreign server.", role);
}

/* the one destination that roleid may use */
static const char *
only_usable_name(Oid roleid, BrazeDestinationProblem *problem)
{
	List	   *names = braze_destination_names();
	List	   *usable = usable_names(names, roleid);

	if (list_length(usable) == 1)
		return linitial(usable);

	/*
	 * What to do about it differs: to choose, to create one, or to ask for a
	 * right, of one owner or of any.
	 */
	if (usable != NIL)
		set_problem(problem, ERRCODE_AMBIGUOUS_PARAMETER,
					pstrdup("there are several destinations to choose from"),
					psprintf("Name one of %s in the argument destination or in the "
							 "setting segment_braze.destination.", list_destinations(usable)));
	else if (names == NIL)
		set_problem(problem, ERRCODE_UNDEFINED_OBJECT,
					pstrdup("there is no destination"), create_hint());
	else if (list_length(names) == 1)
		explain_denied(linitial(names), roleid, problem);
	else
	{
		char	   *role = GetUserNameFromId(roleid, true);

		set_problem(problem, ERRCODE_INSUFFICIENT_PRIVILEGE,
					pstrdup("permission denied for every destination"),
					pstrdup("Ask the owner of a destination for USAGE on its foreign server."));
		if (role != NULL)
			problem->detail = psprintf("Role \"%s\" does not have USAGE on any of their foreign servers.", role);
	}
	return NULL;
}

/*
 * An empty cache that hears of every change that matters to it: of a server and
 * its options, of the wrapper, and of roles and their memberships, on which the
 * privilege depends.  It does not hold keys, so user mappings do not matter.
 */
static void
reset_cache(void)
{
	if (cache_context == NULL)
	{
		cache_context = AllocSetContextCreate(TopMemoryContext, "segment_braze destinations",
											  ALLOCSET_SMALL_SIZES);
		CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate_cache, (Datum) 0);
		CacheRegisterSyscacheCallback(FOREIGNDATAWRAPPEROID, invalidate_cache, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, invalidate_cache, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMMEMROLE, invalidate_cache, (Datum) 0);
	}
	MemoryContextReset(cache_context);
	memset(cache, 0, sizeof(cache));
	cache_next = 0;
	cache_is_stale = false;
}

const BrazeDestination *
braze_destination_find(const char *name, Oid roleid, BrazeDestinationProblem *problem)
{
	const char *asked = name;
	CacheEntry *entry;
	MemoryContext old;
	BrazeDestination *destination;

	if (asked == NULL)
		asked = braze_destination_setting ? braze_destination_setting : "";

	/*
	 * Here and nowhere else: an invalidation only marks the cache, as it may
	 * come while a caller still uses what it got from here.  An entry belongs
	 * to a role and to a name as it was asked for, so a hit needs no look at
	 * the catalogs, not even to check the privilege: a GRANT or REVOKE
	 * invalidates the server.
	 */
	if (cache_context == NULL || cache_is_stale)
		reset_cache();
	for (int i = 0; i < CACHE_SIZE; i++)
	{
		if (cache[i].roleid == roleid && strcmp(NameStr(cache[i].name), asked) == 0)
			return cache[i].destination;
	}

	name = asked;
	if (name[0] == '\0')
	{
		name = only_usable_name(roleid, problem);
		if (name == NULL)
			return NULL;
	}

	/*
	 * The catalog lookups below may bring invalidations in.  They leave the
	 * entry that is made here marked stale, which is right: it may have been
	 * read half before and half after the change.
	 */
	old = MemoryContextSwitchTo(cache_context);
	destination = braze_destination_load(name);
	MemoryContextSwitchTo(old);
	if (destination == NULL)
	{
		explain_missing(name, roleid, problem);
		return NULL;
	}

	/* a refusal is not cached: it is rare, and an error for whoever gets it */
	if (!may_use(destination->serverid, roleid))
	{
		explain_denied(NameStr(destination->name), roleid, problem);
		MemoryContextDelete(destination->context);
		return NULL;
	}

	/*
	 * Entries take turns.  One that is used often goes as well, and comes
	 * back for the price of parsing it.  It is marked free before it is
	 * deleted, in case of an error.
	 */
	entry = &cache[cache_next];
	cache_next = (cache_next + 1) % CACHE_SIZE;
	if (OidIsValid(entry->roleid))
	{
		entry->roleid = InvalidOid;
		MemoryContextDelete(entry->destination->context);
	}
	namestrcpy(&entry->name, asked);
	entry->roleid = roleid;
	entry->destination = destination;
	return destination;
}

/*
 * The owner of the table has not set what the session has: without this, who
 * may INSERT could choose among the workspaces of that owner.
 */
const BrazeDestination *
braze_destination_find_in_trigger(const char *name, Oid owner, BrazeDestinationProblem *problem)
{
	Oid			session_role = GetOuterUserId();

	if (name == NULL && session_role != owner &&
		braze_destination_setting && braze_destination_setting[0] != '\0' &&
		braze_destination_find(NULL, session_role, problem) == NULL)
	{
		if (problem->sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE)
		{
			problem->detail = psprintf("%s%sThe setting segment_braze.destination names it, since the trigger names none.",
									   problem->detail ? problem->detail : "",
									   problem->detail ? "  " : "");
			problem->hint = pstrdup("Name the destination in the trigger, or reset the setting.");
		}
		return NULL;
	}
	return braze_destination_find(name, owner, problem);
}

void
braze_destination_report(const BrazeDestinationProblem *problem)
{
	ereport(ERROR,
			(errcode(problem->sqlstate),
			 errmsg("%s", problem->message),
			 problem->detail ? errdetail("%s", problem->detail) : 0,
			 problem->hint ? errhint("%s", problem->hint) : 0));
}

const BrazeDestination *
braze_destination_for(const char *name, Oid roleid)
{
	BrazeDestinationProblem problem;
	const BrazeDestination *destination = braze_destination_find(name, roleid, &problem);

	if (destination == NULL)
		braze_destination_report(&problem);
	return destination;
}
