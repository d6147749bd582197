/*-------------------------------------------------------------------------
 *
 * oldest_search.h
 *	  The oldest calls of destinations that take none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OLDEST_SEARCH_H
#define BRAZE_OLDEST_SEARCH_H

#include "store/reader.h"

/* in a read, while all are behind: a part of the queue, if it is time */
extern void braze_oldest_search_look(BrazeReader *reader);

#endif							/* BRAZE_OLDEST_SEARCH_H */
