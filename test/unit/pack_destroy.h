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
	while (pack->requests != NULL)
		braze_request_free(pack, pack->requests);
	while (pack->all != NULL)
		braze_pack_free_call(pack, pack->all);
	(void) braze_deferred_drop(pack);
	while (pack->delayed_head != NULL)
	{
		Lane	   *lane = pack->delayed_head;

		pack->delayed_head = lane->next_delayed;
		braze_lane_unref(pack, lane);
	}
	braze_attributes_free(&pack->fields);
	braze_attributes_free(&pack->more_fields);
	free(pack->buckets);
	free(pack);
}

#endif							/* PACK_DESTROY_H */
