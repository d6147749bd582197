/*-------------------------------------------------------------------------
 *
 * answer_text.h
 *	  The text of an answer, made safe to be read and to be shown.
 *
 * Plain C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ANSWER_TEXT_H
#define BRAZE_ANSWER_TEXT_H

#include <stddef.h>

#include "braze/answer.h"

/*
 * Appends to a reason as much as fits, in whole characters.  Control
 * characters (C0, DEL, C1) become spaces, since a reason ends up in the log
 * and on terminals; a run of them, as in an error page, becomes one.
 */
extern void braze_answer_text_append(char *reason, const char *text, size_t length);

/* a character of two bytes is written as six */
#define BRAZE_TAMED_GROWTH	3

/*
 * Whether json-c's strict mode takes integers over 64 bits, and control
 * characters or bytes above ASCII in a string, depends on its release: 0.16
 * takes them all, 0.18 none.  This writes the answer without them to tamed,
 * which has room for BRAZE_TAMED_GROWTH times its length and a NUL; returns how
 * long it is.
 */
extern size_t braze_answer_text_tame(char *tamed, const char *body, size_t length);

#endif							/* BRAZE_ANSWER_TEXT_H */
