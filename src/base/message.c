/*-------------------------------------------------------------------------
 *
 * message.c
 *	  Messages for people that are kept in a place of fixed size.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "base/message.h"

void
braze_message_copy(char *to, const char *message, Size size)
{
	int			length = pg_mbcliplen(message, strlen(message), size - 1);

	memcpy(to, message, length);
	to[length] = '\0';
}
