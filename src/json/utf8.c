/*-------------------------------------------------------------------------
 *
 * utf8.c
 *	  Text of the database's encoding as UTF-8.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "json/utf8.h"

static bool
is_ascii(BrazeString string)
{
	for (int i = 0; i < string.length; i++)
	{
		if (IS_HIGHBIT_SET(string.data[i]))
			return false;
	}
	return true;
}

bool
braze_utf8_convert(BrazeString *string)
{
	Oid			conversion;
	int			size;
	unsigned char *converted;

	if (GetDatabaseEncoding() == PG_UTF8 || is_ascii(*string))
		return true;
	conversion = FindDefaultConversionProc(GetDatabaseEncoding(), PG_UTF8);
	if (!OidIsValid(conversion))
		return false;
	size = string->length * MAX_CONVERSION_GROWTH + 1;
	converted = palloc(size);
	if (pg_do_encoding_conversion_buf(conversion, GetDatabaseEncoding(), PG_UTF8,
									  (unsigned char *) unconstify(char *, string->data),
									  string->length, converted, size, true) != string->length)
	{
		pfree(converted);
		return false;
	}
	string->data = (char *) converted;
	string->length = strlen(string->data);
	return true;
}

int
braze_utf8_size(const char *data, int length)
{
	BrazeString converted = {data, length};

	(void) braze_utf8_convert(&converted);
	if (converted.data != data)
		pfree(unconstify(char *, converted.data));
	return converted.length;
}

bool
braze_utf8_fits(BrazeString string, int min, int max)
{
	int			size;

	/*
	 * So many bytes are more than max characters: they are not converted, or
	 * a hostile text would take four times its size.
	 */
	if (string.length > max * MAX_MULTIBYTE_CHAR_LEN)
		return false;
	size = braze_utf8_size(string.data, string.length);
	return size >= min && size <= max;
}
