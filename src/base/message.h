/*-------------------------------------------------------------------------
 *
 * message.h
 *	  Messages for people that are kept in a place of fixed size.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_MESSAGE_H
#define BRAZE_MESSAGE_H

/* as strlcpy, but never half of a character of the database's encoding */
extern void braze_message_copy(char *to, const char *message, Size size);

#endif							/* BRAZE_MESSAGE_H */
