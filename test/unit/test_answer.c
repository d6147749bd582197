/*
 * Braze's answers, row by row.
 *
 * link: ../../src/braze/answer.c ../../src/braze/answer_text.c ../../src/braze/endpoint.c -ljson-c
 */
#include "tap.h"

#include <stdlib.h>

#include "braze/answer.h"

static BrazeAnswer answer;
static BrazeSent sent;
static bool unsent;				/* was nothing of the request written? */

static BrazeVerdict
read_bytes(long status, const char *body, size_t length, bool truncated)
{
	braze_answer_free(&answer);
	if (!braze_answer_read(&answer, &sent, status, body, length, truncated,
						   status == 0 ? "connection reset" : "", unsent))
		return (BrazeVerdict) -1;
	return answer.verdict;
}

static BrazeVerdict
read_answer(long status, const char *body)
{
	return read_bytes(status, body, strlen(body), false);
}

static void
verdict(long status, const char *body, BrazeVerdict expected, const char *what)
{
	is_int(read_answer(status, body), expected, what);
	if (answer.in_doubt != (expected == BRAZE_FAILED))
		ok(false, "in doubt is what failed: %s", what);
}

/* every reason must be short, valid UTF-8 without control characters */
static bool
is_clean(const char *text)
{
	const unsigned char *p = (const unsigned char *) text;

	if (strlen(text) >= BRAZE_REASON_SIZE)
		return false;
	while (*p)
	{
		int			more = *p < 0x80 ? 0 : (*p & 0xe0) == 0xc0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : (*p & 0xf8) == 0xf0 ? 3 : -1;

		if (more < 0 || *p < 0x20)
			return false;
		for (p++; more > 0; more--, p++)
		{
			if ((*p & 0xc0) != 0x80)
				return false;
		}
	}
	return true;
}

static void
test_rows(void)
{
	verdict(201, "{\"message\":\"success\",\"attributes_processed\":1}", BRAZE_ACCEPTED, "201 with an object");
	verdict(200, "{\"message\":\"queued\"}", BRAZE_ACCEPTED, "queued");
	verdict(202, "{}", BRAZE_ACCEPTED, "202");
	verdict(200, "", BRAZE_FAILED, "2xx without a body is not understood");
	verdict(200, "<html>", BRAZE_FAILED, "2xx that is no JSON");
	verdict(200, "[1]", BRAZE_FAILED, "2xx that is no object");
	verdict(200, "{\"message\":", BRAZE_FAILED, "2xx that is cut");
	is_int(read_bytes(200, "{}", 2, true), BRAZE_FAILED, "2xx that was too long to read");

	verdict(201, "{\"message\":\"success\",\"errors\":[{\"type\":\"'quantity' is not valid\",\"input_array\":\"events\",\"index\":3}]}",
			BRAZE_ACCEPTED, "errors per object: all others are accepted");
	is_int(answer.nerrors, 1, "one error");
	is_int(answer.errors[0].kind, BRAZE_EVENTS, "of the events");
	is_int(answer.errors[0].index, 3, "the fourth");
	is_text(answer.errors[0].reason, "'quantity' is not valid", "in Braze's words");

	verdict(400, "{\"message\":\"Valid data must be provided in the 'attributes', 'events', or 'purchases' fields.\",\"errors\":[{\"type\":\"bad\",\"input_array\":\"attributes\",\"index\":0}]}",
			BRAZE_SOME_REFUSED, "400 with errors: those are refused, the others sent again");
	is_int(answer.nerrors, 1, "the one that is named");
	verdict(400, "{\"message\":\"bad\"}", BRAZE_REFUSED_WHOLE, "400 without errors");
	is_text(answer.reason, "HTTP 400: bad", "says what Braze says");
	verdict(400, "{\"error\":\"bad\"}", BRAZE_REFUSED_WHOLE, "400 with an error text");
	verdict(400, "nonsense", BRAZE_REFUSED_WHOLE, "400 that is no JSON");
	verdict(400, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"events\",\"index\":999}]}", BRAZE_REFUSED_WHOLE, "400 that names nothing that was sent");
	verdict(413, "", BRAZE_REFUSED_WHOLE, "413");
	verdict(422, "", BRAZE_REFUSED_WHOLE, "other 4xx");
	verdict(401, "{\"message\":\"Invalid API key\"}", BRAZE_STOPPED, "401");
	verdict(403, "", BRAZE_STOPPED, "403");
	verdict(404, "", BRAZE_STOPPED, "404");
	verdict(301, "", BRAZE_STOPPED, "3xx");
	verdict(415, "", BRAZE_STOPPED, "415");
	verdict(429, "", BRAZE_SLOW_DOWN, "429");
	verdict(408, "", BRAZE_FAILED, "408");
	verdict(425, "", BRAZE_FAILED, "425");
	verdict(500, "{\"message\":\"x\"}", BRAZE_FAILED, "500");
	verdict(503, "", BRAZE_FAILED, "503");
	is_int(read_bytes(0, NULL, 0, false), BRAZE_FAILED, "no answer");
	ok(answer.in_doubt, "which Braze may have accepted");
	unsent = true;
	is_int(read_bytes(0, NULL, 0, false), BRAZE_FAILED, "no request");
	ok(!answer.in_doubt, "which it has not");
	unsent = false;
	ok(strstr(answer.reason, "connection reset") != NULL, "says why: %s", answer.reason);
}

static void
test_strange_errors(void)
{
	verdict(201, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"events\",\"index\":1},{\"type\":\"y\",\"input_array\":\"events\",\"index\":1}]}", BRAZE_ACCEPTED, "an object that is named twice");
	is_int(answer.nerrors, 1, "is refused once");
	verdict(201, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"events\",\"index\":-1},{\"type\":\"x\",\"input_array\":\"events\",\"index\":5},{\"type\":\"x\",\"input_array\":\"purchases\",\"index\":0},{\"type\":\"x\",\"input_array\":\"nothing\",\"index\":0},{\"type\":\"x\",\"input_array\":\"events\"},{\"type\":\"x\",\"input_array\":\"events\",\"index\":99999999999999999999},7,null,{}]}",
			BRAZE_ACCEPTED, "entries that name nothing that was sent");
	is_int(answer.nerrors, 0, "refuse nothing");
	ok(answer.reason[0] != '\0', "but are not silent: %s", answer.reason);
	verdict(201, "{\"errors\":{}}", BRAZE_ACCEPTED, "errors that are no list");
	verdict(201, "{\"errors\":[]}", BRAZE_ACCEPTED, "no errors");
	is_int(answer.nerrors, 0, "refuse nothing");
}

static void
test_hostile(void)
{
	size_t		size = 3 * 1024 * 1024;
	char	   *body = malloc(size);
	size_t		length;

	read_bytes(400, "{\"message\":\"\xff\xfe\x80 \xc3\"}", 19, false);
	ok(is_clean(answer.reason), "invalid UTF-8 is cleaned");
	read_bytes(400, "{\"message\":\"a\\u0000b\\u0001\\n\"}", 30, false);
	ok(is_clean(answer.reason), "control characters too: %s", answer.reason);
	read_bytes(500, "\0\0\0", 3, false);
	ok(is_clean(answer.reason), "NUL bytes too");

	memset(body, '[', size);
	is_int(read_bytes(200, body, size, false), BRAZE_FAILED, "three million brackets");
	memset(body, 'x', size);
	is_int(read_bytes(400, body, size, false), BRAZE_REFUSED_WHOLE, "three million letters");
	ok(is_clean(answer.reason), "with a short reason");

	strcpy(body, "{\"message\":\"");
	length = strlen(body);
	for (int i = 0; i < 300; i++)
		length += sprintf(body + length, "\xe2\x82\xac");
	length += sprintf(body + length, "\"}");
	read_bytes(400, body, length, false);
	ok(is_clean(answer.reason), "a long reason is cut between characters");

	for (int entries = 900; entries <= 50000; entries += 49100)
	{
		strcpy(body, "{\"errors\":[");
		length = strlen(body);
		for (int i = 0; i < entries; i++)
			length += sprintf(body + length, "%s{\"type\":\"e\",\"input_array\":\"events\",\"index\":%d}", i ? "," : "", i % 7);
		length += sprintf(body + length, "]}");
		if (entries == 900)
		{
			is_int(read_bytes(201, body, length, false), BRAZE_ACCEPTED, "nine hundred errors");
			is_int(answer.nerrors, 5, "refuse no more than was sent");
		}
		else
			is_int(read_bytes(201, body, length, false), BRAZE_FAILED, "fifty thousand are not read at all");
	}
	free(body);
}

/* what an entry leaves out may be clear from what was sent */
static void
test_incomplete_errors(void)
{
	BrazeSent	saved = sent;

	memset(sent.counts, 0, sizeof(sent.counts));
	sent.counts[BRAZE_EVENTS] = 1;
	sent.counts[BRAZE_PURCHASES] = 3;
	verdict(201, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"events\"}]}", BRAZE_ACCEPTED, "an entry without an index");
	ok(answer.nerrors == 1 && answer.errors[0].kind == BRAZE_EVENTS && answer.errors[0].index == 0, "is about the only one of its array");
	verdict(201, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"purchases\"}]}", BRAZE_ACCEPTED, "where there are several");
	ok(answer.nerrors == 0 && strstr(answer.reason, "x") != NULL, "it is about none: %s", answer.reason);
	verdict(201, "{\"errors\":[{\"type\":\"x\",\"index\":0}]}", BRAZE_ACCEPTED, "an entry without an array, where two were sent");
	is_int(answer.nerrors, 0, "is about none");
	verdict(201, "{\"errors\":[{\"input_array\":\"purchases\",\"index\":2}]}", BRAZE_ACCEPTED, "an entry that does not say what is wrong");
	is_int(answer.nerrors, 1, "is about its object all the same");
	ok(answer.errors != NULL && answer.errors[0].reason[0] != '\0', "with a reason");
	verdict(201, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"purchases\",\"index\":1.0}]}", BRAZE_ACCEPTED, "an index that is no integer");
	is_int(answer.nerrors, 0, "is none");
	verdict(201, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"purchases\",\"index\":\"1\"}]}", BRAZE_ACCEPTED, "nor is a text");
	is_int(answer.nerrors, 0, "one");
	verdict(400, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"purchases\",\"index\":0},{\"type\":\"y\"}]}", BRAZE_SOME_REFUSED, "of 400, what is named is refused");
	is_int(answer.nerrors, 1, "and what is not goes again");
	verdict(400, "{\"errors\":\"all of it\"}", BRAZE_REFUSED_WHOLE, "errors that are a text");
	ok(strstr(answer.reason, "all of it") != NULL, "are a reason: %s", answer.reason);
	verdict(201, "{\"errors\":[\"a text\"]}", BRAZE_ACCEPTED, "a list of texts");
	ok(strstr(answer.reason, "a text") != NULL, "is a complaint: %s", answer.reason);

	sent.counts[BRAZE_EVENTS] = 0;
	verdict(201, "{\"errors\":[{\"type\":\"x\",\"index\":2}]}", BRAZE_ACCEPTED, "an entry without an array, where one was sent");
	ok(answer.nerrors == 1 && answer.errors[0].kind == BRAZE_PURCHASES && answer.errors[0].index == 2, "is about that one");
	sent = saved;
}

static void
is_none(const char *body, size_t length, const char *what)
{
	is_int(read_bytes(201, body, length, false), BRAZE_FAILED, what);
	ok(is_clean(answer.reason) && answer.reason[0] != '\0', "and said to be none: %s", answer.reason);
}

#define NONE(body, what)	is_none(body, sizeof(body) - 1, what)

static void
test_almost_json(void)
{
	char		deep[400] = "{\"errors\":";
	size_t		length = strlen(deep);

	verdict(201, " \t\r\n{\"message\":\"success\"}\r\n ", BRAZE_ACCEPTED, "white space around it");
	NONE("{\"message\":\"success\"}x", "more behind the object is no answer");
	NONE("{\"message\":\"success\"}{}", "nor is a second object");
	NONE("{\"message\":\"success\"}\0", "nor a NUL behind it");
	NONE("{\"mess\0age\":\"success\"}", "nor one in it");
	NONE("\xef\xbb\xbf{}", "nor a byte order mark");
	NONE("{'message':'success'}", "nor other quotes");
	NONE("{\"a\":1,}", "nor a comma too many");
	NONE("{\"a\":tru}", "nor half a word");
	NONE("null", "nor null");
	NONE("\"success\"", "nor a text");
	NONE("   ", "nor white space alone");
	verdict(201, "{\"message\":\"success\",\"n\":1e999999,\"m\":123456789012345678901234567890}", BRAZE_ACCEPTED, "numbers of any size");
	verdict(201, "{\"message\":\"\xff\xfe\"}", BRAZE_ACCEPTED, "a text that is no UTF-8 does not matter to what was accepted");
	verdict(201, "{\"m\xc3\xa9ssage\":\"succ\xc3\xa9s \xe2\x82\xac \xf0\x9f\x98\x80\"}", BRAZE_ACCEPTED, "nor do letters that are not ASCII");
	verdict(201, "{\"message\":\"a\tb\nc\"}", BRAZE_ACCEPTED, "nor bare control characters");
	NONE("{\"message\":\"\\\xc3\xa9\"}", "but a backslash before any letter is no answer");
	verdict(400, "{\"message\":\"n\xc3\xa4" "chste 5 \xe2\x82\xac \xf0\x9f\x98\x80\"}", BRAZE_REFUSED_WHOLE, "letters that are not ASCII");
	ok(strstr(answer.reason, "n\xc3\xa4" "chste 5 \xe2\x82\xac \xf0\x9f\x98\x80") != NULL, "are kept in the reason: %s", answer.reason);
	verdict(201, "{\"errors\":null}", BRAZE_ACCEPTED, "errors that are null");
	verdict(201, "{\"errors\":0}", BRAZE_ACCEPTED, "errors that are a number");

	for (int i = 0; i < 100; i++)
		deep[length++] = '[';
	for (int i = 0; i < 100; i++)
		deep[length++] = ']';
	deep[length++] = '}';
	is_none(deep, length, "a hundred levels are no answer");
}

/* arrays of another endpoint than the one that was asked mean nothing */
static void
test_identity(void)
{
	static const struct
	{
		BrazeEndpoint endpoint;
		BrazeKind	kind;
		const char *answer;
	}			rows[] = {
		{BRAZE_USERS_IDENTIFY, BRAZE_ALIASES_TO_IDENTIFY, "{\"aliases_processed\":3,\"message\":\"success\"}"},
		{BRAZE_USERS_IDENTIFY, BRAZE_EMAILS_TO_IDENTIFY, "{\"emails_processed\":3,\"message\":\"success\"}"},
		{BRAZE_USERS_MERGE, BRAZE_MERGE_UPDATES, "{\"message\":\"success\"}"},
		{BRAZE_USERS_DELETE, BRAZE_DELETE_EXTERNAL_IDS, "{\"deleted\":3,\"message\":\"success\"}"},
	};
	char		body[200];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
	{
		const char *array = braze_kinds[rows[i].kind].array;

		memset(&sent, 0, sizeof(sent));
		sent.endpoint = rows[i].endpoint;
		sent.counts[rows[i].kind] = 3;
		verdict(201, rows[i].answer, BRAZE_ACCEPTED, array);
		is_int(answer.nerrors, 0, "all of them");
		snprintf(body, sizeof(body), "{\"message\":\"success\",\"errors\":[{\"type\":\"x\",\"input_array\":\"%s\",\"index\":1}]}", array);
		verdict(201, body, BRAZE_ACCEPTED, "all but one");
		ok(answer.nerrors == 1 && answer.errors[0].kind == rows[i].kind && answer.errors[0].index == 1, "the second");
		verdict(400, body, BRAZE_SOME_REFUSED, "400 that names one");
		verdict(400, "{\"message\":\"bad\"}", BRAZE_REFUSED_WHOLE, "400 that names none");
		verdict(201, "{\"errors\":[{\"type\":\"x\",\"input_array\":\"events\",\"index\":0}]}", BRAZE_ACCEPTED, "an array of another endpoint");
		is_int(answer.nerrors, 0, "is none");
		verdict(403, "", BRAZE_STOPPED, "no permission");
		verdict(429, "", BRAZE_SLOW_DOWN, "over the limit");
		verdict(500, "", BRAZE_FAILED, "a fault");
	}
}

int
main(void)
{
	sent.endpoint = BRAZE_USERS_TRACK;
	sent.counts[BRAZE_ATTRIBUTES] = 2;
	sent.counts[BRAZE_EVENTS] = 5;
	test_rows();
	test_strange_errors();
	test_incomplete_errors();
	test_almost_json();
	test_hostile();
	test_identity();

	memset(&sent, 0, sizeof(sent));
	sent.endpoint = BRAZE_USERS_IDENTIFY;
	sent.counts[BRAZE_ALIASES_TO_IDENTIFY] = 1;
	verdict(201, "{\"aliases_processed\":1,\"message\":\"success\"}", BRAZE_ACCEPTED, "/users/identify");
	sent.endpoint = BRAZE_USERS_MERGE;
	verdict(202, "{\"message\":\"success\"}", BRAZE_ACCEPTED, "/users/merge");
	sent.endpoint = BRAZE_USERS_DELETE;
	verdict(200, "{\"deleted\":1}", BRAZE_ACCEPTED, "/users/delete");
	verdict(403, "", BRAZE_STOPPED, "without the permission");
	braze_answer_free(&answer);
	return done();
}
