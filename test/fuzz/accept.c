/*-------------------------------------------------------------------------
 *
 * accept.c
 *	  Would Braze accept what the mapping made?
 *
 * Reads lines of a kind, a tab and an object, as braze_map returns them, and
 * asks the stand-in's validator.  A line of kind "note" is a sentence for
 * people.  Prints what is refused, and fails if anything is.
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "rawjson.h"
#include "validate.h"

/* as the stand-in itself reads requests */
#define MAX_DEPTH		(STANDIN_JSON_DEPTH + 1)
#define MAX_SHOWN		20
#define MAX_SHOWN_BYTES	600

#define MAX_NOTE		1000

static json_tokener *tokener;

static bool
check_object(const char *kind, const char *text, size_t length, char *reason, size_t size)
{
	json_object *object;
	bool		good;

	/* no strict tokener: that of json-c 0.18 takes ASCII strings only */
	if (!standin_json_check(text, length, reason, size))
		return false;
	json_tokener_reset(tokener);
	object = json_tokener_parse_ex(tokener, text, (int) length + 1);
	if (json_tokener_get_error(tokener) != json_tokener_success)
	{
		snprintf(reason, size, "no JSON: %s", json_tokener_error_desc(json_tokener_get_error(tokener)));
		return false;
	}
	good = standin_validate(kind, object, reason, size);
	json_object_put(object);
	return good;
}

/* one line of text that a terminal can show */
static bool
check_note(const char *text, size_t length, char *reason, size_t size)
{
	const unsigned char *p = (const unsigned char *) text;
	size_t		i = 0;

	if (length == 0 || length > MAX_NOTE)
	{
		snprintf(reason, size, "a note of %zu bytes", length);
		return false;
	}
	while (i < length)
	{
		int			more = p[i] < 0x80 ? 0 : (p[i] & 0xe0) == 0xc0 ? 1 :
			(p[i] & 0xf0) == 0xe0 ? 2 : (p[i] & 0xf8) == 0xf0 ? 3 : -1;

		if (more < 0 || i + more >= length || p[i] < 0x20 || p[i] == 0x7f)
		{
			snprintf(reason, size, "a note with a byte 0x%02x at %zu", p[i], i);
			return false;
		}
		for (i++; more > 0; more--, i++)
		{
			if ((p[i] & 0xc0) != 0x80)
			{
				snprintf(reason, size, "a note that is cut inside of a character at %zu", i);
				return false;
			}
		}
	}
	return true;
}

int
main(void)
{
	char	   *line = NULL;
	size_t		size = 0;
	ssize_t		length;
	long		lines = 0;
	long		refused = 0;

	tokener = json_tokener_new_ex(MAX_DEPTH);
	while ((length = getline(&line, &size, stdin)) > 0)
	{
		char	   *text = strchr(line, '\t');
		char		reason[1024] = "";
		bool		good;

		lines++;
		if (text == NULL || line[length - 1] != '\n')
		{
			printf("line %ld is cut\n", lines);
			return 2;
		}
		line[--length] = '\0';
		*text++ = '\0';
		length -= text - line;
		good = strcmp(line, "note") == 0 ? check_note(text, length, reason, sizeof(reason)) :
			check_object(line, text, length, reason, sizeof(reason));
		if (!good && refused++ < MAX_SHOWN)
			printf("refused: %s\n  %s %.*s\n", reason, line, MAX_SHOWN_BYTES, text);
	}
	json_tokener_free(tokener);
	free(line);
	if (refused > 0)
	{
		printf("%ld of %ld lines were refused\n", refused, lines);
		return 1;
	}
	return 0;
}
