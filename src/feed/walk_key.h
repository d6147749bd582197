/*-------------------------------------------------------------------------
 *
 * walk_key.h
 *	  The unique key by whose order a table is walked.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_WALK_KEY_H
#define BRAZE_WALK_KEY_H

#include "access/attnum.h"
#include "lib/stringinfo.h"
#include "utils/relcache.h"

/* so many columns a key may have */
#define BRAZE_WALK_KEY_COLUMNS	INDEX_MAX_KEYS

typedef struct BrazeWalkKey
{
	int			ncolumns;
	AttrNumber	columns[BRAZE_WALK_KEY_COLUMNS];
	Oid			types[BRAZE_WALK_KEY_COLUMNS];
	char	   *names[BRAZE_WALK_KEY_COLUMNS];

	/* as OPERATOR(...) has them, schema and name */
	const char *less_or_equal;
	const char *greater;
	const char *equal;
} BrazeWalkKey;

/* the values of a key as text, in the settings that walk_key.c sets */
typedef char **BrazeKeyText;

/*
 * The primary key, or else another unique index that orders each row.  An error
 * when there is none.
 */
extern BrazeWalkKey *braze_walk_key_find(Relation rel);

/*
 * Until braze_walk_key_end, the session's settings are such that a key's text
 * is the same for every session, and that a walk is by the key's index.
 */
extern int	braze_walk_key_begin(void);
extern void braze_walk_key_end(int level);

/* the value of one column, in these settings */
extern Datum braze_walk_key_value(const BrazeWalkKey *key, int column, const char *text);

/* "t.a, t.b" */
extern void braze_walk_key_append_columns(StringInfo sql, const BrazeWalkKey *key);

/* "t.a > $1", or of a key of several columns "(t.a, t.b) > ($1, $2)" */
extern void braze_walk_key_append_comparison(StringInfo sql, const BrazeWalkKey *key,
											 const char *op, int first_parameter);

#endif							/* BRAZE_WALK_KEY_H */
