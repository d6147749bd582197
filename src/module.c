/*-------------------------------------------------------------------------
 *
 * module.c
 *	  Loading the library: settings, and what each room needs set up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "compat.h"
#include "destination.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

void
_PG_init(void)
{
	DefineCustomStringVariable("segment_braze.destination",
							   "Names the destination of calls that name none.",
							   "Empty: the only destination that the role may use.",
							   &braze_destination_setting,
							   "",
							   PGC_USERSET,
							   0,
							   NULL, NULL, NULL);

	braze_reserve_guc_prefix("segment_braze");
}
