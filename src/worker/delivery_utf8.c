/*-------------------------------------------------------------------------
 *
 * delivery_utf8.c
 *	  Braze reads UTF-8, and the mapping writes the database's encoding.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "worker/delivery_utf8.h"

const char *
braze_delivery_utf8_text(const char *text, size_t *length)
{
	char	   *converted;

	if (GetDatabaseEncoding() == PG_UTF8)
		return text;
	converted = pg_server_to_any(text, (int) *length, PG_UTF8);
	if (converted != text)
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

void
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
}
