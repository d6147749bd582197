/*-------------------------------------------------------------------------
 *
 * option_values.h
 *	  What an option can be set to, in words for people.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OPTION_VALUES_H
#define BRAZE_OPTION_VALUES_H

#include "destination/option_table.h"

/* for people: the kind of value, and which there are */
extern const char *braze_option_values_type(const BrazeOption *option);
extern const char *braze_option_values(const BrazeOption *option);

/* "a, b, c" */
extern char *braze_option_values_choices(const BrazeChoice *choices);

#endif							/* BRAZE_OPTION_VALUES_H */
