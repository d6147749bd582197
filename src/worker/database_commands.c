/*-------------------------------------------------------------------------
 *
 * database_commands.c
 *	  Commands that need a database for themselves, and COMMIT PREPARED.
 *
 * A connected worker would make them fail after five seconds: "database is
 * being accessed by other users".  So its worker ends first, and the launcher
 * starts it again when the command is over and the database still there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/worker_wake.h"
#include "worker/worker.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool		template = false;

	if (HeapTupleIsValid(tuple))
	{
		template = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return template;
}

/* only some minor releases export PostgreSQL's own have_createdb_privilege() */
static bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		may = false;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

/*
 * Only a user who is allowed the command may stop a worker by it.  Everything
 * else about the command is PostgreSQL's to check, and to complain of.
 */
static void
make_room(const char *name, bool creating)
{
	Oid			database = get_database_oid(name, true);
	bool		allowed;

	if (!OidIsValid(database))
		return;
	allowed = braze_owns_database(database, GetUserId());
	if (creating)
		allowed = (allowed || is_template(database)) &&
			may_create_databases();
	if (allowed)
		braze_worker_wake_hold_database(database);
}

static const char *
template_of(const CreatedbStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;				/* template1, which has no worker */
}

static bool
moves_tablespace(const AlterDatabaseStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
			return true;
	}
	return false;
}

static void
before_utility(Node *statement)
{
	if (IsA(statement, DropdbStmt))
		make_room(((DropdbStmt *) statement)->dbname, false);
	else if (IsA(statement, CreatedbStmt))
	{
		const char *template = template_of((CreatedbStmt *) statement);

		if (template != NULL)
			make_room(template, true);
	}
	else if (IsA(statement, RenameStmt))
	{
		RenameStmt *rename = (RenameStmt *) statement;

		if (rename->renameType == OBJECT_DATABASE)
			make_room(rename->subname, false);
	}
	else if (IsA(statement, AlterDatabaseStmt))
	{
		AlterDatabaseStmt *alter = (AlterDatabaseStmt *) statement;

		if (moves_tablespace(alter))
			make_room(alter->dbname, false);
	}
}

static void
after_utility(Node *statement)
{
	if (IsA(statement, TransactionStmt) &&
		((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED)
		braze_worker_wake_prepared_committed();
}

/* also for a command inside a function, which comes here like any other */
static void
database_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				 ProcessUtilityContext context, ParamListInfo params,
				 QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;

	before_utility(statement);
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context,
							params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
	after_utility(statement);
}

void
braze_database_commands_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = database_utility;
}
