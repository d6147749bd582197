/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  SQL statements on the extension's tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timeout.h"

#include "base/attempt.h"
#include "base/name_list.h"
#include "base/statement.h"
#include "base/trigger_trust.h"

/*
 * a trigger that goes on after the cancel has this long until the worker ends
 */
#define END_MS			1000

/* more plans than there are statements: names of tables and columns changed */
#define MAX_PLANS		64

typedef struct KeptPlan
{
	struct KeptPlan *next;
	SPIPlanPtr	plan;
	int			nargs;
	Oid		   *types;
	char		text[FLEXIBLE_ARRAY_MEMBER];
} KeptPlan;

typedef struct Caller
{
	Oid			user;
	int			context;
	int			guc_level;
} Caller;

static KeptPlan *plans = NULL;
static int	nplans = 0;

/* statements under way: a trigger of one may run another */
static int	depth = 0;

/* those of them on tables with triggers or rules of others */
static volatile sig_atomic_t with_others = 0;

static bool is_worker = false;
static TimeoutId cancel_timeout;
static TimeoutId end_timeout;
static volatile sig_atomic_t timed_out = false;
static volatile sig_atomic_t has_ended_worker = false;

/* ----- whose triggers ----- */

/* ours only tell the worker, which whoever writes here does or is */
static bool
is_own_trigger(const Trigger *trigger)
{
	return strcmp(trigger->tgname, "braze_notify_deleted") == 0 ||
		strcmp(trigger->tgname, "braze_notify_queued") == 0 ||
		strcmp(trigger->tgname, "braze_notify_replicated") == 0 ||
		strcmp(trigger->tgname, "braze_notify_paused") == 0 ||
		strcmp(trigger->tgname, "braze_notify_started") == 0;
}

static bool
is_enabled_for(const Trigger *trigger, CmdType operation)
{
	if (trigger->tgenabled == TRIGGER_DISABLED)
		return false;
	switch (operation)
	{
		case CMD_INSERT:
			return TRIGGER_FOR_INSERT(trigger->tgtype);
		case CMD_UPDATE:
			return TRIGGER_FOR_UPDATE(trigger->tgtype);
		case CMD_DELETE:
			return TRIGGER_FOR_DELETE(trigger->tgtype);
		default:
			return false;
	}
}

static bool
is_fired_by(const Trigger *trigger, CmdType operation)
{
	/* in this order, since the worker asks for each row that it deletes */
	return is_enabled_for(trigger, operation) && !is_own_trigger(trigger);
}

/*
 * Whatever the statement is said to do: one that inserts may update and delete
 * as well, by ON CONFLICT or in a WITH.  Also those that have the name of one
 * of ours, which another table may have.
 */
static void
check_triggers(const BrazeStatement *statement)
{
	/* the look-ups may have the table's own list built anew */
	TriggerDesc *triggers = CopyTriggerDesc(statement->rel->trigdesc);

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (is_enabled_for(trigger, CMD_INSERT) || is_enabled_for(trigger, CMD_UPDATE) ||
			is_enabled_for(trigger, CMD_DELETE))
			braze_trigger_trust_check(statement->rel, trigger);
	}
	FreeTriggerDesc(triggers);
}

bool
braze_statement_is_needed(Relation rel, CmdType operation)
{
	if (rel->rd_rules != NULL)
		return true;
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		if (is_fired_by(&rel->trigdesc->triggers[i], operation))
			return true;
	}
	return false;
}

/* whatever the statement does, as for check_triggers() */
static bool
may_run_others(Relation rel)
{
	return braze_statement_is_needed(rel, CMD_INSERT) ||
		braze_statement_is_needed(rel, CMD_UPDATE) ||
		braze_statement_is_needed(rel, CMD_DELETE);
}

bool
braze_statement_runs_others(void)
{
	return with_others > 0;
}

/* for people: the triggers of others that the statement fires, and rules */
static char *
list_suspects(const BrazeStatement *statement)
{
	Relation	rel = statement->rel;
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &rel->trigdesc->triggers[i];

		if (!is_fired_by(trigger, statement->operation))
			continue;
		braze_name_list_add(&names, psprintf("trigger \"%s\"", trigger->tgname));
	}
	if (rel->rd_rules != NULL)
		braze_name_list_add(&names, "a rule");
	return names.data;
}

/* for people: what is written, and with whose rights */
static char *
describe_statement(const BrazeStatement *statement)
{
	char	   *suspects = list_suspects(statement);

	return psprintf("writing table \"%s\" as its owner \"%s\"%s%s",
					RelationGetRelationName(statement->rel),
					GetUserNameFromId(statement->rel->rd_rel->relowner, true),
					suspects[0] != '\0' ? ", with " : "", suspects);
}

/* looks nothing up: after an error that may not be possible any more */
static void
name_triggers(void *arg)
{
	const BrazeStatement *statement = arg;
	char	   *suspects = list_suspects(statement);

	if (suspects[0] != '\0')
		errcontext("row of table \"%s\", with %s",
				   RelationGetRelationName(statement->rel), suspects);
	else
		errcontext("row of table \"%s\"", RelationGetRelationName(statement->rel));
}

/* ----- the limit of time ----- */

static void
cancel_statement(void)
{
	timed_out = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

/* a trigger may catch a cancel, but not this */
static void
end_worker(void)
{
	has_ended_worker = true;
	ProcDiePending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

void
braze_statement_init_worker(void)
{
	is_worker = true;
	cancel_timeout = RegisterTimeout(USER_TIMEOUT, cancel_statement);
	end_timeout = RegisterTimeout(USER_TIMEOUT, end_worker);
}

bool
braze_statement_is_worker(void)
{
	return is_worker;
}

bool
braze_statement_has_ended_worker(void)
{
	return has_ended_worker;
}

/*
 * Two timeouts: a cancel first, and the end of the process for what goes on all
 * the same.  statement_timeout is for what a client sends, and not for this.
 */
static void
limit_time(void)
{
	timed_out = false;
	enable_timeout_after(cancel_timeout, BRAZE_STATEMENT_MS);
	enable_timeout_after(end_timeout, BRAZE_STATEMENT_MS + END_MS);
}

/* true: its time was over, whether it noticed or not */
static bool
end_time(void)
{
	disable_timeout(cancel_timeout, false);
	disable_timeout(end_timeout, false);

	/*
	 * a cancel that came too late for the statement must not hit what follows
	 */
	if (timed_out)
		QueryCancelPending = false;
	return timed_out;
}

/* remembered, so that it is not tried at once again; then an error */
static void
report_time(const BrazeStatement *statement)
{
	braze_attempt_too_long(RelationGetRelid(statement->rel), statement->operation);
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("it took longer than %d s", BRAZE_STATEMENT_MS / 1000)));
}

/* ----- plans ----- */

static bool
is_plan_of(const KeptPlan *plan, const BrazeStatement *statement)
{
	return plan->nargs == statement->nargs && strcmp(plan->text, statement->text) == 0 &&
		memcmp(plan->types, statement->types, sizeof(Oid) * plan->nargs) == 0;
}

static void
free_plans(void)
{
	KeptPlan   *plan;

	while ((plan = plans) != NULL)
	{
		plans = plan->next;
		SPI_freeplan(plan->plan);
		pfree(plan->types);
		pfree(plan);
	}
	nplans = 0;
}

static SPIPlanPtr
prepare_plan(const BrazeStatement *statement)
{
	SPIPlanPtr	plan = SPI_prepare(statement->text, statement->nargs,
								   unconstify(Oid *, statement->types));

	if (plan == NULL)
		elog(ERROR, "could not prepare to write to table \"%s\": %s",
			 RelationGetRelationName(statement->rel), SPI_result_code_string(SPI_result));
	return plan;
}

/*
 * Kept for the session; PostgreSQL plans it anew when a table has changed.  It
 * does not see that a rule is gone which had left nothing to do.
 */
static SPIPlanPtr
plan_of(const BrazeStatement *statement)
{
	SPIPlanPtr	prepared;
	KeptPlan   *plan;

	if (statement->rel->rd_rules != NULL)
		return prepare_plan(statement);
	for (plan = plans; plan != NULL; plan = plan->next)
	{
		if (is_plan_of(plan, statement))
			return plan->plan;
	}

	/*
	 * The text changes with the names of columns, so plans may pile up. Those
	 * of the statements around this one are in use.
	 */
	if (nplans >= MAX_PLANS && depth == 1)
		free_plans();
	prepared = prepare_plan(statement);
	if (SPI_keepplan(prepared) != 0)
		elog(ERROR, "could not keep a plan");
	plan = MemoryContextAlloc(TopMemoryContext,
							  offsetof(KeptPlan, text) + strlen(statement->text) + 1);
	plan->plan = prepared;
	plan->nargs = statement->nargs;
	plan->types = MemoryContextAlloc(TopMemoryContext, sizeof(Oid) * Max(plan->nargs, 1));
	memcpy(plan->types, statement->types, sizeof(Oid) * plan->nargs);
	strcpy(plan->text, statement->text);
	plan->next = plans;
	plans = plan;
	nplans++;
	return prepared;
}

/* ----- running it ----- */

static void
become_role(Oid roleid, const char *search_path, int context, Caller *caller)
{
	caller->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", search_path, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	GetUserIdAndSecContext(&caller->user, &caller->context);
	SetUserIdAndSecContext(roleid,
						   caller->context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION | context);
}

/*
 * The owner's rights, as for a foreign key's check: what others added runs with
 * those of who could add it anyway, and never with a superuser's.  Triggers are
 * the exception, which a role without these rights may add: check_triggers
 * refuses theirs.  A restricted
 * operation keeps it from leaving traps in the session, and search_path
 * from meaning other objects than the text does.
 */
static void
become_owner(Relation rel, Caller *caller)
{
	become_role(rel->rd_rel->relowner, BRAZE_OWN_PATH, SECURITY_NOFORCE_RLS, caller);
}

/* an error does the same when its transaction or subtransaction is aborted */
static void
become_caller(const Caller *caller)
{
	AtEOXact_GUC(false, caller->guc_level);
	SetUserIdAndSecContext(caller->user, caller->context);
}

/*
 * What a trigger defers would run at the commit, as the worker's user.  Before
 * each statement, since a trigger of the last one may have set this back.  The
 * transaction of a session is not ours: there PostgreSQL refuses to defer.
 */
static void
defer_nothing(void)
{
	ConstraintsSetStmt *set = makeNode(ConstraintsSetStmt);

	set->deferred = false;
	AfterTriggerSetState(set);
}

static uint64
execute_plan(const BrazeStatement *statement)
{
	uint64		rows;
	int			result;

	check_triggers(statement);
	SPI_connect();
	result = SPI_execute_plan(plan_of(statement), statement->values, statement->nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not write to table \"%s\": %s",
			 RelationGetRelationName(statement->rel), SPI_result_code_string(result));

	/* a rule did something else, and nothing of what was asked */
	rows = result == SPI_OK_REWRITTEN ? 0 : SPI_processed;
	SPI_finish();
	return rows;
}

/*
 * also one that fails and whose error a
 * trigger catches is not under way any more
 */
static uint64
execute_nested(const BrazeStatement *statement)
{
	volatile uint64 rows = 0;
	bool		others = may_run_others(statement->rel);

	depth++;
	with_others += others;
	PG_TRY();
	{
		rows = execute_plan(statement);
	}
	PG_FINALLY();
	{
		depth--;
		with_others -= others;
	}
	PG_END_TRY();
	return rows;
}

static uint64
execute_within_time(const BrazeStatement *statement)
{
	MemoryContext context = CurrentMemoryContext;
	volatile uint64 rows = 0;

	limit_time();
	PG_TRY();
	{
		rows = execute_nested(statement);
	}
	PG_CATCH();
	{
		if (!end_time())
			PG_RE_THROW();

		/*
		 * Whatever error it is: a trigger may have turned the cancel into one
		 * of its own, which would tell nobody that it takes too long.
		 */
		MemoryContextSwitchTo(context);
		FlushErrorState();
		report_time(statement);
	}
	PG_END_TRY();

	/* also one that caught the cancel and went on: it would do so each time */
	if (end_time())
		report_time(statement);
	braze_attempt_in_time(RelationGetRelid(statement->rel), statement->operation);
	return rows;
}

uint64
braze_statement_run(const BrazeStatement *statement)
{
	ErrorContextCallback context;
	Caller		caller;
	uint64		rows;

	context.callback = name_triggers;
	context.arg = unconstify(BrazeStatement *, statement);
	context.previous = error_context_stack;
	error_context_stack = &context;
	become_owner(statement->rel, &caller);

	/*
	 * A session waits for the triggers of its own statements, and may cancel
	 * them.  The worker waits for everybody, so its time is limited, and what
	 * it was about is kept at hand for an error that can look up nothing.  A
	 * statement that a trigger runs has the time of the one that fired it.
	 */
	if (is_worker && depth == 0)
	{
		braze_attempt_explain(describe_statement(statement));
		braze_attempt_check(RelationGetRelid(statement->rel), statement->operation);
		defer_nothing();
		rows = execute_within_time(statement);
		braze_attempt_explain("");
	}
	else
	{
		if (is_worker)
			defer_nothing();
		rows = execute_nested(statement);
	}
	become_caller(&caller);
	error_context_stack = context.previous;
	return rows;
}

void
braze_statement_run_as(Oid roleid, const char *search_path, void (*body) (void *arg), void *arg)
{
	Caller		caller;

	become_role(roleid, search_path, 0, &caller);
	body(arg);
	become_caller(&caller);
}

void
braze_statement_write_row(const BrazeStatement *statement)
{
	uint64		rows = braze_statement_run(statement);

	/* a session may queue what a trigger or a rule then leaves out */
	if (rows == 1 || !is_worker)
		return;
	braze_attempt_explain(describe_statement(statement));
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
			 errmsg("%llu rows were written instead of one", (unsigned long long) rows)));
}

char	   *
braze_statement_read_text(Relation rel, const char *query, const char *argument)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(argument);
	char	   *text = NULL;
	Caller		caller;

	become_owner(rel, &caller);
	SPI_connect();
	if (SPI_execute_with_args(query, 1, &type, &value, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read \"%s\"", RelationGetRelationName(rel));
	if (SPI_processed > 0)
	{
		text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		text = text != NULL ? MemoryContextStrdup(context, text) : NULL;
	}
	SPI_finish();
	become_caller(&caller);
	return text;
}

/*
 * Not as read_only: the snapshot of a caller may be older than their lock on
 * the table, and one that was rewritten in between is empty to it.
 */
void
braze_statement_read(const BrazeStatement *statement, BrazeStatementRead read, void *arg)
{
	Caller		caller;
	int			result;

	become_owner(statement->rel, &caller);
	SPI_connect();
	result = SPI_execute_plan(plan_of(statement), statement->values, statement->nulls, false, 0);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not read table \"%s\": %s",
			 RelationGetRelationName(statement->rel), SPI_result_code_string(result));
	read(SPI_tuptable, SPI_processed, arg);
	SPI_finish();
	become_caller(&caller);
}

void
braze_statement_set_sequence(Oid sequence, int64 value)
{
	Relation	rel = relation_open(sequence, RowExclusiveLock);
	Caller		caller;

	become_owner(rel, &caller);
	(void) DirectFunctionCall2(setval_oid, ObjectIdGetDatum(sequence), Int64GetDatum(value));
	become_caller(&caller);
	relation_close(rel, NoLock);
}

char	   *
braze_statement_table(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
									  RelationGetRelationName(rel));
}
