/*-------------------------------------------------------------------------
 *
 * closest_name.c
 *	  What a user most likely meant.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/varlena.h"

#include "base/closest_name.h"

/* names further away than this are not typing errors */
#define MAX_EDIT_DISTANCE	4

/* varstr_levenshtein refuses anything longer */
#define MAX_EDIT_LENGTH		255

const char *
braze_closest_name(const char *name, BrazeNextName next, void *state)
{
	const char *closest = NULL;
	const char *candidate;
	int			length = strlen(name);
	int			best = Min(MAX_EDIT_DISTANCE, length / 2);
	char	   *lower;

	if (length == 0 || length > MAX_EDIT_LENGTH)
		return NULL;
	lower = pstrdup(name);
	for (char *c = lower; *c; c++)
		*c = pg_ascii_tolower((unsigned char) *c);

	while ((candidate = next(state)) != NULL)
	{
		int			candidate_length = strlen(candidate);
		char	   *candidate_lower;
		int			distance;

		if (candidate_length > MAX_EDIT_LENGTH)
			continue;
		candidate_lower = pstrdup(candidate);
		for (char *c = candidate_lower; *c; c++)
			*c = pg_ascii_tolower((unsigned char) *c);
		distance = varstr_levenshtein_less_equal(lower, length, candidate_lower,
												 candidate_length, 1, 1, 1, best, true);
		if (distance <= best)
		{
			closest = candidate;
			/* of several equally near ones the first stays */
			best = distance - 1;
			if (best < 0)
				break;
		}
	}
	return closest;
}
