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

/*
 * Fills settings from a list of DefElem as the catalog has them.  Options may
 * have been written by another version of this extension: unknown ones are
 * ignored, and a value that is not understood counts as not given.  Strings
 * are allocated in the current memory context.
 */
extern void braze_option_validator_load(List *options, BrazeSettings *settings);

#endif							/* BRAZE_OPTION_VALIDATOR_H */
