/*-------------------------------------------------------------------------
 *
 * uuid.c
 *	  UUIDs as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json/uuid.h"

bool
braze_uuid_read(BrazeString string, char *uuid)
{
	if (string.length != BRAZE_UUID_LENGTH)
		return false;
	for (int i = 0; i < string.length; i++)
	{
		char		c = string.data[i];

		if (i == 8 || i == 13 || i == 18 || i == 23)
		{
			if (c != '-')
				return false;
		}
		else if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
			return false;
		uuid[i] = pg_ascii_tolower((unsigned char) c);
	}
	return true;
}
