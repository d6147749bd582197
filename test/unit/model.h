/*
 * model.h
 *	  The pack against a model of Braze: calls, users, answers and times as dice
 *	  decide; after every step the promises of pack.h are checked.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>

#define MODEL_MAX_CALLS		4000
#define MODEL_MAX_USERS		50

typedef struct ModelShape
{
	int			calls;
	int			users;
	int			percent_bad;	/* objects that Braze refuses */
	int			max_objects;
	int			max_open_requests;
	int			max_waiting;	/* objects of a user, until his calls are deferred */
	size_t		max_body;
	bool		remember;		/* users have profiles and are linked */
	int			out_of_memory;	/* one allocation in so many fails, 0: none */
	int			percent_poison; /* calls that make Braze fail when they are sent */
	bool		at_most_once;
} ModelShape;

/* one of 0 .. sides - 1 */
typedef int (*ModelDice) (int sides);

/*
 * Returns the first promise that did not hold, NULL when all did.  Ends when
 * every call has come out.
 */
extern const char *model_run(const ModelShape *shape, ModelDice dice);

/* the allocation after so many more fails */
extern void model_fail_after(int allocations);

#endif							/* MODEL_H */
