/*-------------------------------------------------------------------------
 *
 * option_validator.h
 *	  Checking, loading and listing the options of destinations.
 *
 * The validator, the loader and braze_options() walk the same table, so they
 * cannot disagree.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OPTION_VALIDATOR_H
#define BRAZE_OPTION_VALIDATOR_H

#include "nodes/pg_list.h"

#include "destination/destination_settings.h"

/* Braze's keys are 36 characters; a file far longer than that holds no key */
#define BRAZE_MAX_KEY_LENGTH	4096

/*
 * Fills settings from a list of DefElem as the catalog has them.  Options may
 * have been written by another version of this extension: unknown ones are
 * ignored, and a value that is not understood counts as not given.  Strings
 * are allocated in the current memory context.
 */
extern void braze_option_validator_load(List *options, BrazeSettings *settings);

/* is it a key that can stand in an HTTP header? */
extern bool braze_key_is_valid(const char *key);

#endif							/* BRAZE_OPTION_VALIDATOR_H */
