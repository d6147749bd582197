/*-------------------------------------------------------------------------
 *
 * plain_assert.h
 *	  Assertions of the folders in plain C.
 *
 * They are on where the server's own are, which the Makefile asks pg_config,
 * and in the unit tests.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PLAIN_ASSERT_H
#define BRAZE_PLAIN_ASSERT_H

#ifdef USE_ASSERT_CHECKING
#undef NDEBUG
#include <assert.h>
#define BRAZE_ASSERT(condition)	assert(condition)
#else
#define BRAZE_ASSERT(condition)	((void) 0)
#endif

#endif							/* BRAZE_PLAIN_ASSERT_H */
