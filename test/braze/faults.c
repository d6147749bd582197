/*-------------------------------------------------------------------------
 *
 * faults.c
 *	  What goes wrong on purpose, and when.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin.h"

#define HUGE_BYTES	(1L << 30)
#define MAX_DELAY	86400000L	/* ms: a day */

static const struct
{
	const char *name;
	bool		applied;		/* by default */
}			kinds[] = {
	[FAULT_STATUS] = {"status", false},
	[FAULT_REFUSE] = {"refuse", false},
	[FAULT_ERRORS] = {"errors", false},
	[FAULT_SLOW] = {"slow", false},
	[FAULT_HOLD] = {"hold", false},
	[FAULT_NEVER] = {"never", false},
	[FAULT_CLOSE] = {"close", false},
	[FAULT_CUT] = {"cut", true},
	[FAULT_HUGE] = {"huge", true},
	[FAULT_BROKEN_JSON] = {"broken_json", true},
	[FAULT_INVALID_UTF8] = {"invalid_utf8", true},
	[FAULT_EMPTY] = {"empty", true},
	[FAULT_NOT_JSON] = {"not_json", true},
};

#define NKINDS	(sizeof(kinds) / sizeof(kinds[0]))

const char *
standin_fault_name(FaultKind kind)
{
	return kinds[kind].name;
}

static void
fault_free(Fault *fault)
{
	free(fault->path);
	free(fault->user);
	free(fault->name);
	free(fault->array);
	free(fault->body);
	free(fault->reason);
	json_object_put(fault->headers);
	free(fault);
}

static bool
is_true(json_object *value)
{
	const char *string = json_object_get_string(value);

	return strcmp(string, "true") == 0 || strcmp(string, "1") == 0 ||
		strcmp(string, "on") == 0;
}

static void
set_string(char **field, json_object *value)
{
	free(*field);
	*field = standin_strdup(json_object_get_string(value));
}

static bool
set_kind(Fault *fault, json_object *value)
{
	for (size_t i = 0; value != NULL && i < NKINDS; i++)
	{
		if (strcmp(kinds[i].name, json_object_get_string(value)) == 0)
		{
			fault->kind = (FaultKind) i;
			fault->applied = kinds[i].applied;
			return true;
		}
	}
	return false;
}

/* a number as such or, from the query, as text; refuses what is out of range */
static bool
set_number(long *field, json_object *value, long least, long most)
{
	const char *text = json_object_get_string(value);
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || number < least || number > most)
		return false;
	*field = number;
	return true;
}

static bool
set_probability(Fault *fault, json_object *value)
{
	const char *text = json_object_get_string(value);
	char	   *end;

	fault->probability = strtod(text, &end);
	return end != text && *end == '\0' && fault->probability >= 0 &&
		fault->probability <= 1;
}

static bool
set_parameter(Fault *fault, const char *key, json_object *value)
{
	if (strcmp(key, "status") == 0)
		return set_number(&fault->status, value, MIN_STATUS, MAX_STATUS);
	if (strcmp(key, "count") == 0)
		return set_number(&fault->count, value, -1, LONG_MAX);
	if (strcmp(key, "after") == 0)
		return set_number(&fault->after, value, 0, LONG_MAX);
	if (strcmp(key, "probability") == 0)
		return set_probability(fault, value);
	if (strcmp(key, "seed") == 0)
		return set_number(&fault->seed, value, LONG_MIN, LONG_MAX);
	if (strcmp(key, "delay_ms") == 0)
		return set_number(&fault->delay, value, 0, MAX_DELAY);
	if (strcmp(key, "bytes") == 0)
		return set_number(&fault->bytes, value, 0, LONG_MAX);

	if (strcmp(key, "applied") == 0)
		fault->applied = is_true(value);
	else if (strcmp(key, "path") == 0)
		set_string(&fault->path, value);
	else if (strcmp(key, "user") == 0)
		set_string(&fault->user, value);
	else if (strcmp(key, "name") == 0)
		set_string(&fault->name, value);
	else if (strcmp(key, "array") == 0)
		set_string(&fault->array, value);
	else if (strcmp(key, "body") == 0)
		set_string(&fault->body, value);
	else if (strcmp(key, "reason") == 0)
		set_string(&fault->reason, value);
	else if (strcmp(key, "headers") == 0 && json_object_is_type(value, json_type_object))
	{
		json_object_put(fault->headers);
		fault->headers = json_object_get(value);
	}
	else
		return strcmp(key, "kind") == 0;
	return true;
}

Fault *
standin_faults_add(Faults *faults, json_object *parameters, char *reason, size_t size)
{
	Fault	   *fault = standin_alloc(sizeof(Fault));
	Fault	  **last = &faults->first;

	fault->count = -1;
	fault->probability = 1;
	fault->seed = 1;
	fault->bytes = HUGE_BYTES;
	reason[0] = '\0';
	if (!set_kind(fault, json_object_object_get(parameters, "kind")))
		snprintf(reason, size, "'kind' is none of the faults");
	else
	{
		json_object_object_foreach(parameters, key, value)
		{
			if (value == NULL || !set_parameter(fault, key, value))
				snprintf(reason, size, "'%.100s' is not a parameter of a fault, or "
						 "cannot have this value", key);
		}
	}
	if (reason[0] == '\0' && fault->kind == FAULT_STATUS && fault->status == 0)
		snprintf(reason, size, "'status' needs 'status'");
	if (reason[0] == '\0' && fault->kind == FAULT_SLOW && fault->delay <= 0)
		snprintf(reason, size, "'slow' needs 'delay_ms'");
	if (reason[0] != '\0')
	{
		fault_free(fault);
		return NULL;
	}
	if (fault->reason == NULL)
		fault->reason = standin_strdup("refused on purpose");
	fault->random = (uint64_t) fault->seed;
	fault->id = ++faults->last_id;
	while (*last != NULL)
		last = &(*last)->next;
	*last = fault;
	return fault;
}

void
standin_faults_clear(Faults *faults)
{
	while (faults->first != NULL)
	{
		Fault	   *fault = faults->first;

		faults->first = fault->next;
		fault_free(fault);
	}
}

bool
standin_faults_remove(Faults *faults, int id)
{
	for (Fault **link = &faults->first; *link != NULL; link = &(*link)->next)
	{
		Fault	   *fault = *link;

		if (fault->id == id)
		{
			*link = fault->next;
			fault_free(fault);
			return true;
		}
	}
	return false;
}

void
standin_faults_remove_kind(Faults *faults, FaultKind kind)
{
	Fault	  **link = &faults->first;

	while (*link != NULL)
	{
		Fault	   *fault = *link;

		if (fault->kind == kind)
		{
			*link = fault->next;
			fault_free(fault);
		}
		else
			link = &fault->next;
	}
}

void
standin_faults_print(const Faults *faults, Buffer *out)
{
	standin_buffer_puts(out, "[");
	for (const Fault *fault = faults->first; fault != NULL; fault = fault->next)
		standin_buffer_printf(out, "%s{\"id\":%d,\"kind\":\"%s\",\"left\":%ld,\"hits\":%ld}",
							  fault == faults->first ? "" : ",", fault->id,
							  kinds[fault->kind].name, fault->count, fault->hits);
	standin_buffer_puts(out, "]");
}

/* splitmix64: the same seed strikes the same requests */
static double
draw(Fault *fault)
{
	uint64_t	z = (fault->random += 0x9e3779b97f4a7c15UL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
	return (double) ((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static bool
is_who(const Identifier *who, const char *user)
{
	return who != NULL && strcmp(who->value, user) == 0;
}

/* an attribute's name counts as the name of its object */
static bool
has_name(const Item *item, const char *name)
{
	if (item->name != NULL)
		return strcmp(item->name, name) == 0;
	return json_object_is_type(item->object, json_type_object) &&
		json_object_object_get_ex(item->object, name, NULL);
}

static bool
matches_item(const Fault *fault, const Item *item)
{
	if (fault->array != NULL && strcmp(fault->array, item->array->name) != 0)
		return false;
	if (fault->user != NULL && !is_who(item->who, fault->user) &&
		!is_who(item->also, fault->user))
		return false;
	return fault->name == NULL || has_name(item, fault->name);
}

static bool
matches(const Fault *fault, const Request *request)
{
	if (fault->path != NULL && strcmp(fault->path, request->url) != 0)
		return false;
	if (fault->user == NULL && fault->name == NULL && fault->array == NULL)
		return true;
	for (int i = 0; i < request->nitems; i++)
	{
		if (matches_item(fault, &request->items[i]))
			return true;
	}
	return false;
}

static bool
strikes(Fault *fault)
{
	if (fault->after > 0)
	{
		fault->after--;
		return false;
	}
	if (fault->probability < 1 && draw(fault) >= fault->probability)
		return false;
	if (fault->count > 0)
		fault->count--;
	fault->hits++;
	return true;
}

Fault *
standin_faults_pick(Faults *faults, const Request *request)
{
	for (Fault *fault = faults->first; fault != NULL; fault = fault->next)
	{
		if (fault->kind != FAULT_ERRORS && fault->count != 0 &&
			matches(fault, request) && strikes(fault))
			return fault;
	}
	return NULL;
}

const char *
standin_faults_object(Faults *faults, const Request *request, const Item *item)
{
	for (Fault *fault = faults->first; fault != NULL; fault = fault->next)
	{
		if (fault->kind != FAULT_ERRORS || fault->count == 0)
			continue;
		if (fault->path != NULL && strcmp(fault->path, request->url) != 0)
			continue;
		if (matches_item(fault, item) && strikes(fault))
			return fault->reason;
	}
	return NULL;
}
