/*
 * Braze's answers, hostile: any bytes with any status.
 *
 * The first four bytes choose the status and what was sent; the rest is the
 * body.  Whatever comes, the verdict must keep what answer.h promises.
 *
 * link: ../../src/braze/answer.c ../../src/braze/answer_text.c ../../src/braze/endpoint.c -ljson-c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "braze/answer.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const long statuses[] = {
	200, 201, 202, 204, 301, 400, 401, 403, 404, 408, 413, 415, 422, 425, 429, 500, 503, 0, 100, 999
};

#define NSTATUSES	(sizeof(statuses) / sizeof(statuses[0]))

static void
must(bool holds, const char *what)
{
	if (!holds)
	{
		fprintf(stderr, "broken promise: %s\n", what);
		abort();
	}
}

/* decodes by the definition of UTF-8, not by ranges as answer.c does */
static void
must_be_clean(const char *reason)
{
	const uint8_t *p = (const uint8_t *) reason;

	must(memchr(reason, '\0', BRAZE_REASON_SIZE) != NULL, "a reason ends");
	while (*p != 0)
	{
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
		int			more = *p < 0x80 ? 0 : *p >> 5 == 6 ? 1 : *p >> 4 == 14 ? 2 : *p >> 3 == 30 ? 3 : -1;
		uint32_t	code;

		must(more >= 0, "a character begins with a first byte");
		code = more == 0 ? *p : *p & (0x3f >> more);
		for (int i = 1; i <= more; i++)
		{
			must(p[i] >> 6 == 2, "and has all of its bytes");
			code = code << 6 | (p[i] & 0x3f);
		}
		must(code >= least[more] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff),
			 "it is a character, in its shortest form");
		must(code >= 0x20 && (code < 0x7f || code > 0x9f), "and no control character");
		p += more + 1;
	}
}

static bool
may_be(long status, BrazeVerdict verdict)
{
	if (status == 0 || status < 200 || status >= 500 || status == 408 || status == 425)
		return verdict == BRAZE_FAILED;
	if (status < 300)
		return verdict == BRAZE_ACCEPTED || verdict == BRAZE_FAILED;
	if (status < 400 || status == 401 || status == 403 || status == 404 || status == 415)
		return verdict == BRAZE_STOPPED;
	if (status == 429)
		return verdict == BRAZE_SLOW_DOWN;
	if (status == 413)
		return verdict == BRAZE_REFUSED_WHOLE;
	return verdict == BRAZE_SOME_REFUSED || verdict == BRAZE_REFUSED_WHOLE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	BrazeSent	sent = {0};
	BrazeAnswer answer;
	long		status;
	bool		truncated;
	char	   *body;

	if (size < 4)
		return 0;
	status = statuses[data[0] % NSTATUSES];
	sent.endpoint = (BrazeEndpoint) (data[1] % 8 % BRAZE_ENDPOINTS);
	truncated = data[1] >= 240;
	for (int kind = 0; kind < BRAZE_KINDS; kind++)
	{
		if (braze_kinds[kind].endpoint == sent.endpoint)
			sent.counts[kind] = data[2 + kind % 2] % 76;
	}

	/* of its own size, so that reading behind it is noticed */
	size -= 4;
	body = malloc(size > 0 ? size : 1);
	memcpy(body, data + 4, size);

	must(braze_answer_read(&answer, &sent, status, size > 0 ? body : NULL, size, truncated,
						   "connection reset", false), "there is memory enough");
	free(body);

	must(may_be(status, answer.verdict), "the verdict is one that the status allows");
	must(answer.in_doubt == (answer.verdict == BRAZE_FAILED), "what failed may have been accepted");
	must_be_clean(answer.reason);
	must(answer.verdict == BRAZE_ACCEPTED || answer.reason[0] != '\0', "what is not accepted has a reason");
	must(!truncated || answer.verdict != BRAZE_ACCEPTED, "half an answer accepts nothing");
	must(answer.nerrors == 0 || answer.verdict == BRAZE_ACCEPTED ||
		 answer.verdict == BRAZE_SOME_REFUSED, "only these name objects");
	must(answer.nerrors > 0 || answer.verdict != BRAZE_SOME_REFUSED, "some is at least one");
	for (int i = 0; i < answer.nerrors; i++)
	{
		BrazeObjectError *error = &answer.errors[i];

		must(error->kind < BRAZE_KINDS && error->index >= 0 &&
			 error->index < sent.counts[error->kind], "an error is about an object that was sent");
		must_be_clean(error->reason);
		must(error->reason[0] != '\0', "and has a reason");
		for (int j = 0; j < i; j++)
			must(error->kind != answer.errors[j].kind || error->index != answer.errors[j].index,
				 "and no object has two");
	}
	braze_answer_free(&answer);
	return 0;
}
