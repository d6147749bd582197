/*-------------------------------------------------------------------------
 *
 * profiles_retention.h
 *	  Forgetting attributes, and users, that nobody has heard of for long.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PROFILES_RETENTION_H
#define BRAZE_PROFILES_RETENTION_H

#define BRAZE_FORGET_NOW	(-1)

/*
 * how many seconds a destination keeps them
 * after they were written, 0: for ever
 */
typedef void (*BrazeProfileRetention) (const char *destination, int *attributes, int *visitors);

/* goes on with a pass over the table, as braze_retention_expire does */
extern int	braze_profiles_retention_expire(BrazeProfileRetention retention);

#endif							/* BRAZE_PROFILES_RETENTION_H */
