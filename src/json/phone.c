/*-------------------------------------------------------------------------
 *
 * phone.c
 *	  Telephone numbers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "json/phone.h"

bool
braze_phone_is_e164(BrazeString string)
{
	if (string.length < 3 || string.length > 16 || string.data[0] != '+' ||
		string.data[1] == '0')
		return false;
	for (int i = 1; i < string.length; i++)
	{
		if (string.data[i] < '0' || string.data[i] > '9')
			return false;
	}
	return true;
}
