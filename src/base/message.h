/*-------------------------------------------------------------------------
 *
 * message.h
 *	  Messages for people that are kept in a place of fixed size.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_MESSAGE_H
#define BRAZE_MESSAGE_H

/*
 * A copy of what came from elsewhere: a byte that is part of no character of
 * the database's encoding, or a control character, is a question mark.
 */
extern char *braze_message_clean(const char *message);

/* as strlcpy, but never half of a character of the database's encoding */
extern void braze_message_copy(char *to, const char *message, Size size);

#endif							/* BRAZE_MESSAGE_H */
