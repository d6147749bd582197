/*
 * judge.h
 *	  Objects that the stand-in's validator must accept or refuse.
 *
 * JSON is written with ' for ", so no value may contain one.
 */
#ifndef JUDGE_H
#define JUDGE_H

#include "tap.h"

#include <json-c/json.h>

#include "buffer.h"
#include "validate.h"

#define LIST(...) ((const char *const[]) {__VA_ARGS__, NULL})

/*
 * about NULL: it is accepted; else a part of the reason why it is refused, so
 * that nothing is refused for another one.
 */
static void
judge(const char *kind, const char *format, const char *value, const char *about)
{
	char		reason[256] = "";
	Buffer		json = {0};
	json_object *object;
	bool		accepted;

	standin_buffer_printf(&json, format, value);
	for (char *c = json.data; *c != '\0'; c++)
	{
		if (*c == '\'')
			*c = '"';
	}
	object = json_tokener_parse(json.data);
	if (object == NULL)
		ok(false, "not JSON: %.200s", json.data);
	else
	{
		bool		good;

		accepted = standin_validate(kind, object, reason, sizeof(reason));
		good = about == NULL ? accepted :
			!accepted && reason[0] != '\0' && strstr(reason, about) != NULL;
		ok(good, "%s%s: %.160s", about == NULL ? "" : "not ", kind, json.data);
		if (!good)
			printf("#   %s: %s\n", accepted ? "accepted" : "refused", reason);
	}
	json_object_put(object);
	standin_buffer_free(&json);
}

/* %s in format is where each value goes */
static void
accepts(const char *kind, const char *format, const char *const *values)
{
	for (; *values != NULL; values++)
		judge(kind, format, *values, NULL);
}

static void
refuses(const char *kind, const char *about, const char *format, const char *const *values)
{
	for (; *values != NULL; values++)
		judge(kind, format, *values, about);
}

#endif							/* JUDGE_H */
