/*-------------------------------------------------------------------------
 *
 * deliveries.c
 *	  All destinations of the database that the worker knows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "base/database_name.h"
#include "worker/deliveries.h"

List	   *braze_deliveries = NIL;

MemoryContext braze_deliveries_context;

void
braze_deliveries_init(void)
{
	braze_deliveries_context = AllocSetContextCreate(TopMemoryContext,
													 "segment_braze deliveries",
													 ALLOCSET_DEFAULT_SIZES);
}

BrazeDelivery *
braze_deliveries_find(const char *name)
{
	ListCell   *cell;

	foreach(cell, braze_deliveries)
	{
		BrazeDelivery *delivery = lfirst(cell);

		if (strcmp(NameStr(delivery->name), name) == 0)
			return delivery;
	}
	return NULL;
}

void
braze_deliveries_out_of_memory(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory in the segment_braze worker of database \"%s\"",
					braze_database_name()),
			 errdetail("The worker is started again, and reads the queue again.")));
}
