/*-------------------------------------------------------------------------
 *
 * tally.h
 *	  Adding up what Braze has accepted and refused of a destination's calls.
 *
 * Plain C.  One row of sums for each hour, kind and name; they are kept until
 * the caller says that they are saved, and then begin at nothing again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TALLY_H
#define BRAZE_TALLY_H

#include "braze/sketch.h"
#include "pack/attributes.h"
#include "pack/pack.h"

typedef enum BrazeTallyKind
{
	BRAZE_TALLY_ATTRIBUTES,
	BRAZE_TALLY_EVENTS,
	BRAZE_TALLY_PURCHASES,
	BRAZE_TALLY_IDENTITY,
	BRAZE_TALLY_REQUEST,
	BRAZE_TALLY_REFUSED,
	BRAZE_TALLY_SKIPPED
} BrazeTallyKind;

#define BRAZE_TALLY_KINDS	(BRAZE_TALLY_SKIPPED + 1)

/* as SQL has them */
extern const char *const braze_tally_kinds[BRAZE_TALLY_KINDS];

/*
 * Of each kind so many names are told from each other, in an hour; what has
 * another name is counted together.
 */
#define BRAZE_TALLY_NAMES	500

/*
 * an attribute's name is counted in one object of so many, and then as so many
 */
#define BRAZE_TALLY_SAMPLE	64

/* name_length of what is counted together, since there are too many names */
#define BRAZE_TALLY_OTHERS	(-1)

/* an amount of money: whole units, and millionths of the same sign */
#define BRAZE_TALLY_MILLION	1000000

typedef struct BrazeTallyRow
{
	/* what it is about */
	int64_t		hour;			/* its beginning, as the caller's times */
	BrazeTallyKind kind;
	char		currency[4];	/* of a purchase, else empty */
	int			name_length;	/* 0: it needs none */

	/* what was added since it was saved */
	int64_t		calls;
	int64_t		objects;
	int64_t		quantity;
	int64_t		revenue;		/* units, */
	int64_t		revenue_millionths; /* and the rest */
	int64_t		requests;
	int64_t		data_points;
	int64_t		data_points_saved;
	int64_t		first_time;
	int64_t		last_time;
	BrazeSketch *users;			/* all of the hour; NULL: not counted */
	bool		unsaved;
	bool		written;		/* by the transaction under way */

	/* for tally.c */
	struct BrazeTallyRow *next; /* all of them */
	uint64_t	hash;
	uint64_t	last_call;		/* a call counts once */
	char		name[];			/* UTF-8 as it stands in JSON, without quotes */
} BrazeTallyRow;

typedef struct BrazeTally BrazeTally;

extern BrazeTally *braze_tally_create(void);
extern void braze_tally_destroy(BrazeTally *tally);

/*
 * A call that is settled.  now is of the pack's clock, and wall the same moment
 * in microseconds since the beginning of some hour.  False: out of memory, and
 * part of it may have been added.
 */
extern bool braze_tally_add_call(BrazeTally *tally, const BrazeCall *call,
								 int64_t now, int64_t wall);

/*
 * one that will be added soon: what is read
 * of it is on its way from memory then
 */
extern void braze_tally_prefetch(const BrazeCall *call);

/* a request that Braze has answered */
extern bool braze_tally_add_request(BrazeTally *tally, const BrazeSent *sent,
									int64_t wall);

extern bool braze_tally_has_unsaved(const BrazeTally *tally);

/* those with something to save; NULL begins, and ends */
extern BrazeTallyRow *braze_tally_next_unsaved(BrazeTally *tally,
											   BrazeTallyRow *previous);

/* nothing is written yet */
extern void braze_tally_begin_save(BrazeTally *tally);

/* what is written is saved; such rows of hours that are over are freed */
extern void braze_tally_saved(BrazeTally *tally);

#endif							/* BRAZE_TALLY_H */
