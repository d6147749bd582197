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

/* Braze's answers are three levels deep; more only feeds the recursion */
#define MAX_DEPTH			32

/*
 * json-c spends some 700 bytes on an object, so 1 MB of "{},{},{}" would
 * become a quarter of a gigabyte.  An honest answer has one object for itself
 * and one for each object sent; there may be a few braces in its texts.
 */
#define CONTAINERS_ALWAYS	1000
#define CONTAINERS_PER_SENT	16

/* digits of a number that fit 64 bits whatever they are */
#define MAX_DIGITS			18

/* a character of two bytes is written as six */
#define TAMED_GROWTH		3

/*
 * How many bytes of one character that is well-formed UTF-8 (no surrogates,
 * no overlong forms) begin at text; 0 if none does.
 */
static size_t
utf8_length(const unsigned char *text, size_t length)
{
	unsigned char c = text[0];
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t		n;

	if (c < 0x80)
		return 1;
	else if (c >= 0xC2 && c <= 0xDF)
		n = 2;
	else if (c >= 0xE0 && c <= 0xEF)
	{
		n = 3;
		if (c == 0xE0)
			low = 0xA0;
		else if (c == 0xED)
			high = 0x9F;
	}
	else if (c >= 0xF0 && c <= 0xF4)
	{
		n = 4;
		if (c == 0xF0)
			low = 0x90;
		else if (c == 0xF4)
			high = 0x8F;
	}
	else
		return 0;

	if (length < n || text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
	{
		if (text[i] < 0x80 || text[i] > 0xBF)
			return 0;
	}
	return n;
}

/*
 * Appends to a reason as much as fits, in whole characters.  Control
 * characters (C0, DEL, C1) become spaces, since a reason ends up in the log
 * and on terminals; a run of them, as in an error page, becomes one.
 */
static void
append_text(char *reason, const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + length;
	size_t		used = strlen(reason);

	while (p < end && used < BRAZE_REASON_SIZE - 1)
	{
		size_t		n = utf8_length(p, end - p);

		if (n == 0)
		{
			reason[used++] = '?';
			p++;
		}
		else if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] < 0xA0))
		{
			if (used > 0 && reason[used - 1] != ' ')
				reason[used++] = ' ';
			p += n;
		}
		else if (used + n > BRAZE_REASON_SIZE - 1)
			break;
		else
		{
			memcpy(reason + used, p, n);
			used += n;
			p += n;
		}
	}
	reason[used] = '\0';
}

static void
append_json_string(char *reason, json_object * string)
{
	append_text(reason, json_object_get_string(string), json_object_get_string_len(string));
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

/* how many digits stand at the beginning of the text */
static size_t
digits_at(const char *text, size_t length)
{
	size_t		n = 0;

	while (n < length && text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

/*
 * writes one character of n bytes as \uXXXX, or as two of them above the BMP
 */
static char *
escape_character(char *out, const unsigned char *p, size_t n)
{
	unsigned int c = p[0] & (0xFF >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = (c << 6) | (p[i] & 0x3F);
	if (c > 0xFFFF)
	{
		out += sprintf(out, "\\u%04x", 0xD7C0 + (c >> 10));
		c = 0xDC00 | (c & 0x3FF);
	}
	return out + sprintf(out, "\\u%04x", c);
}

/*
 * Whether json-c's strict mode takes integers over 64 bits, and control
 * characters or bytes above ASCII in a string, depends on its release: 0.16
 * takes them all, 0.18 none.  This writes the answer without them to tamed,
 * which has room for TAMED_GROWTH times its length and a NUL; returns how long
 * it is.
 */
static size_t
tame_body(char *tamed, const char *body, size_t length)
{
	char	   *out = tamed;
	bool		in_string = false;
	size_t		i = 0;

	while (i < length)
	{
		const unsigned char *p = (const unsigned char *) body + i;
		size_t		n = utf8_length(p, length - i);

		if (in_string && *p == '\\' && i + 1 < length)
		{
			*out++ = '\\';
			*out++ = (char) p[1];
			i += 2;
		}
		else if (in_string && n == 0)
		{
			*out++ = '?';
			i++;
		}
		else if (in_string && n > 1)
		{
			out = escape_character(out, p, n);
			i += n;
		}
		else if (in_string && *p < 0x20)
		{
			*out++ = ' ';
			i++;
		}
		else if (!in_string && *p >= '1' && *p <= '9')
		{
			size_t		digits = digits_at(body + i, length - i);

			/* no count is that large, however many more there are */
			n = digits < MAX_DIGITS ? digits : MAX_DIGITS;
			memcpy(out, p, n);
			out += n;
			i += digits;
		}
		else
		{
			if (*p == '"')
				in_string = !in_string;
			*out++ = (char) *p;
			i++;
		}
	}
	return out - tamed;
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
	if (length == 0 || length > INT_MAX / TAMED_GROWTH || memchr(body, '\0', length) != NULL)
		return true;

	/* a small body can stand for many times its size once it is parsed */
	for (size_t i = 0; i < length; i++)
		containers += body[i] == '{' || body[i] == '[';
	if (containers > CONTAINERS_ALWAYS + CONTAINERS_PER_SENT * total_sent(sent))
		return true;

	tamed = malloc(length * TAMED_GROWTH + 1);
	tokener = json_tokener_new_ex(MAX_DEPTH);
	if (tamed == NULL || tokener == NULL)
	{
		free(tamed);
		if (tokener != NULL)
			json_tokener_free(tokener);
		return false;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*root = json_tokener_parse_ex(tokener, tamed, (int) tame_body(tamed, body, length));
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
	append_text(answer->reason, prefix, strlen(prefix));
	if (remark != NULL)
	{
		append_text(answer->reason, ", ", 2);
		append_text(answer->reason, remark, strlen(remark));
	}

	if (text == NULL)
		text = get_of_type(root, "error", json_type_string);
	if (text == NULL)
		text = get_of_type(root, "message", json_type_string);
	if (text != NULL && json_object_get_string_len(text) > 0)
	{
		append_text(answer->reason, ": ", 2);
		append_json_string(answer->reason, text);
	}
	else if (root == NULL && length > 0)
	{
		append_text(answer->reason, ": ", 2);
		append_text(answer->reason, body, length);
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
		append_text(answer->reason, error, strlen(error));
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
