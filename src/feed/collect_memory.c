/*-------------------------------------------------------------------------
 *
 * collect_memory.c
 *	  How much memory a collector may use.
 *
 * The text of a jsonb can be 90,000 times as large as the jsonb, and who may
 * queue calls at an origin decides how many of them a collector reads at once.
 * libpq takes what it is sent.  So the kernel has to bound it: an allocation
 * then fails, which is an ordinary error, and the server has no part in it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef __linux__
#include <sys/resource.h>
#include <unistd.h>
#endif

#include "base/guc.h"
#include "feed/collect_memory.h"

/*
 * A control character is one byte of a jsonb and six of its text, and nothing
 * that is of use to Braze is worse.
 */
#define ROW_FACTOR		8

/*
 * What a round reads is up to 16 MB and a hundred ordinary calls, which are in
 * libpq's memory as well.  A row of the largest text is in its buffer, which
 * has twice the size, in its result, and as jsonb under construction.
 */
#define ALLOWANCE		((Size) 256 * 1024 * 1024)
#define CALL_FACTOR		32

int
braze_collect_memory_of_row(void)
{
	return braze_max_call_size * 1024 * ROW_FACTOR;
}

#ifdef __linux__

/* what RLIMIT_DATA counts, and the stack; 0: not known */
static Size
data_size(void)
{
	FILE	   *file = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%*u %*u %*u %*u %*u %lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return (Size) pages * sysconf(_SC_PAGESIZE);
}

void
braze_collect_memory_bound(void)
{
	static Size base = 0;
	struct rlimit limit;

	if (base == 0)
		base = data_size();
	if (base == 0 || getrlimit(RLIMIT_DATA, &limit) != 0)
		return;

	/* the hard limit stays: after a reload it may be more again */
	limit.rlim_cur = Min(limit.rlim_max, base + ALLOWANCE + (Size) braze_max_call_size * 1024 * CALL_FACTOR);
	if (setrlimit(RLIMIT_DATA, &limit) != 0)
		ereport(LOG,
				(errmsg("segment_braze: could not limit the memory of a collector"),
				 errdetail("The operating system says: %m.")));
}

#else

/* elsewhere the limit counts little or nothing of what malloc() takes */
void
braze_collect_memory_bound(void)
{
}

#endif
