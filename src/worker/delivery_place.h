/*-------------------------------------------------------------------------
 *
 * delivery_place.h
 *	  Freeing the places of destinations that are gone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DELIVERY_PLACE_H
#define BRAZE_DELIVERY_PLACE_H

/*
 * The queue is about to be looked through: which places have no server?  Each
 * row for which there is none is then reported, and at the end those places
 * are freed that nothing is queued for and no open transaction uses.
 */
extern void braze_delivery_place_begin(void);
extern void braze_delivery_place_row(const char *destination);
extern void braze_delivery_place_end(void);

#endif							/* BRAZE_DELIVERY_PLACE_H */
