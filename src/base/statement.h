/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  SQL statements on the extension's tables.
 *
 * A statement runs what others added to a table: triggers, rules, expressions
 * of indexes and checks.  So each one runs as the owner of its table, in a
 * security-restricted operation and with a search_path of its own, and no
 * statement runs in any other way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_STATEMENT_H
#define BRAZE_STATEMENT_H

#include "executor/spi.h"
#include "nodes/nodes.h"
#include "utils/relcache.h"

typedef struct BrazeStatement
{
	Relation	rel;			/* the table that it writes, or reads */
	CmdType		operation;		/* what it does to it */
	const char *text;
	int			nargs;
	const Oid  *types;
	Datum	   *values;
	const char *nulls;			/* as SPI has them; NULL: there are none */
} BrazeStatement;

/*
 * The longest that a statement of the worker may take: its triggers hold up
 * all destinations.
 */
#define BRAZE_STATEMENT_MS	10000

/*
 * From now on this process is the worker.  Its statements have a limit of
 * time, and leave nothing to do at the commit, when the rights of the worker
 * would count again.
 */
extern void braze_statement_init_worker(void);
extern bool braze_statement_is_worker(void);

/* does the process end because a trigger went on after it was cancelled? */
extern bool braze_statement_has_ended_worker(void);

/* may code of others be running now, which could go on after a cancel? */
extern bool braze_statement_runs_others(void);

/* how many rows were written */
extern uint64 braze_statement_run(const BrazeStatement *statement);

/* the same for one row, which the worker has to be sure of: else an error */
extern void braze_statement_write_row(const BrazeStatement *statement);

/*
 * The text that a query with one parameter, a text, has in its first row and
 * column, as the owner of the relation that it reads; NULL: none.
 */
extern char *braze_statement_read_text(Relation rel, const char *query, const char *argument);

/* the search_path of what we write ourselves */
#define BRAZE_OWN_PATH	"pg_catalog, pg_temp"

/*
 * Runs body with the rights of a role and no others, in a security-restricted
 * operation, as a materialized view is refreshed.
 */
extern void braze_statement_run_as(Oid roleid, const char *search_path,
								   void (*body) (void *arg), void *arg);

/*
 * The same for a SELECT; read gets its rows, as SPI has them, while they last.
 */
typedef void (*BrazeStatementRead) (SPITupleTable *rows, uint64 count, void *arg);

extern void braze_statement_read(const BrazeStatement *statement, BrazeStatementRead read,
								 void *arg);

/* setval of a sequence, whose owner's rights count, too */
extern void braze_statement_set_sequence(Oid sequence, int64 value);

/* the table's name as SQL writes it: quoted, with its schema */
extern char *braze_statement_table(Relation rel);

/* would this operation run triggers or rules that others added? */
extern bool braze_statement_is_needed(Relation rel, CmdType operation);

#endif							/* BRAZE_STATEMENT_H */
