/*-------------------------------------------------------------------------
 *
 * round_refresh.h
 *	  The worker's transaction that reads the destinations and their pauses.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROUND_REFRESH_H
#define BRAZE_ROUND_REFRESH_H

/* are the destinations known? */
extern bool braze_round_refreshed;

/*
 * destinations, their options, keys and pauses; false: all is to be done again
 */
extern bool braze_round_refresh(bool options_changed);

#endif							/* BRAZE_ROUND_REFRESH_H */
