/*-------------------------------------------------------------------------
 *
 * call_type.c
 *	  The types that a Segment call may have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/call_type.h"

const BrazeCallTypeInfo braze_call_types[BRAZE_CALL_TYPES] = {
	[BRAZE_TYPE_IDENTIFY] = {"identify", "traits"},
	[BRAZE_TYPE_TRACK] = {"track", "properties"},
	[BRAZE_TYPE_PAGE] = {"page", "properties"},
	[BRAZE_TYPE_SCREEN] = {"screen", "properties"},
	[BRAZE_TYPE_GROUP] = {"group", "traits"},
	[BRAZE_TYPE_ALIAS] = {"alias", NULL},
	[BRAZE_TYPE_DELETE] = {"delete", NULL},
};

int
braze_call_type_find(const char *name, int length)
{
	for (int i = 0; i < BRAZE_CALL_TYPES; i++)
	{
		if ((int) strlen(braze_call_types[i].name) == length &&
			pg_strncasecmp(braze_call_types[i].name, name, length) == 0)
			return i;
	}
	return -1;
}

const char *
braze_call_type_next(void *state)
{
	int		   *i = state;

	return *i < BRAZE_CALL_TYPES ? braze_call_types[(*i)++].name : NULL;
}
