/*-------------------------------------------------------------------------
 *
 * option_text.h
 *	  The text of an option, before it means anything.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OPTION_TEXT_H
#define BRAZE_OPTION_TEXT_H

#include "nodes/pg_list.h"

/* a copy without the white space around it */
extern char *braze_option_text_trimmed(const char *text);

extern bool braze_option_text_has_controls(const char *text);

/*
 * Splits a list at its commas.  An element that holds a comma, or begins or
 * ends with white space, is written in double quotes, a double quote in it
 * twice.  Returns a list of char *; false for what is not a list.
 */
extern bool braze_option_text_split(const char *text, List **elements);

#endif							/* BRAZE_OPTION_TEXT_H */
