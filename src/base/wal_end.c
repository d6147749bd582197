/*-------------------------------------------------------------------------
 *
 * wal_end.c
 *	  Where the WAL ends, on disk or not.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"

#include "base/wal_end.h"

/*
 * At the very start of a page the insert position lies behind a header that
 * nobody has written, and nothing can be flushed up to there.  Only the first
 * page of a segment has the long one: elsewhere a record may end there.
 */
XLogRecPtr
braze_wal_end(void)
{
	XLogRecPtr	end = GetXLogInsertRecPtr();
	uint64		offset = end % XLOG_BLCKSZ;

	if (offset == SizeOfXLogShortPHD ||
		XLogSegmentOffset(end, wal_segment_size) == SizeOfXLogLongPHD)
		end -= offset;
	return end;
}
