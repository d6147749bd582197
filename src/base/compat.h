/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  The one place that knows how PostgreSQL 14 to 19 differ.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COMPAT_H
#define BRAZE_COMPAT_H

#include "access/genam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_database.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#if PG_VERSION_NUM >= 190000
#include "nodes/miscnodes.h"
#endif
#include "pgstat.h"
#include "postmaster/bgworker.h"
#if PG_VERSION_NUM >= 180000
#include "rewrite/rewriteHandler.h"
#endif
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#if PG_VERSION_NUM < 170000
#include "storage/sinvaladt.h"
#endif
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 17 takes the relation instead of its OID */
static inline Oid
braze_identity_sequence(Relation rel, AttrNumber attnum)
{
#if PG_VERSION_NUM >= 170000
	return getIdentitySequence(rel, attnum, false);
#else
	return getIdentitySequence(RelationGetRelid(rel), attnum, false);
#endif
}

/*
 * 18 has generated columns that are computed when they are read, and makes
 * them so by default; NULL: this column is none.
 */
static inline Node *
braze_virtual_column_expression(Relation rel, AttrNumber attnum)
{
#if PG_VERSION_NUM >= 180000
	if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
		return build_generation_expression(rel, attnum);
#endif
	return NULL;
}

/* 18 has constraints NOT VALID, of which attnotnull does not tell */
static inline bool
braze_column_is_not_null(TupleDesc desc, int i)
{
#if PG_VERSION_NUM >= 180000
	return TupleDescCompactAttr(desc, i)->attnullability == ATTNULLABLE_VALID;
#else
	return TupleDescAttr(desc, i)->attnotnull;
#endif
}

/* 18 wants to know whether a deferrable key counts; ours is none */
static inline Oid
braze_primary_key_index(Relation rel)
{
#if PG_VERSION_NUM >= 180000
	return RelationGetPrimaryKeyIndex(rel, false);
#else
	return RelationGetPrimaryKeyIndex(rel);
#endif
}

/*
 * 18 can count index searches for EXPLAIN,
 * and 19 takes flags of the table's scan
 */
static inline IndexScanDesc
braze_index_beginscan(Relation heap, Relation index, Snapshot snapshot, int nkeys)
{
#if PG_VERSION_NUM >= 190000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, 0, SO_NONE);
#elif PG_VERSION_NUM >= 180000
	return index_beginscan(heap, index, snapshot, NULL, nkeys, 0);
#else
	return index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

/*
 * without waiting for who has locked the row;
 * 19 took a parameter for options forward
 */
static inline TM_Result
braze_tuple_delete(Relation rel, ItemPointer tid, Snapshot snapshot, TM_FailureData *failure)
{
#if PG_VERSION_NUM >= 190000
	return table_tuple_delete(rel, tid, GetCurrentCommandId(true), 0, snapshot,
							  InvalidSnapshot, false, failure);
#else
	return table_tuple_delete(rel, tid, GetCurrentCommandId(true), snapshot,
							  InvalidSnapshot, false, failure, false);
#endif
}

/* before 16 each kind of object had a function of its own */
static inline AclResult
braze_server_aclcheck(Oid serverid, Oid roleid, AclMode mode)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(ForeignServerRelationId, serverid, roleid, mode);
#else
	return pg_foreign_server_aclcheck(serverid, roleid, mode);
#endif
}

static inline bool
braze_owns_function(Oid function, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ProcedureRelationId, function, roleid);
#else
	return pg_proc_ownercheck(function, roleid);
#endif
}

static inline bool
braze_owns_database(Oid database, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, roleid);
#else
	return pg_database_ownercheck(database, roleid);
#endif
}

/* 17 moved it into a struct of its own */
static inline LocalTransactionId
braze_local_transaction_id(void)
{
#if PG_VERSION_NUM >= 170000
	return MyProc->vxid.lxid;
#else
	return MyProc->lxid;
#endif
}

/* a btree looks at no IndexInfo */
static inline void
braze_index_insert(Relation index, Datum *values, bool *nulls,
				   ItemPointer tid, Relation heap)
{
	(void) index_insert(index, values, nulls, tid, heap, UNIQUE_CHECK_YES, false, NULL);
}

/*
 * Is it that of a VACUUM, which inserts nothing?  The flag is set and cleared
 * within one transaction of the process, so it is read after the number of
 * that: what another transaction's flag says is then said of one that ended.
 */
static inline bool
braze_is_vacuum(VirtualTransactionId transaction)
{
#if PG_VERSION_NUM >= 170000
	PGPROC	   *proc = ProcNumberGetProc(transaction.procNumber);
#else
	PGPROC	   *proc = BackendIdGetProc(transaction.backendId);
#endif
	LocalTransactionId current;

	if (proc == NULL)			/* ended, or prepared */
		return false;
#if PG_VERSION_NUM >= 170000
	current = *(volatile LocalTransactionId *) &proc->vxid.lxid;
#else
	current = *(volatile LocalTransactionId *) &proc->lxid;
#endif
	pg_read_barrier();
	return current == transaction.localTransactionId &&
		(*(volatile uint8 *) &proc->statusFlags & PROC_IN_VACUUM) != 0;
}

/* before 17 all waits of extensions have one name */
static inline uint32
braze_wait_event_new(const char *name)
{
#if PG_VERSION_NUM >= 170000
	return WaitEventExtensionNew(name);
#else
	return PG_WAIT_EXTENSION;
#endif
}

/* 15 returns when to report again, which a worker with naps need not know */
static inline void
braze_report_stat(void)
{
	(void) pgstat_report_stat(false);
}

#if PG_VERSION_NUM < 150000
typedef void (*shmem_request_hook_type) (void);
#endif

/* 15 has a hook for it; before, it is asked for while the library is loaded */
static inline void
braze_at_shmem_request(shmem_request_hook_type request, shmem_request_hook_type *previous)
{
#if PG_VERSION_NUM >= 150000
	*previous = shmem_request_hook;
	shmem_request_hook = request;
#else
	request();
#endif
}

/*
 * settings, with their values, that the
 * worker needs and older servers do not know
 */
#if PG_VERSION_NUM >= 170000
#define BRAZE_TIMEOUTS_SINCE_17	{"transaction_timeout", "0"},
#else
#define BRAZE_TIMEOUTS_SINCE_17
#endif

/* 19 has to be told that a descriptor has all of its columns */
static inline void
braze_tuple_desc_finish(TupleDesc desc)
{
#if PG_VERSION_NUM >= 190000
	TupleDescFinalize(desc);
#endif
}

/* what a signal handler was called with, for another one */
#if PG_VERSION_NUM >= 190000
#define BRAZE_SIGNAL_ARGUMENTS	postgres_signal_arg, pg_siginfo
#else
#define BRAZE_SIGNAL_ARGUMENTS	postgres_signal_arg
#endif

/* what the hook of a running query gets; 18 has no execute_once */
#if PG_VERSION_NUM >= 180000
#define BRAZE_RUN_PARAMETERS	QueryDesc *query, ScanDirection direction, uint64 count
#define BRAZE_RUN_ARGUMENTS		query, direction, count
#else
#define BRAZE_RUN_PARAMETERS	QueryDesc *query, ScanDirection direction, uint64 count, bool execute_once
#define BRAZE_RUN_ARGUMENTS		query, direction, count, execute_once
#endif

/*
 * before 17 a background worker cannot be
 * connected as a role that may not log in
 */
#if PG_VERSION_NUM >= 170000
#define BRAZE_BACKGROUND_FLAGS	BGWORKER_BYPASS_ROLELOGINCHECK
#else
#define BRAZE_BACKGROUND_FLAGS	0
#endif

/* 15 began to reserve the prefix, and named the function for it */
static inline void
braze_reserve_guc_prefix(const char *prefix)
{
#if PG_VERSION_NUM >= 150000
	MarkGUCPrefixReserved(prefix);
#else
	EmitWarningsOnPlaceholders(prefix);
#endif
}

/*
 * Declares a function that SQL calls.  The library is built with hidden
 * symbols, and before 16 PG_FUNCTION_INFO_V1 does not export the function
 * itself.
 */
#define BRAZE_SQL_FUNCTION(name) \
	extern PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

/* 18 put it before the declaration, and took the older spelling away */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 19 uses soft errors for a result that no numeric can have; here it is NULL */
#if PG_VERSION_NUM >= 190000
static inline Numeric
braze_numeric_add(Numeric a, Numeric b)
{
	ErrorSaveContext soft = {T_ErrorSaveContext};

	return numeric_add_safe(a, b, (Node *) &soft);
}

static inline Numeric
braze_numeric_multiply(Numeric a, Numeric b)
{
	ErrorSaveContext soft = {T_ErrorSaveContext};

	return numeric_mul_safe(a, b, (Node *) &soft);
}
#else
static inline Numeric
braze_numeric_add(Numeric a, Numeric b)
{
	bool		failed = false;
	Numeric		result = numeric_add_opt_error(a, b, &failed);

	return failed ? NULL : result;
}

static inline Numeric
braze_numeric_multiply(Numeric a, Numeric b)
{
	bool		failed = false;
	Numeric		result = numeric_mul_opt_error(a, b, &failed);

	return failed ? NULL : result;
}
#endif

/* since 19 the state of what is built says itself when it is complete */
#if PG_VERSION_NUM >= 190000
typedef JsonbInState BrazeJsonbState;
#else
typedef struct BrazeJsonbState
{
	JsonbValue *result;			/* the whole, once it is complete */
	JsonbParseState *parseState;
} BrazeJsonbState;
#endif

/* the state is all zeroes at first */
static inline void
braze_jsonb_add(BrazeJsonbState *state, JsonbIteratorToken token, JsonbValue *value)
{
#if PG_VERSION_NUM >= 190000
	pushJsonbValue(state, token, value);
#else
	state->result = pushJsonbValue(&state->parseState, token, value);
#endif
}

#endif							/* BRAZE_COMPAT_H */
