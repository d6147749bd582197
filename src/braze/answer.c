/*-------------------------------------------------------------------------
 *
 * answer.c
 *	  Braze's answer to a request, turned into a verdict.
 *
 * The answer comes from outside, so whatever it holds must end in a verdict:
 * what cannot be read is treated as if it were not there.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/answer.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "braze/answer_text.h"

/* Braze's answers are three levels deep; more only feeds the recursion */
#define MAX_DEPTH			32

/*
 * json-c spends some 700 bytes on an object, so 1 MB of "{},{},{}" would
 * become a quarter of a gigabyte.  An honest answer has one object for itself
 * and one for each object sent; there may be a few braces in its texts.
 */
#define CONTAINERS_ALWAYS	1000
#define CONTAINERS_PER_SENT	16

static void
append_json_string(char *reason, json_object * string)
{
	braze_answer_text_append(reason, json_object_get_string(string), json_object_get_string_len(string));
}

/* the member of that name, or NULL if it is missing or of another type */
static json_object *
get_of_type(json_object * object, const char *key, json_type type)
{
	json_object *value;

	if (object == NULL || !json_object_is_type(object, json_type_object) ||
		!json_object_object_get_ex(object, key, &value) ||
		!json_object_is_type(value, type))
		return NULL;
	return value;
}

/* the objects of the request, over all arrays */
static int64_t
total_sent(const BrazeSent *sent)
{
	int64_t		total = 0;

	for (int kind = 0; kind < BRAZE_KINDS; kind++)
		total += sent->counts[kind];
	return total;
}

/*
 * Sets *root to the answer's JSON object, or to NULL when it is not exactly
 * one: then what Braze did with the request is not known.  Returns false when
 * out of memory.
 */
static bool
parse_object(const BrazeSent *sent, const char *body, size_t length, json_object * *root)
{
	json_tokener *tokener;
	char	   *tamed;
	int64_t		containers = 0;
	bool		out_of_memory = false;

	*root = NULL;

	/* a strict tokener takes white space after the object for a mistake */
	while (length > 0 && strchr(" \t\r\n", body[length - 1]) != NULL && body[length - 1] != '\0')
		length--;

	/* it would also stop at a NUL and be content with what came before */
	if (length == 0 || length > INT_MAX / BRAZE_TAMED_GROWTH || memchr(body, '\0', length) != NULL)
		return true;

	/* a small body can stand for many times its size once it is parsed */
	for (size_t i = 0; i < length; i++)
		containers += body[i] == '{' || body[i] == '[';
	if (containers > CONTAINERS_ALWAYS + CONTAINERS_PER_SENT * total_sent(sent))
		return true;

	tamed = malloc(length * BRAZE_TAMED_GROWTH + 1);
	tokener = json_tokener_new_ex(MAX_DEPTH);
	if (tamed == NULL || tokener == NULL)
	{
		free(tamed);
		if (tokener != NULL)
			json_tokener_free(tokener);
		return false;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*root = json_tokener_parse_ex(tokener, tamed, (int) braze_answer_text_tame(tamed, body, length));
	free(tamed);
#if JSON_C_VERSION_NUM >= ((0 << 16) | (17 << 8))
	out_of_memory = json_tokener_get_error(tokener) == json_tokener_error_memory;
#endif
	if (json_tokener_get_error(tokener) != json_tokener_success ||
		!json_object_is_type(*root, json_type_object))
	{
		json_object_put(*root);
		*root = NULL;
	}
	json_tokener_free(tokener);
	return !out_of_memory;
}

/*
 * Which object an entry of errors[] is about.  What the entry leaves out is
 * filled in where only one thing was sent that it can mean; what it does say
 * must fit what was sent, or it is about nothing that we know.
 */
static bool
find_object(const BrazeSent *sent, json_object * entry, int *kind, int *index)
{
	json_object *array = get_of_type(entry, "input_array", json_type_string);
	json_object *position = NULL;
	int64_t		number = 0;
	int			found = -1;

	if (!json_object_is_type(entry, json_type_object))
		return false;
	/* an array that is named, but not by a string, names nothing we know */
	if (array == NULL && json_object_object_get_ex(entry, "input_array", NULL))
		return false;

	for (int k = 0; k < BRAZE_KINDS; k++)
	{
		if (braze_kinds[k].endpoint != sent->endpoint || sent->counts[k] <= 0)
			continue;
		if (array != NULL && strcmp(json_object_get_string(array), braze_kinds[k].array) != 0)
			continue;

		/*
		 * without a name two arrays may be meant, and a guess could refuse
		 * the wrong one
		 */
		if (found >= 0)
			return false;
		found = k;
	}
	if (found < 0)
		return false;

	if (json_object_object_get_ex(entry, "index", &position) && position != NULL)
	{
		/* json-c saturates what does not fit, which no count reaches */
		if (!json_object_is_type(position, json_type_int))
			return false;
		number = json_object_get_int64(position);
		if (number < 0 || number >= sent->counts[found])
			return false;
	}
	else if (sent->counts[found] != 1)
		return false;

	*kind = found;
	*index = (int) number;
	return true;
}

/*
 * What an entry of errors[] says: its type, or itself if it is a bare string.
 * NULL if it says nothing.
 */
static json_object *
entry_text(json_object * entry)
{
	if (json_object_is_type(entry, json_type_string))
		return entry;
	return get_of_type(entry, "type", json_type_string);
}

/*
 * Collects one error per object that errors[] names, the first that it names
 * it with; *unmatched is the first text that is about no object we sent.
 * Returns false when out of memory.
 */
static bool
collect_errors(BrazeAnswer *answer, const BrazeSent *sent, json_object * errors,
			   json_object * *unmatched, bool *any_unmatched)
{
	size_t		nentries = json_object_array_length(errors);
	size_t		total = (size_t) total_sent(sent);
	size_t		offsets[BRAZE_KINDS];
	size_t		offset = 0;
	size_t		room = 0;
	bool	   *seen;

	if (total == 0 || nentries == 0)
	{
		*any_unmatched = nentries > 0;
		return true;
	}

	/* one mark for each object of the request: the arrays follow each other */
	for (int kind = 0; kind < BRAZE_KINDS; kind++)
	{
		offsets[kind] = offset;
		offset += sent->counts[kind];
	}
	seen = calloc(total, sizeof(bool));
	if (seen == NULL)
		return false;

	for (size_t i = 0; i < nentries; i++)
	{
		json_object *entry = json_object_array_get_idx(errors, i);
		json_object *text = entry_text(entry);
		BrazeObjectError *error;
		int			kind;
		int			index;

		if (!find_object(sent, entry, &kind, &index))
		{
			*any_unmatched = true;
			if (*unmatched == NULL)
				*unmatched = text;
			continue;
		}
		/* an object that is named twice is refused once */
		if (seen[offsets[kind] + index])
			continue;
		seen[offsets[kind] + index] = true;

		if ((size_t) answer->nerrors == room)
		{
			size_t		new_room = room == 0 ? 8 : room * 2;
			BrazeObjectError *grown;

			/*
			 * However many entries the answer has, there are no more errors
			 * than objects: each object gets one.
			 */
			if (new_room > total)
				new_room = total;
			grown = realloc(answer->errors, new_room * sizeof(BrazeObjectError));
			if (grown == NULL)
			{
				free(seen);
				return false;
			}
			answer->errors = grown;
			room = new_room;
		}
		error = &answer->errors[answer->nerrors++];
		error->kind = (BrazeKind) kind;
		error->index = index;
		error->reason[0] = '\0';
		if (text != NULL)
			append_json_string(error->reason, text);
		if (error->reason[0] == '\0')
			strcpy(error->reason, "refused without a reason");
	}
	free(seen);
	return true;
}

/*
 * "HTTP 401: Invalid API key".  What Braze says, in order: the first error
 * that is about the request as a whole, then error or message; of an answer
 * that is not a JSON object (a proxy's page, say) its beginning.
 */
static void
describe_answer(BrazeAnswer *answer, long status, const char *remark, json_object * text,
				json_object * root, const char *body, size_t length)
{
	char		prefix[64];

	snprintf(prefix, sizeof(prefix), "HTTP %ld", status);
	braze_answer_text_append(answer->reason, prefix, strlen(prefix));
	if (remark != NULL)
	{
		braze_answer_text_append(answer->reason, ", ", 2);
		braze_answer_text_append(answer->reason, remark, strlen(remark));
	}

	if (text == NULL)
		text = get_of_type(root, "error", json_type_string);
	if (text == NULL)
		text = get_of_type(root, "message", json_type_string);
	if (text != NULL && json_object_get_string_len(text) > 0)
	{
		braze_answer_text_append(answer->reason, ": ", 2);
		append_json_string(answer->reason, text);
	}
	else if (root == NULL && length > 0)
	{
		braze_answer_text_append(answer->reason, ": ", 2);
		braze_answer_text_append(answer->reason, body, length);
	}
}

/* statuses that say nothing of the objects */
static bool
verdict_by_status(long status, BrazeVerdict *verdict, const char **remark)
{
	*remark = NULL;
	if (status >= 300 && status <= 399)
	{
		*verdict = BRAZE_STOPPED;
		*remark = "a redirect, which is not followed: the endpoint is not Braze's REST endpoint";
	}
	else if (status == 401 || status == 403 || status == 404)
		*verdict = BRAZE_STOPPED;
	else if (status == 415)
	{
		*verdict = BRAZE_STOPPED;
		*remark = "which is a bug in segment_braze or a proxy that changes Content-Type";
	}
	else if (status == 429)
		*verdict = BRAZE_SLOW_DOWN;
	else if (status == 413)
		*verdict = BRAZE_REFUSED_WHOLE;
	else if (status == 408 || status == 425 || status < 200 || status >= 500)
		*verdict = BRAZE_FAILED;
	else
		return false;
	return true;
}

/*
 * What the answer says of each object, or of the whole request.  Returns false
 * when out of memory.
 */
static bool
judge_answer(BrazeAnswer *answer, const BrazeSent *sent, long status, json_object * root,
			 const char *body, size_t length, bool truncated)
{
	json_object *errors = get_of_type(root, "errors", json_type_array);
	json_object *text = get_of_type(root, "errors", json_type_string);
	bool		any_unmatched = text != NULL;
	const char *remark;

	/*
	 * Statuses that say all by themselves come first.  Whatever stands in
	 * such a body, a proxy's page for example, must not judge any object.
	 */
	if (verdict_by_status(status, &answer->verdict, &remark))
	{
		if (text == NULL && errors != NULL && json_object_array_length(errors) > 0)
			text = entry_text(json_object_array_get_idx(errors, 0));
		describe_answer(answer, status, remark, text, root, body, length);
		return true;
	}

	if (errors != NULL &&
		!collect_errors(answer, sent, errors, &text, &any_unmatched))
		return false;

	if (status <= 299)
	{
		/*
		 * A success that is not JSON does not come from Braze: a captive
		 * portal or a proxy answers 200 to anything.  Sending again may count
		 * twice, believing it would lose the calls.
		 */
		if (root == NULL)
		{
			answer->verdict = BRAZE_FAILED;
			describe_answer(answer, status,
							truncated ? "but the answer is too long" : "but the answer is not a JSON object",
							NULL, NULL, body, length);
			return true;
		}

		/*
		 * Braze has taken the request, so an error that cannot be matched to
		 * an object must not cause anything to be sent twice, and rejecting
		 * one at a guess would say of a delivered call that it was not.  It
		 * is passed on as a complaint.
		 */
		answer->verdict = BRAZE_ACCEPTED;
		if (any_unmatched)
			describe_answer(answer, status, "an error that names no object of the request",
							text, NULL, NULL, 0);
		return true;
	}

	/*
	 * 400 and its kin.  Nothing was taken.  Objects that are named are out,
	 * and the rest goes again without them, with whatever else is wrong in
	 * it: each round is smaller, so that ends.  When none is named, errors or
	 * not, only halving can find the guilty one.
	 */
	answer->verdict = answer->nerrors > 0 ? BRAZE_SOME_REFUSED : BRAZE_REFUSED_WHOLE;
	describe_answer(answer, status, NULL, text, root, body, length);
	return true;
}

bool
braze_answer_read(BrazeAnswer *answer, const BrazeSent *sent, long status,
				  const char *body, size_t length, bool truncated,
				  const char *transport_error, bool unsent)
{
	json_object *root = NULL;
	bool		ok;

	memset(answer, 0, sizeof(*answer));
	answer->verdict = BRAZE_FAILED;

	if (status <= 0)
	{
		const char *error = transport_error;

		if (error == NULL || error[0] == '\0')
			error = "no answer";
		braze_answer_text_append(answer->reason, error, strlen(error));
		answer->in_doubt = !unsent;
		return true;
	}

	/* half an object is none, and an object with more behind it is unclear */
	if (!truncated && !parse_object(sent, body, length, &root))
		return false;
	ok = judge_answer(answer, sent, status, root, body, length, truncated);
	json_object_put(root);

	/* it was answered, so that it arrived: any failure is in doubt */
	answer->in_doubt = (answer->verdict == BRAZE_FAILED);
	if (!ok)
		braze_answer_free(answer);
	return ok;
}

void
braze_answer_free(BrazeAnswer *answer)
{
	free(answer->errors);
	memset(answer, 0, sizeof(*answer));
}
