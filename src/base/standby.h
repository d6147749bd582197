/*-------------------------------------------------------------------------
 *
 * standby.h
 *	  What synchronous standbys have confirmed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_STANDBY_H
#define BRAZE_STANDBY_H

#include "access/xlogdefs.h"

/* does synchronous_standby_names ask for one, as this process knows it? */
extern bool braze_standby_is_wanted(void);

/*
 * mode: SYNC_REP_WAIT_FLUSH or another of those that synchronous_commit means
 */
extern bool braze_standby_has(XLogRecPtr position, int mode);

#endif							/* BRAZE_STANDBY_H */
