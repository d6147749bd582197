/*-------------------------------------------------------------------------
 *
 * walk_key.c
 *	  The unique key by whose order a table is walked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "feed/walk_key.h"

/*
 * A key's text is kept between sessions, which may have other settings.  A
 * table that was not analyzed must not be read from its beginning for each
 * part.  And where policies would hide rows, PostgreSQL raises an error: a
 * backfill that leaves them out would look like a complete one.
 */
static const struct
{
	const char *name;
	const char *value;
}			settings[] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"row_security", "off"},
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"enable_seqscan", "off"},
	{"enable_bitmapscan", "off"},
	{"enable_sort", "off"},
	{"jit", "off"},
};

int
braze_walk_key_begin(void)
{
	int			level = NewGUCNestLevel();

	for (int i = 0; i < lengthof(settings); i++)
		(void) set_config_option(settings[i].name, settings[i].value, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

void
braze_walk_key_end(int level)
{
	AtEOXact_GUC(false, level);
}

/* as OPERATOR(...) has it; NULL: the columns' operators differ */
static const char *
operator_name(Relation index, int strategy)
{
	const char *name = NULL;

	for (int i = 0; i < IndexRelationGetNumberOfKeyAttributes(index); i++)
	{
		Oid			type = index->rd_opcintype[i];
		Oid			oid = get_opfamily_member(index->rd_opfamily[i], type, type, strategy);
		HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(oid));
		Form_pg_operator form;
		const char *this;

		if (!HeapTupleIsValid(tuple))
			return NULL;
		form = (Form_pg_operator) GETSTRUCT(tuple);
		this = psprintf("%s.%s", quote_identifier(get_namespace_name(form->oprnamespace)),
						NameStr(form->oprname));
		ReleaseSysCache(tuple);
		if (name != NULL && strcmp(name, this) != 0)
			return NULL;
		name = this;
	}
	return name;
}

/*
 * does ORDER BY the columns mean the order of
 * the index, and has each row a place in it?
 */
static bool
orders_all_rows(Relation rel, Relation index)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisunique || !form->indimmediate || !form->indisvalid || !form->indisready ||
		index->rd_rel->relam != BTREE_AM_OID ||
		!heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL))
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber	number = form->indkey.values[i];
		Form_pg_attribute column;

		/* an expression has no number, and a system column a negative one */
		if (number <= 0)
			return false;
		column = TupleDescAttr(RelationGetDescr(rel), number - 1);
		if (!column->attnotnull || index->rd_indoption[i] != 0 ||
			index->rd_indcollation[i] != column->attcollation ||
			index->rd_opfamily[i] != get_opclass_family(GetDefaultOpClass(column->atttypid, BTREE_AM_OID)))
			return false;
	}
	return true;
}

/* NULL: the table cannot be walked by this index */
static BrazeWalkKey *
key_of_index(Relation rel, Oid indexid)
{
	Relation	index = index_open(indexid, AccessShareLock);
	BrazeWalkKey *key = NULL;

	if (orders_all_rows(rel, index))
	{
		key = palloc0(sizeof(BrazeWalkKey));
		key->ncolumns = IndexRelationGetNumberOfKeyAttributes(index);
		for (int i = 0; i < key->ncolumns; i++)
		{
			Form_pg_attribute column;

			key->columns[i] = index->rd_index->indkey.values[i];
			column = TupleDescAttr(RelationGetDescr(rel), key->columns[i] - 1);
			key->types[i] = column->atttypid;
			key->names[i] = pstrdup(NameStr(column->attname));
		}
		key->less_or_equal = operator_name(index, BTLessEqualStrategyNumber);
		key->greater = operator_name(index, BTGreaterStrategyNumber);
		key->equal = operator_name(index, BTEqualStrategyNumber);
	}
	index_close(index, AccessShareLock);
	if (key == NULL || key->less_or_equal == NULL || key->greater == NULL || key->equal == NULL)
		return NULL;
	return key;
}

BrazeWalkKey *
braze_walk_key_find(Relation rel)
{
	Oid			primary = braze_primary_key_index(rel);
	BrazeWalkKey *key = OidIsValid(primary) ? key_of_index(rel, primary) : NULL;
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;

	foreach(cell, indexes)
	{
		if (key == NULL)
			key = key_of_index(rel, lfirst_oid(cell));
	}
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" has no key by which it can be read in parts",
						RelationGetRelationName(rel)),
				 errhint("Add a primary key, or a unique index on columns that are NOT NULL.")));
	return key;
}

Datum
braze_walk_key_value(const BrazeWalkKey *key, int column, const char *text)
{
	Oid			input;
	Oid			parameter;

	getTypeInputInfo(key->types[column], &input, &parameter);
	return OidInputFunctionCall(input, unconstify(char *, text), parameter, -1);
}

void
braze_walk_key_append_columns(StringInfo sql, const BrazeWalkKey *key)
{
	for (int i = 0; i < key->ncolumns; i++)
		appendStringInfo(sql, "%st.%s", i > 0 ? ", " : "", quote_identifier(key->names[i]));
}

void
braze_walk_key_append_comparison(StringInfo sql, const BrazeWalkKey *key, const char *op,
								 int first_parameter)
{
	const char *open = key->ncolumns > 1 ? "(" : "";
	const char *close = key->ncolumns > 1 ? ")" : "";

	appendStringInfoString(sql, open);
	braze_walk_key_append_columns(sql, key);
	appendStringInfo(sql, "%s OPERATOR(%s) %s", close, op, open);
	for (int i = 0; i < key->ncolumns; i++)
		appendStringInfo(sql, "%s$%d", i > 0 ? ", " : "", first_parameter + i);
	appendStringInfoString(sql, close);
}
