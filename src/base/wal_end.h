/*-------------------------------------------------------------------------
 *
 * wal_end.h
 *	  Where the WAL ends, on disk or not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_WAL_END_H
#define BRAZE_WAL_END_H

#include "access/xlogdefs.h"

/*
 * what this process has seen was written before; it can be flushed up to there
 */
extern XLogRecPtr braze_wal_end(void);

#endif							/* BRAZE_WAL_END_H */
