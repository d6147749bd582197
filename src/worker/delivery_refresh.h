/*-------------------------------------------------------------------------
 *
 * delivery_refresh.h
 *	  What the catalogs, the options and the key files say of a destination.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_REFRESH_H
#define BRAZE_DELIVERY_REFRESH_H

/* in a transaction: all destinations as they are now */
extern void braze_delivery_refresh(bool options_changed);

/* and when that transaction has committed; if it fails, all is done again */
extern void braze_delivery_refresh_committed(void);

#endif							/* BRAZE_DELIVERY_REFRESH_H */
