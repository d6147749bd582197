/*-------------------------------------------------------------------------
 *
 * option_number.h
 *	  Options that are numbers, durations, rates and sizes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OPTION_NUMBER_H
#define BRAZE_OPTION_NUMBER_H

#include "destination/option_table.h"

/* returns NULL when the value is fine, else a sentence that says which are */
extern const char *braze_option_number_parse(const BrazeOption *option, const char *value, int *result);

/*
 * of those that are not whole numbers: "1 s to 3650 d", and whether off is one
 */
extern char *braze_option_number_range(const BrazeOption *option);
extern bool braze_option_number_may_be_off(const BrazeOption *option);

#endif							/* BRAZE_OPTION_NUMBER_H */
