/*-------------------------------------------------------------------------
 *
 * api_key.h
 *	  The REST API key of a destination: from its user mapping, or from a file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_API_KEY_H
#define BRAZE_API_KEY_H

#include "destination/destination.h"

/* Braze's keys are 36 characters; a file far longer than that holds no key */
#define BRAZE_MAX_KEY_LENGTH	4096

/* is it a key that can stand in an HTTP header? */
extern bool braze_api_key_is_valid(const char *key);

/*
 * The REST API key by the user mapping of the server's owner, else of PUBLIC;
 * palloc'd.  NULL with a reason (never the key) when there is none usable.
 */
extern char *braze_api_key_read(const BrazeDestination *destination, char **reason);

#endif							/* BRAZE_API_KEY_H */
