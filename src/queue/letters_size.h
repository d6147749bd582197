/*-------------------------------------------------------------------------
 *
 * letters_size.h
 *	  What the dead letters of a destination take up, for max_queue_size.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_LETTERS_SIZE_H
#define BRAZE_LETTERS_SIZE_H

/*
 * Is there room for a letter of that size among those of the destination, which
 * are limited to limit?  If so, it counts.
 */
extern bool braze_letters_size_has_room(const char *destination, int64 limit, int64 bytes);

#endif							/* BRAZE_LETTERS_SIZE_H */
