/*-------------------------------------------------------------------------
 *
 * collected_retention.h
 *	  Forgetting which calls were collected from where nothing is collected any
 *	  more.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECTED_RETENTION_H
#define BRAZE_COLLECTED_RETENTION_H

/*
 * is this table one from which calls are
 * collected, here or in another database?
 */
typedef bool (*BrazeIsOrigin) (const char *server, const char *table);

/* goes on with a pass over the table, as braze_retention_expire does */
extern int	braze_collected_retention_expire(BrazeIsOrigin is_origin);

#endif							/* BRAZE_COLLECTED_RETENTION_H */
