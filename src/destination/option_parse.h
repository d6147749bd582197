/*-------------------------------------------------------------------------
 *
 * option_parse.h
 *	  From the text of an option to a setting, or to what is wrong with it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OPTION_PARSE_H
#define BRAZE_OPTION_PARSE_H

#include "destination/option_table.h"

/*
 * Parses a value into settings, for which NULL stands when it is only to be
 * checked.  Returns NULL, or a sentence that says which values are valid.
 */
extern const char *braze_option_parse(const BrazeOption *option, const char *value,
									  BrazeSettings *settings);

#endif							/* BRAZE_OPTION_PARSE_H */
