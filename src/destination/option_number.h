/*-------------------------------------------------------------------------
 *
 * option_number.h
 *	  Options that are numbers, durations, rates and sizes.
 *
 * Parsers return NULL when the value is fine, else a sentence that says which
 * values are.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OPTION_NUMBER_H
#define BRAZE_OPTION_NUMBER_H

#include "destination/option.h"

extern const char *braze_parse_integer(const BrazeOption *option, const char *value, int *result);
extern const char *braze_parse_duration(const BrazeOption *option, const char *value, int *result);
extern const char *braze_parse_interval(const BrazeOption *option, const char *value, int *result);
extern const char *braze_parse_rate(const BrazeOption *option, const char *value, int *result);
extern const char *braze_parse_size(const BrazeOption *option, const char *value, int *result);

/* the shortest way to write what is stored */
extern char *braze_duration_text(int ms);
extern char *braze_interval_text(int seconds);
extern char *braze_rate_text(int thousandths);
extern char *braze_size_text(int kb);

/* a copy without the white space around it */
extern char *braze_trimmed(const char *text);

#endif							/* BRAZE_OPTION_NUMBER_H */
