/*-------------------------------------------------------------------------
 *
 * option_text.c
 *	  The text of an option, before it means anything.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "braze/ascii.h"
#include "destination/option_text.h"
#include "json/jsonb_walk.h"

char	   *
braze_option_text_trimmed(const char *text)
{
	BrazeString trimmed = {text, strlen(text)};

	trimmed = braze_trim(trimmed);
	return pnstrdup(trimmed.data, trimmed.length);
}

bool
braze_option_text_has_controls(const char *text)
{
	for (; *text; text++)
	{
		if ((unsigned char) *text < ' ' || *text == 0x7f)
			return true;
	}
	return false;
}

bool
braze_option_text_split(const char *text, List **elements)
{
	*elements = NIL;
	while (braze_is_space(*text))
		text++;
	if (*text == '\0')
		return true;

	for (;;)
	{
		StringInfoData element;

		initStringInfo(&element);
		while (braze_is_space(*text))
			text++;
		if (*text == '"')
		{
			/* a double quote ends the element unless another one follows */
			for (text++; *text != '"' || text[1] == '"'; text++)
			{
				if (*text == '\0')
					return false;
				if (*text == '"')
					text++;
				appendStringInfoChar(&element, *text);
			}
			text++;
			while (braze_is_space(*text))
				text++;
			if (*text != ',' && *text != '\0')
				return false;
		}
		else
		{
			for (; *text != ',' && *text != '\0'; text++)
				appendStringInfoChar(&element, *text);
			while (element.len > 0 && braze_is_space(element.data[element.len - 1]))
				element.data[--element.len] = '\0';
		}

		/* nobody means an empty name: a comma too many is more likely */
		if (element.len == 0)
			return false;
		*elements = lappend(*elements, element.data);
		if (*text == '\0')
			return true;
		text++;
	}
}
