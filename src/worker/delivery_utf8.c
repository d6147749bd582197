/*-------------------------------------------------------------------------
 *
 * delivery_utf8.c
 *	  Braze reads UTF-8, and the mapping writes the database's encoding.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

#include "worker/delivery_utf8.h"

const char *
braze_delivery_utf8_text(const char *text, size_t *length)
{
	int			encoding = GetDatabaseEncoding();
	int			size = (int) *length;
	int			converted_size = size * MAX_CONVERSION_GROWTH + 1;
	char	   *converted;
	Oid			function;

	if (encoding == PG_UTF8)
		return text;
	if (encoding == PG_SQL_ASCII)
		return pg_verify_mbstr(PG_UTF8, text, size, true) ? text : NULL;
	function = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(function))
		return NULL;
	converted = palloc(converted_size);
	if (pg_do_encoding_conversion_buf(function, encoding, PG_UTF8, (unsigned char *) text, size,
									  (unsigned char *) converted, converted_size, true) < size)
		return NULL;
	*length = strlen(converted);
	return converted;
}

/* the length of the first bytes of a text, converted */
static size_t
converted_length(const char *text, size_t length)
{
	if (length > 0)
		(void) braze_delivery_utf8_text(pnstrdup(text, length), &length);
	return length;
}

bool
braze_delivery_utf8_object(const BrazeMapped *mapped, const BrazeObject *object,
						   BrazePackObject *packed)
{
	const char *json = mapped->text.data + object->json.offset;

	packed->name = object->name.offset;
	packed->name_length = object->name.length;
	if (GetDatabaseEncoding() != PG_UTF8)
	{
		packed->name = converted_length(json, object->name.offset);
		packed->name_length = converted_length(json + object->name.offset, object->name.length);
	}
	packed->length = object->json.length;
	packed->json = braze_delivery_utf8_text(json, &packed->length);
	return packed->json != NULL;
}

char	   *
braze_delivery_utf8_problem(void)
{
	return psprintf("The call has a character of the database's encoding %s that cannot be converted to UTF-8, which Braze reads.",
					GetDatabaseEncodingName());
}

void
braze_delivery_utf8_from_braze(char *reason)
{
	char	   *to = reason;

	if (GetDatabaseEncoding() == PG_UTF8)
		return;
	for (const unsigned char *p = (const unsigned char *) reason; *p != '\0'; p++)
	{
		if (!IS_HIGHBIT_SET(*p))
			*to++ = *p;
		else if (*p >= 0xC0)	/* the first byte of a character */
			*to++ = '?';
	}
	*to = '\0';
}
