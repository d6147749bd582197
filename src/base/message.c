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

char	   *
braze_message_clean(const char *message)
{
	char	   *clean = pstrdup(message);
	char	   *end = clean + strlen(clean);

	for (char *p = clean; p < end; p++)
	{
		p += pg_encoding_verifymbstr(GetDatabaseEncoding(), p, end - p);
		if (p < end)
			*p = '?';
	}
	for (char *p = clean; p < end; p += pg_mblen(p))
	{
		if ((unsigned char) *p < 0x20 || *p == 0x7F)
			*p = '?';
	}
	return clean;
}

void
braze_message_copy(char *to, const char *message, Size size)
{
	int			length = pg_mbcliplen(message, strlen(message), size - 1);

	memcpy(to, message, length);
	to[length] = '\0';
}
