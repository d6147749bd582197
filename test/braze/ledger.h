/*-------------------------------------------------------------------------
 *
 * ledger.h
 *	  What happened, as JSON lines in a file that outlives the process.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_LEDGER_H
#define STANDIN_LEDGER_H

#include <stdbool.h>

#include "buffer.h"
#include "journal.h"

struct Request;

typedef struct Ledger
{
	int			fd;				/* -1: nothing is kept */
	Buffer		lines;			/* not yet written */
} Ledger;

/* appends to the file, so that one may hold several lives of the stand-in */
extern bool standin_ledger_open(Ledger *ledger, const char *file);
extern void standin_ledger_close(Ledger *ledger);

/* a request is here in full */
extern void standin_ledger_request(Ledger *ledger, const struct Request *request);

/* what became of one of its objects */
extern void standin_ledger_object(Ledger *ledger, const Entry *entry);

/* its answer, and whether all of that was handed to the client's socket */
extern void standin_ledger_answer(Ledger *ledger, const struct Request *request);
extern void standin_ledger_end(Ledger *ledger, const struct Request *request,
							   bool complete);

/* something that a test did; connection is the last one so far */
extern void standin_ledger_mark(Ledger *ledger, const char *text, long connection);

/*
 * To be called before an answer leaves: what a client may know of is in the
 * file by then, whatever happens to the process.
 */
extern void standin_ledger_write(Ledger *ledger);

#endif							/* STANDIN_LEDGER_H */
