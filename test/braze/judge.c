/*-------------------------------------------------------------------------
 *
 * judge.c
 *	  What becomes of the objects of a request, and Braze's answer to it.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "standin.h"
#include "validate.h"

static void
record(Standin *standin, const Request *request, const Item *item, Outcome outcome,
	   const char *reason, Text *text)
{
	Entry		entry = {0};

	entry.request = request->number;
	entry.kind = item->array->kind;
	entry.who = item->who;
	entry.name = item->name ? standin_text_new(item->name, strlen(item->name)) : NULL;
	entry.object = text;
	entry.reason = reason ? standin_text_new(reason, strlen(reason)) : NULL;
	entry.outcome = outcome;
	standin_ledger_object(&standin->ledger, &entry);
	standin_journal_add(&standin->journal, &entry, item->object);
}

/* true when it is good, and then applied */
static bool
judge_item(Standin *standin, const Request *request, const Item *item, char *reason,
		   bool *effect)
{
	const char *kind = item->array->kind;
	const char *purpose;
	Text	   *text = standin_text_new(item->start, item->length);
	bool		good = standin_validate(kind, item->object, reason, REASON_SIZE);
	int			number = standin_kind(kind);

	*effect = false;
	if (good && (purpose = standin_faults_object(&standin->faults, request, item)) != NULL)
	{
		good = false;
		strncpy(reason, purpose, REASON_SIZE - 1);
		reason[REASON_SIZE - 1] = '\0';
	}
	if (good)
	{
		*effect = standin_users_apply(&standin->users, kind, item->object, text);
		standin->stats.accepted[number]++;
	}
	else
		standin->stats.refused[number]++;
	record(standin, request, item,
		   *effect ? OUTCOME_ACCEPTED : good ? OUTCOME_NO_EFFECT : OUTCOME_REFUSED,
		   good ? NULL : reason, text);
	return good;
}

static void
add_error(Buffer *errors, const Item *item, const char *reason)
{
	standin_buffer_puts(errors, errors->length == 0 ? "{\"type\":" : ",{\"type\":");
	standin_buffer_quote(errors, reason);
	standin_buffer_printf(errors, ",\"input_array\":\"%s\",\"index\":%d}",
						  item->array->name, item->index);
}

static void
print_counts(const Request *request, const int *good, int total_good, int effects,
			 Buffer *body)
{
	const Endpoint *endpoint = request->endpoint;

	if (endpoint->counter != NULL)
	{
		standin_buffer_printf(body, ",\"%s\":%d", endpoint->counter,
							  endpoint->one_array ? effects : total_good);
		return;
	}
	for (int i = 0; endpoint->arrays[i].kind != NULL && endpoint->status == 201; i++)
	{
		if (json_object_object_get_ex(request->json, endpoint->arrays[i].name, NULL))
			standin_buffer_printf(body, ",\"%s_processed\":%d",
								  endpoint->arrays[i].name, good[i]);
	}
}

void
standin_judge(Standin *standin, Request *request)
{
	const Endpoint *endpoint = request->endpoint;
	int			good[ARRAYS_MAX] = {0};
	int			total_good = 0;
	int			effects = 0;
	Buffer		errors = {0};
	Buffer		body = {0};

	request->judged = true;
	for (int i = 0; i < request->nitems; i++)
	{
		const Item *item = &request->items[i];
		char		reason[REASON_SIZE];
		bool		effect;

		if (judge_item(standin, request, item, reason, &effect))
		{
			good[item->array - endpoint->arrays]++;
			total_good++;
			effects += effect;
		}
		else
			add_error(&errors, item, reason);
	}

	if (total_good > 0)
	{
		standin_buffer_puts(&body, "{\"message\":\"success\"");
		print_counts(request, good, total_good, effects, &body);
	}
	else
		standin_buffer_puts(&body, "{\"message\":\"Valid data must be provided in the "
							"'attributes', 'events', or 'purchases' fields.\"");
	if (errors.length > 0)
		standin_buffer_printf(&body, ",\"errors\":[%s]", errors.data);
	standin_buffer_puts(&body, "}");
	standin_http_answer(request, total_good > 0 ? endpoint->status : 400, body.data);
	standin_buffer_free(&errors);
	standin_buffer_free(&body);
}

/* a fault came first: the objects are known, and that is all */
void
standin_lose(Standin *standin, Request *request)
{
	request->judged = true;
	for (int i = 0; i < request->nitems; i++)
	{
		const Item *item = &request->items[i];

		standin->stats.lost[standin_kind(item->array->kind)]++;
		record(standin, request, item, OUTCOME_LOST, NULL,
			   standin_text_new(item->start, item->length));
	}
}
