/*-------------------------------------------------------------------------
 *
 * closest_name.h
 *	  What a user most likely meant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CLOSEST_NAME_H
#define BRAZE_CLOSEST_NAME_H

/*
 * The valid name that a user most likely meant, NULL when none is near.  next
 * returns the candidates one by one, then NULL.
 */
typedef const char *(*BrazeNextName) (void *state);
extern const char *braze_closest_name(const char *name, BrazeNextName next,
									  void *state);

#endif							/* BRAZE_CLOSEST_NAME_H */
