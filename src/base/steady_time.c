/*-------------------------------------------------------------------------
 *
 * steady_time.c
 *	  The time by which stored rows grow old.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/atomics.h"
#include "utils/timestamp.h"

#include "base/clock.h"
#include "base/shmem.h"
#include "base/steady_time.h"

/* a jump ahead that has lasted so long is not a mistake */
#define BELIEVED_AFTER_MS	(60 * 60 * 1000)

/* what NTP corrects by small steps is not a jump */
#define STEP_US				(2 * USECS_PER_SEC)

/* from the monotonic clock to the wall clock, in microseconds */
static int64
observed_offset(void)
{
	return GetCurrentTimestamp() - braze_now_ms() * 1000;
}

TimestampTz
braze_steady_time(void)
{
	TimestampTz now = GetCurrentTimestamp();
	int64		offset;

	if (braze_shared == NULL)
		return now;
	offset = (int64) pg_atomic_read_u64(&braze_shared->wall_offset);

	/* the launcher has yet to start */
	if (offset == 0)
		return now;
	return Min(now, braze_now_ms() * 1000 + offset);
}

void
braze_steady_time_follow(void)
{
	static int64 ahead_since = -1;
	int64		now = braze_now_ms();
	int64		observed = observed_offset();
	int64		offset = (int64) pg_atomic_read_u64(&braze_shared->wall_offset);

	/* what the clock says when the server starts is taken for right */
	if (offset == 0 || observed <= offset + STEP_US)
		ahead_since = -1;
	else if (ahead_since < 0)
		ahead_since = now;
	if (ahead_since < 0 || now - ahead_since >= BELIEVED_AFTER_MS)
		pg_atomic_write_u64(&braze_shared->wall_offset, (uint64) observed);
}
