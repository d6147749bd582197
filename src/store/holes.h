/*-------------------------------------------------------------------------
 *
 * holes.h
 *	  The ids that a read passed over, and who can still fill them.
 *
 * An id is drawn before its row becomes visible, so a cursor alone would lose
 * rows.  A transaction that inserts into braze_queue holds RowExclusiveLock on
 * it from before it draws an id until it ends; so once a read has seen an id,
 * only those who hold that lock right then can fill the holes below it.
 *
 * The holes of one read share their owners: a generation.  A generation is due
 * for a look when an owner has ended, and its holes are forgotten after a look
 * whose snapshot was taken after the last owner had ended.  The owners are
 * asked for after the snapshot was taken, so one that ends in between counts
 * as ended though the snapshot does not show its rows: they are looked for
 * again in the next read, or that would take later calls of the same user
 * first.
 *
 * Transactions that roll back leave holes that nobody fills, and one that stays
 * open keeps all of them.  So beyond some number neighbours become one range,
 * which is then mixed: there are ids in it that were read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_HOLES_H
#define BRAZE_HOLES_H

#include "storage/lock.h"

typedef struct BrazeHoleGeneration
{
	struct BrazeHoleGeneration *next;	/* an older one */
	struct BrazeHoleGeneration *into;	/* the one that takes its ranges,
										 * while they move */
	uint64		number;			/* later ones have higher numbers */
	int			nholes;			/* ranges that point here */
	bool		due;			/* an owner has ended */
	bool		due_again;		/* it did after the snapshot, perhaps: next
								 * time, too */
	bool		final;			/* all had ended before this snapshot */
	int			nowners;
	VirtualTransactionId owners[FLEXIBLE_ARRAY_MEMBER];
} BrazeHoleGeneration;

/* adjacent holes of one generation are one range, both ends inclusive */
typedef struct BrazeHole
{
	int64		low;
	int64		high;
	bool		mixed;			/* not all ids in it are holes */
	BrazeHoleGeneration *generation;
} BrazeHole;

/* beyond so many ranges neighbours become one */
#define BRAZE_MAX_HOLES		10000

typedef struct BrazeHoles
{
	MemoryContext context;
	BrazeHoleGeneration *generations;	/* the latest first */
	int			ngenerations;
	uint64		next_number;
	BrazeHoleGeneration *current;	/* of the read under way, NULL: no hole
									 * yet */
	VirtualTransactionId *owners;	/* of the table, as of the read under way */
	int			nowners;
	int			nranges;
	int			maxranges;
	BrazeHole  *ranges;			/* ascending */
} BrazeHoles;

extern BrazeHoles *braze_holes_create(void);

/*
 * Begins a read: call it after the read's snapshot was taken.  A transaction
 * whose commit a client had seen before some visible row was inserted has
 * released its lock by then, so its holes are due under this very snapshot,
 * and its calls go first.
 */
extern void braze_holes_begin(BrazeHoles *holes, Oid table);

/*
 * Makes room for one more range, so that what follows cannot fail half-way.
 * Then: the read passed over these ids, none of which is visible.
 */
extern void braze_holes_reserve(BrazeHoles *holes);
extern void braze_holes_add(BrazeHoles *holes, int64 low, int64 high);

/*
 * The id was found in this range: takes it out, unless the range is mixed or
 * has to become so.  The part below it, if any, stays at this place and true
 * is returned; the part above follows.
 */
extern bool braze_holes_fill(BrazeHoles *holes, int place, int64 id);

/* is the id one that a read passed over, as far as is known? */
extern bool braze_holes_contain(const BrazeHoles *holes, int64 id);

/* forgets all of them */
extern void braze_holes_clear(BrazeHoles *holes);

/* forgets what had its last look */
extern void braze_holes_end_look(BrazeHoles *holes);

#endif							/* BRAZE_HOLES_H */
