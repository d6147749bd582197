/*-------------------------------------------------------------------------
 *
 * parts.h
 *	  Waiting until a part of many calls has left the queue.
 *
 * The calls of a destination go to Braze by their ids.  Whoever queues millions
 * queues them in parts, and waits after each, so that the calls of applications
 * stand behind one part and not behind all of them.
 *
 * The order of calls: braze_parts_create once; for each part braze_parts_note
 * with its ids, as braze_enqueue_call returned them, and once these are
 * committed braze_parts_wait.  Who has something else to do meanwhile asks
 * braze_parts_is_settled from time to time instead.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PARTS_H
#define BRAZE_PARTS_H

#include "nodes/nodes.h"

typedef struct BrazeParts BrazeParts;

/* an error where the procedure was not called such that it may commit */
extern void braze_parts_check_procedure(Node *context, const char *procedure);

/*
 * an error where so many rows are none, or more than live calls are to wait for
 */
extern void braze_parts_check_rows(int rows_per_part);

/* in the current memory context, which has to outlive the transactions */
extern BrazeParts *braze_parts_create(void);

/*
 * ids of the part; those that are not ids in the queue (0 and -1) are left out
 */
extern void braze_parts_note(BrazeParts *parts, const int64 *ids, int count);

/*
 * Have all that were noted left the queue?  Needs a transaction, and takes a
 * snapshot of its own.  false while somebody has locked the queue.
 */
extern bool braze_parts_is_settled(BrazeParts *parts);

/*
 * The destination's state as braze_status has it, when that keeps its calls
 * from being sent; NULL: it does not.  Needs a transaction.
 */
extern char *braze_parts_blocking_state(const char *destination);

/*
 * Waits until they have.  Each look is a transaction of its own, so no snapshot
 * and no lock is held meanwhile: the caller is in no transaction, or in a
 * procedure that is connected to SPI with SPI_OPT_NONATOMIC, and has nothing
 * open that SPI_commit() would end.  A state of the destination that keeps the
 * part waiting is reported once, at elevel.
 */
extern void braze_parts_wait(BrazeParts *parts, const char *destination, int elevel);

/*
 * The same for who has something better to do: given up once nothing has left
 * for patience_ms, and the destination's state is why.  That state, or NULL:
 * all have left.
 */
extern char *braze_parts_wait_patiently(BrazeParts *parts, const char *destination, int elevel,
										int patience_ms);

/*
 * waits like that until the destination's
 * state keeps no call; NULL: it does not
 */
extern char *braze_parts_wait_until_open(BrazeParts *parts, const char *destination, int patience_ms);

#endif							/* BRAZE_PARTS_H */
