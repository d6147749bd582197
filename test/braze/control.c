/*-------------------------------------------------------------------------
 *
 * control.c
 *	  What tests ask for and change, under /_control/.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "standin.h"

#define LOG_PAGE	100000		/* lines of one answer, unless asked for more */

static const char *
parameter(json_object *parameters, const char *name)
{
	json_object *value;

	if (!json_object_object_get_ex(parameters, name, &value) || value == NULL)
		return NULL;
	return json_object_get_string(value);
}

static long
number(json_object *parameters, const char *name, long otherwise)
{
	const char *value = parameter(parameters, name);

	return value ? strtol(value, NULL, 10) : otherwise;
}

static void
answer_buffer(Request *request, Buffer *body, const char *type)
{
	standin_http_answer(request, 200, body->data ? body->data : "");
	request->answer.type = type;
	standin_buffer_free(body);
}

static void
answer_error(Request *request, int status, const char *reason)
{
	Buffer		body = {0};

	standin_buffer_puts(&body, "{\"error\":");
	standin_buffer_quote(&body, reason);
	standin_buffer_puts(&body, "}");
	standin_http_answer(request, status, body.data);
	standin_buffer_free(&body);
}

static long
sum(const long *counts)
{
	long		total = 0;

	for (int i = 0; i < KINDS; i++)
		total += counts[i];
	return total;
}

static void
print_kinds(Buffer *out, const char *name, const long *counts)
{
	standin_buffer_printf(out, ",\"%s\":{\"total\":%ld", name, sum(counts));
	for (int i = 0; i < KINDS; i++)
		standin_buffer_printf(out, ",\"%s\":%ld", standin_kinds[i], counts[i]);
	standin_buffer_puts(out, "}");
}

static void
stats(Standin *standin, Request *request, json_object *parameters)
{
	const Stats *s = &standin->stats;
	Buffer		out = {0};
	bool		first = true;

	(void) parameters;
	standin_drop_dead(standin);
	standin_buffer_printf(&out, "{\"requests\":%ld,\"bytes\":%ld,\"answers\":{",
						  s->requests, s->bytes);
	for (int i = 0; i <= MAX_STATUS; i++)
	{
		if (s->answers[i] == 0)
			continue;
		standin_buffer_printf(&out, "%s\"%d\":%ld", first ? "" : ",", i, s->answers[i]);
		first = false;
	}
	standin_buffer_puts(&out, "}");
	print_kinds(&out, "received", s->received);
	print_kinds(&out, "accepted", s->accepted);
	print_kinds(&out, "refused", s->refused);
	print_kinds(&out, "lost", s->lost);
	standin_buffer_printf(&out, ",\"objects_per_request\":{\"min\":%d,\"avg\":%.2f,"
						  "\"max\":%d}", s->fewest,
						  s->with_objects ? (double) sum(s->received) /
						  (double) s->with_objects : 0.0, s->most);
	standin_buffer_printf(&out, ",\"concurrent\":%d,\"max_concurrent\":%d,\"held\":%d,"
						  "\"delayed\":%d,\"overlaps\":%ld,\"users\":%ld,"
						  "\"log_first\":%ld,\"log_last\":%ld}", s->concurrent,
						  s->max_concurrent, standin->nheld, standin->ndelayed,
						  s->overlaps, standin->users.profiles,
						  standin->journal.first + 1, standin->journal.next);
	answer_buffer(request, &out, "application/json");
}

/* the identifiers that have a profile, one JSON line each */
static void
list_users(Standin *standin, Request *request)
{
	Buffer		out = {0};

	for (unsigned i = 0; i < standin->users.count; i++)
	{
		const Identifier *identifier = standin->users.all[i];

		if (identifier->user == NULL)
			continue;
		standin_buffer_printf(&out, "{\"identifier\":\"%s\",\"value\":", identifier->type);
		standin_buffer_quote(&out, identifier->value);
		if (identifier->label != NULL)
		{
			standin_buffer_puts(&out, ",\"label\":");
			standin_buffer_quote(&out, identifier->label);
		}
		standin_buffer_puts(&out, "}\n");
	}
	answer_buffer(request, &out, "application/x-ndjson");
}

static void
users(Standin *standin, Request *request, json_object *parameters)
{
	static const char *const types[] = {"external_id", "braze_id", "email", "phone", NULL};
	static const char prefix[] = "/_control/users/";
	const char *alias = parameter(parameters, "alias_name");
	const char *label = parameter(parameters, "alias_label");
	const Identifier *found = NULL;
	bool		named = true;
	Buffer		out = {0};

	if (strncmp(request->url, prefix, sizeof(prefix) - 1) == 0)
		found = standin_users_find(&standin->users, "external_id",
								   request->url + sizeof(prefix) - 1, NULL);
	else if (alias != NULL && label != NULL)
		found = standin_users_find(&standin->users, "user_alias", alias, label);
	else
	{
		named = false;
		for (const char *const *type = types; *type != NULL && !named; type++)
		{
			const char *value = parameter(parameters, *type);

			if (value == NULL)
				continue;
			named = true;
			found = standin_users_find(&standin->users, *type, value, NULL);
		}
	}
	if (!named)
		list_users(standin, request);
	else if (found == NULL || found->user == NULL)
		answer_error(request, 404, "no such user");
	else
	{
		standin_users_print(found->user, &out);
		answer_buffer(request, &out, "application/json");
	}
}

static void
read_log(Standin *standin, Request *request, json_object *parameters)
{
	Buffer		out = {0};

	standin_journal_print(&standin->journal, number(parameters, "after", 0),
						  number(parameters, "limit", LOG_PAGE),
						  parameter(parameters, "user"), &out);
	answer_buffer(request, &out, "application/x-ndjson");
}

static const char *
property_of(const Standin *standin, json_object *parameters)
{
	const char *property = parameter(parameters, "property");

	return property ? property : standin->journal.property;
}

static void
order(Standin *standin, Request *request, json_object *parameters)
{
	OrderReport report;
	Buffer		out = {0};

	if (!standin_journal_order(&standin->journal, property_of(standin, parameters),
							   &report))
	{
		answer_error(request, 409, "the log no longer holds all objects");
		return;
	}
	standin_buffer_printf(&out, "{\"violations\":%ld,\"distinct\":%ld,\"duplicates\":%ld,"
						  "\"repeats\":%ld", report.violations, report.distinct,
						  report.duplicates, report.repeats);
	if (report.violations > 0)
	{
		standin_buffer_puts(&out, ",\"example\":{\"user\":");
		standin_buffer_quote(&out, standin->users.all[report.example.who]->value);
		standin_buffer_printf(&out, ",\"request\":%ld,\"value\":%lld,\"came_after\":%lld}",
							  report.example.request, (long long) report.example.value,
							  (long long) report.example_after);
	}
	standin_buffer_puts(&out, "}");
	answer_buffer(request, &out, "application/json");
}

static void
seen(Standin *standin, Request *request, json_object *parameters)
{
	Buffer		out = {0};

	if (standin_journal_seen(&standin->journal, property_of(standin, parameters), &out))
		answer_buffer(request, &out, "text/plain");
	else
		answer_error(request, 409, "the log no longer holds all objects");
}

static void
list_faults(Standin *standin, Request *request, json_object *parameters)
{
	Buffer		out = {0};

	(void) parameters;
	standin_faults_print(&standin->faults, &out);
	answer_buffer(request, &out, "application/json");
}

static void
add_fault(Standin *standin, Request *request, json_object *parameters)
{
	char		reason[REASON_SIZE];
	Fault	   *fault = standin_faults_add(&standin->faults, parameters, reason,
										   sizeof(reason));
	Buffer		out = {0};

	if (fault == NULL)
	{
		answer_error(request, 400, reason);
		return;
	}
	standin_buffer_printf(&out, "{\"id\":%d}", fault->id);
	answer_buffer(request, &out, "application/json");
}

bool
standin_read_faults(Standin *standin, const char *name)
{
	char		reason[REASON_SIZE] = "no JSON object";
	char	   *line = NULL;
	size_t		size = 0;
	int			number = 0;
	bool		good = true;
	FILE	   *file;

	if (name == NULL)
		return true;
	file = fopen(name, "r");
	if (file == NULL)
	{
		perror(name);
		return false;
	}
	while (good && getline(&line, &size, file) > 0)
	{
		json_object *parameters = json_tokener_parse(line);

		number++;
		good = json_object_is_type(parameters, json_type_object) &&
			standin_faults_add(&standin->faults, parameters, reason, sizeof(reason));
		json_object_put(parameters);
	}
	if (!good)
		fprintf(stderr, "%s:%d: %s\n", name, number, reason);
	free(line);
	fclose(file);
	return good;
}

static void
clear_faults(Standin *standin, Request *request, json_object *parameters)
{
	long		id = number(parameters, "id", 0);

	if (id == 0)
		standin_faults_clear(&standin->faults);
	else if (!standin_faults_remove(&standin->faults, (int) id))
	{
		answer_error(request, 404, "no such fault");
		return;
	}
	standin_http_answer(request, 200, "{}");
}

static void
hold(Standin *standin, Request *request, json_object *parameters)
{
	json_object_object_add(parameters, "kind", json_object_new_string("hold"));
	add_fault(standin, request, parameters);
}

/* releasing all ends the holding, so that what comes next is answered */
static void
release(Standin *standin, Request *request, json_object *parameters)
{
	int			count = (int) number(parameters, "count", -1);
	long		status = number(parameters, "status", 0);
	Buffer		out = {0};

	if (status != 0 && (status < MIN_STATUS || status > MAX_STATUS))
	{
		answer_error(request, 400, "'status' must be 200 to 599");
		return;
	}
	if (count < 0)
		standin_faults_remove_kind(&standin->faults, FAULT_HOLD);
	standin_buffer_printf(&out, "{\"released\":%d}",
						  standin_release_many(standin, count, (int) status, false));
	answer_buffer(request, &out, "application/json");
}

/* all connections end but the one that asks: what is under way has no answer */
static void
disconnect(Standin *standin, Request *request, json_object *parameters)
{
	Buffer		out = {0};

	(void) parameters;
	standin_buffer_printf(&out, "{\"disconnected\":%d}",
						  standin_disconnect(standin, request->connection));
	answer_buffer(request, &out, "application/json");
}

static void
mark(Standin *standin, Request *request, json_object *parameters)
{
	const char *text = parameter(parameters, "text");

	if (text == NULL)
	{
		answer_error(request, 400, "'text' is missing");
		return;
	}
	standin_ledger_mark(&standin->ledger, text, standin->connections.last_number);
	standin_http_answer(request, 200, "{}");
}

static void
set_keys(Standin *standin, Request *request, json_object *parameters)
{
	const char *key = parameter(parameters, "key");
	const char *track_key = parameter(parameters, "track_key");

	if (key != NULL)
	{
		free(standin->key);
		standin->key = standin_strdup(key);
	}
	if (track_key != NULL)
	{
		free(standin->track_key);
		standin->track_key = standin_strdup(track_key);
	}
	standin_http_answer(request, 200, "{}");
}

void
standin_state_init(Standin *standin)
{
	const Options *options = standin->options;

	standin_users_init(&standin->users, options->keep);
	standin_journal_init(&standin->journal, options->log_limit, options->property);
}

void
standin_state_free(Standin *standin)
{
	standin_faults_clear(&standin->faults);
	standin_journal_free(&standin->journal);
	standin_users_free(&standin->users);
}

/* requests under way name users that will be gone: they end first */
static void
reset(Standin *standin, Request *request, json_object *parameters)
{
	int			concurrent = standin->stats.concurrent;

	(void) parameters;
	standin_release_many(standin, -1, 0, true);
	for (Request *other = standin->requests; other != NULL; other = other->next)
	{
		standin_unmark(other);
		other->nitems = 0;
		other->forgotten = other->state != REQUEST_ARRIVING;
	}
	standin_state_free(standin);
	standin_state_init(standin);
	memset(&standin->stats, 0, sizeof(standin->stats));
	standin->stats.concurrent = concurrent;
	standin->last_number = 0;
	standin_http_answer(request, 200, "{}");
}

void
standin_control(Standin *standin, Request *request, json_object *parameters)
{
	static const struct
	{
		const char *method;
		const char *path;
		void		(*run) (Standin *standin, Request *request, json_object *parameters);
	}			commands[] = {
		{"GET", "/_control/stats", stats},
		{"GET", "/_control/users", users},
		{"GET", "/_control/log", read_log},
		{"GET", "/_control/order", order},
		{"GET", "/_control/seen", seen},
		{"GET", "/_control/faults", list_faults},
		{"POST", "/_control/faults", add_fault},
		{"DELETE", "/_control/faults", clear_faults},
		{"POST", "/_control/hold", hold},
		{"POST", "/_control/release", release},
		{"POST", "/_control/disconnect", disconnect},
		{"POST", "/_control/mark", mark},
		{"POST", "/_control/keys", set_keys},
		{"POST", "/_control/reset", reset},
	};

	if (strcmp(request->method, "GET") == 0 &&
		strncmp(request->url, "/_control/users/", 16) == 0)
	{
		users(standin, request, parameters);
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		if (strcmp(commands[i].path, request->url) == 0 &&
			strcmp(commands[i].method, request->method) == 0)
		{
			commands[i].run(standin, request, parameters);
			return;
		}
	}
	answer_error(request, 404, "no such command");
}
