/*-------------------------------------------------------------------------
 *
 * journal.h
 *	  Every object received, in order, and whether the order was kept.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_JOURNAL_H
#define STANDIN_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "buffer.h"
#include "users.h"

typedef enum Outcome
{
	OUTCOME_ACCEPTED,			/* applied */
	OUTCOME_NO_EFFECT,			/* accepted, but there was nobody to apply it to */
	OUTCOME_REFUSED,			/* in errors[], or in a request refused as a whole */
	OUTCOME_LOST				/* a fault came before it was applied */
} Outcome;

typedef struct Entry
{
	long		request;
	const char *kind;			/* static */
	const Identifier *who;		/* NULL: the object has none */
	Text	   *name;			/* of event or product; NULL for the others */
	Text	   *object;			/* as received */
	Text	   *reason;			/* if it was refused */
	Outcome		outcome;
} Entry;

/* an integer that the sender numbers its objects with */
typedef struct Numbered
{
	int64_t		value;
	long		request;
	unsigned	who;			/* Identifier.number */
} Numbered;

typedef struct Journal
{
	Entry	   *entries;		/* a ring: entry n is at n % size */
	long		size;
	long		limit;			/* entries kept at most */
	long		first;			/* number of the oldest that is kept */
	long		next;			/* number of the next */
	char	   *property;		/* its values are kept for all accepted objects */
	Numbered   *numbered;
	long		nnumbered;
	long		maxnumbered;
} Journal;

typedef struct OrderReport
{
	long		violations;		/* first deliveries that came after a later one */
	long		distinct;		/* (user, value) pairs */
	long		duplicates;		/* the same pair in a later request */
	long		repeats;		/* the same pair again in the same request */
	Numbered	example;		/* the first violation */
	int64_t		example_after;	/* the value before which it should have come */
} OrderReport;

extern void standin_journal_init(Journal *journal, long limit, const char *property);
extern void standin_journal_free(Journal *journal);

/* takes over the references of the entry; object is its parsed form */
extern void standin_journal_add(Journal *journal, const Entry *entry, json_object *object);

/* the members of an entry's JSON object, without the braces */
extern void standin_journal_print_entry(const Entry *entry, Buffer *out);

/* JSON lines of the entries from number `from` on, at most `max` of them */
extern void standin_journal_print(const Journal *journal, long from, long max,
								  const char *user, Buffer *out);

/*
 * False when property is not the one that is kept and the journal no longer
 * holds all entries.
 */
extern bool standin_journal_order(const Journal *journal, const char *property,
								  OrderReport *report);
extern bool standin_journal_seen(const Journal *journal, const char *property,
								 Buffer *out);

#endif							/* STANDIN_JOURNAL_H */
