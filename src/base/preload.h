/*-------------------------------------------------------------------------
 *
 * preload.h
 *	  Is the library in shared_preload_libraries, and what to say if it is not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PRELOAD_H
#define BRAZE_PRELOAD_H

#include "base/shmem.h"

/* the state that braze_status shows then */
#define BRAZE_NOT_PRELOADED \
	"no worker: add segment_braze to shared_preload_libraries and restart the server"

static inline bool
braze_preload_is_done(void)
{
	return braze_shared != NULL;
}

#endif							/* BRAZE_PRELOAD_H */
