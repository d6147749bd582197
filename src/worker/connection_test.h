/*-------------------------------------------------------------------------
 *
 * connection_test.h
 *	  The worker's part of braze_test.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CONNECTION_TEST_H
#define BRAZE_CONNECTION_TEST_H

#include "base/shmem.h"
#include "braze/http.h"

/* slot: that of our database, with the place where sessions ask */
extern void braze_connection_test_init(BrazeDatabaseSlot *slot);

/* begins the test that a session waits for, if there is one */
extern void braze_connection_test_begin(BrazeHttp *http);

/* takes the end of a request if it is one of a test; false: it is not */
extern bool braze_connection_test_take(BrazeHttp *http, BrazeHttpRequest *done);

#endif							/* BRAZE_CONNECTION_TEST_H */
