/*
 * pack_destroy.h
 *	  Frees a pack with all that it holds, so that the sanitizers find leaks.  The
 *	  worker never does: a pack lives as long as it.
 */
#ifndef PACK_DESTROY_H
#define PACK_DESTROY_H

#include <stdlib.h>

#include "pack/pack_internal.h"

static inline void
pack_destroy(BrazePack *pack)
{
	int64_t		wait = -1;

	/* first, as it looks at what waits */
	braze_ready_list_end_delays(pack, INT64_MAX, &wait);
	while (pack->requests != NULL)
		braze_request_state_free(pack, pack->requests);
	while (pack->all != NULL)
		braze_packed_call_free(pack, pack->all);
	(void) braze_deferred_drop(pack);
	braze_attributes_free(&pack->fields);
	braze_attributes_free(&pack->more_fields);
	free(pack->buckets);
	free(pack);
}

#endif							/* PACK_DESTROY_H */
