/*-------------------------------------------------------------------------
 *
 * grow.h
 *	  Room for more elements of a list that outlives an error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_GROW_H
#define BRAZE_GROW_H

#include "utils/memutils.h"

/*
 * Twice the room for a list.  Where there is no memory for it the list and its
 * size stay as they are: the error may be caught, and the list used again.
 */
static inline void *
braze_grow(void *list, int *size, Size element)
{
	int			more = *size * 2;

	list = repalloc_huge(list, element * more);
	*size = more;
	return list;
}

#endif							/* BRAZE_GROW_H */
