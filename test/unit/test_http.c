/*
 * Requests on the wire, against a server that does what a script says.
 *
 * link: server.c ../../src/braze/http.c ../../src/braze/http_url.c
 * link: ../../src/braze/http_options.c ../../src/braze/http_transfer.c
 * link: ../../src/braze/pace.c ../../src/braze/rate_headers.c -lcurl -lssl -lcrypto -lpthread
 * link: -Wl,--wrap=curl_easy_setopt
 */
#include "tap.h"

#include <curl/curl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "braze/http.h"
#include "server.h"

#define KEY			"0123abcd-4567-89ef-0123-456789abcdef"
#define LONG		60000		/* for what must not end by its timeout */
#define CREATED		"HTTP/1.1 201 Created\r\nContent-Length: 21\r\n\r\n{\"message\":\"success\"}"

static BrazeHttp *http;
static BrazeHttpTarget *target;
static BrazeHttpRequest request;
static bool once;				/* is what is sent to be sent once? */
static Server *server;

/* ----- the system's authorities ----- */

/* where the system keeps them, as far as curl knows; NULL: where it does */
static const char *system_authorities;

extern CURLcode __real_curl_easy_setopt(CURL *easy, CURLoption option, ...);
extern CURLcode __wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...);

/*
 * curl's default is fixed when it is built,
 * so it is set in front of the first option
 */
CURLcode
__wrap_curl_easy_setopt(CURL *easy, CURLoption option, ...)
{
	va_list		args;
	CURLcode	result;

	if (option == CURLOPT_URL && system_authorities != NULL)
		__real_curl_easy_setopt(easy, CURLOPT_CAPATH, system_authorities);
	va_start(args, option);
	if (option < CURLOPTTYPE_OBJECTPOINT)
		result = __real_curl_easy_setopt(easy, option, va_arg(args, long));
	else if (option < CURLOPTTYPE_OFF_T)
		result = __real_curl_easy_setopt(easy, option, va_arg(args, void *));
	else
		result = __real_curl_easy_setopt(easy, option, va_arg(args, curl_off_t));
	va_end(args);
	return result;
}

/* ----- the caller's part ----- */

static BrazeHttpTarget *
target_at(const char *scheme, const char *host, int port, const char *ca_file, long timeout_ms)
{
	char		endpoint[100];

	snprintf(endpoint, sizeof(endpoint), "%s://%s:%d", scheme, host, port);
	return braze_http_url_create(endpoint, KEY, ca_file, timeout_ms);
}

static void
begin(Script script, long timeout_ms)
{
	char		error[200];

	server = server_start(script, NULL);
	target = target_at("http", "127.0.0.1", server_port(server), NULL, timeout_ms);
	http = braze_http_create(10, error, sizeof(error));
}

static void
end(void)
{
	braze_http_destroy(http);
	braze_http_url_free(target);
	server_stop(server);
}

static bool
send_body(BrazeHttpRequest *what, const char *body)
{
	memset(what, 0, sizeof(*what));
	what->target = target;
	what->path = "/users/track";
	what->body = body;
	what->body_length = strlen(body);
	what->once = once;
	return braze_http_send(http, what);
}

/* as the worker waits: for the one descriptor, as long as it is told to */
static BrazeHttpRequest *
wait_done(void)
{
	BrazeHttpRequest *done;

	while ((done = braze_http_next_done(http)) == NULL)
	{
		struct pollfd wait = {braze_http_fd(http), POLLIN, 0};

		poll(&wait, 1, (int) braze_http_timeout(http));
	}
	return done;
}

static long
post(const char *body)
{
	if (!send_body(&request, body) || wait_done() != &request)
		return -1;
	return request.status;
}

static void
release(void)
{
	braze_http_release(http, &request);
}

/* the answer is not terminated */
static bool
answer_is(const char *expected)
{
	return request.answer_length == strlen(expected) &&
		memcmp(request.answer, expected, request.answer_length) == 0;
}

static bool
answer_has(const char *text)
{
	return request.answer != NULL &&
		memmem(request.answer, request.answer_length, text, strlen(text)) != NULL;
}

/* ----- scripts that several tests use ----- */

/* answers every request, as long as the client stays */
static void
accept_all(Connection *connection)
{
	char	   *text;

	while ((text = read_request(connection)) != NULL)
	{
		free(text);
		if (!say(connection, CREATED))
			return;
	}
}

static void
never_answer(Connection *connection)
{
	wait_for_end(connection);
}

/* ----- the good case ----- */

/* the answer is the request */
static void
echo(Connection *connection)
{
	char	   *text;

	while ((text = read_request(connection)) != NULL)
	{
		char		head[100];

		snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
				 strlen(text));
		if (!say(connection, head) || !say(connection, text))
			break;
		free(text);
		text = NULL;
	}
	free(text);
}

static void
test_request(void)
{
	char	   *large = malloc(3000001);
	bool		kept = true;
	sigset_t	before;
	sigset_t	after;

	begin(echo, LONG);
	ok(braze_http_timeout(http) == -1 && braze_http_next_done(http) == NULL, "at first there is nothing to wait for");
	sigprocmask(SIG_SETMASK, NULL, &before);
	is_int(post("{\"events\":[]}"), 200, "a request is answered");
	sigprocmask(SIG_SETMASK, NULL, &after);
	for (int i = 1; i < NSIG; i++)
		kept = kept && sigismember(&before, i) == sigismember(&after, i);
	ok(kept, "the signal mask is what it was");
	ok(answer_has("POST /users/track HTTP/1.1\r\n"), "it is a POST to the path");
	ok(answer_has("\r\n\r\n{\"events\":[]}"), "with the body");
	ok(answer_has("\r\nContent-Type: application/json\r\n"), "the content type");
	ok(!answer_has("Expect:"), "and no Expect");
	ok(answer_has("\r\nAuthorization: Bearer ***"), "the key is a bearer token");
	ok(!answer_has(KEY), "and is masked where the answer repeats it");
	is_text(request.error, "", "there is no error");
	ok(!request.truncated, "nothing is missing");
	release();
	ok(request.answer == NULL && request.answer_length == 0, "released, it holds nothing");

	is_int(post("{\"again\":1}"), 200, "it can be sent again");
	ok(answer_has("{\"again\":1}"), "with another body");
	release();
	is_int(server_connections(server), 1, "on the same connection");

	memset(large, 'x', 3000000);
	large[3000000] = '\0';
	is_int(post(large), 200, "a body of 3 MB is sent");
	is_int((long long) request.answer_length, BRAZE_HTTP_MAX_ANSWER, "an answer is kept up to its limit");
	ok(request.truncated, "and said to be cut");
	release();
	free(large);
	end();
}

/* ----- connections that end ----- */

static void
answer_and_close(Connection *connection)
{
	free(read_request(connection));
	say(connection, CREATED);
}

static atomic_int second_requests;

static void
read_counted(Connection *connection)
{
	char	   *text = read_request(connection);

	if (text != NULL && strstr(text, "second") != NULL)
		second_requests++;
	free(text);
}

static void
close_on_second(Connection *connection)
{
	read_counted(connection);
	say(connection, CREATED);
	if (connection_number(connection) == 1)
		read_counted(connection);
}

static void
test_closed(void)
{
	begin(answer_and_close, LONG);
	is_int(post("{}"), 201, "the server closes after its answer");
	release();
	server_wait_closed(server, 1);
	is_int(post("{}"), 201, "the next request is sent on a new connection");
	is_int(server_connections(server), 2, "after two connections");
	release();
	end();

	begin(close_on_second, LONG);
	is_int(post("{}"), 201, "a connection is kept");
	release();
	is_int(post("{\"second\":1}"), 201, "and dies under the second request: it is sent once more");
	is_int(server_connections(server), 2, "on a new connection");
	ok(request.repeated, "and that is known");
	release();
	server_wait_closed(server, 2);
	is_int(post("{}"), 201, "the next request");
	ok(!request.repeated, "is not sent twice");
	release();
	end();
}

/* a server may have done what it was asked to, and end before it answers */
static void
test_once(void)
{
	once = true;
	second_requests = 0;
	begin(close_on_second, LONG);
	is_int(post("{}"), 201, "once: the first request is answered");
	release();
#if LIBCURL_VERSION_NUM >= 0x075000
	is_int(post("{\"second\":1}"), 0, "once: it dies under the second request, which is not sent again");
	ok(!request.unsent, "once: and may have arrived: %s", request.error);
#else
	is_int(post("{\"second\":1}"), 201, "once: an old curl keeps none for what is to be sent once");
#endif
	release();
	is_int(post("{\"third\":1}"), 201, "once: the next request has another connection");
	is_int(second_requests, 1, "once: the second came once");
	release();
	end();

	begin(answer_and_close, LONG);
	is_int(post("{}"), 201, "once: the server closes after its answer");
	release();
	server_wait_closed(server, 1);
	is_int(post("{}"), 201, "once: what was closed while idle is not used");
	release();
	end();
	once = false;
}

static void
test_refused(void)
{
	begin(accept_all, LONG);
	braze_http_url_free(target);
	/* nobody listens on a port that was bound and is free again */
	target = target_at("http", "127.0.0.1", server_port(server), NULL, LONG);
	server_stop(server);
	is_int(post("{}"), 0, "nobody listens: no status");
	ok(request.error[0] != '\0' && request.answer == NULL, "but a reason: %s", request.error);
	ok(request.unsent, "nothing was written");
	release();
	server = server_start(accept_all, NULL);
	end();
}

/* ----- answers ----- */

static void
byte_by_byte(Connection *connection)
{
	free(read_request(connection));
	for (const char *p = CREATED; *p != '\0'; p++)
		say_bytes(connection, p, 1);
}

static void
chunked(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
	say(connection, "a\r\n{\"message\"\r\n");
	say(connection, "1\r\n:\r\n8;extension=1\r\n\"queued\"\r\n");
	say(connection, "1\r\n}\r\n0\r\nTrailer: 1\r\n\r\n");
}

static void
interim(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 103 Early Hints\r\nX-RateLimit-Remaining: 7\r\nRetry-After: 9\r\n\r\n");
	say(connection, CREATED);
}

static void
until_the_end(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 200 OK\r\n\r\n{\"message\":\"queued\"}");
}

static void
exactly_the_limit(Connection *connection)
{
	static char body[BRAZE_HTTP_MAX_ANSWER];
	char		head[100];

	free(read_request(connection));
	memset(body, ' ', sizeof(body));
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizeof(body));
	say(connection, head);
	say_bytes(connection, body, sizeof(body));
}

static void
without_end(Connection *connection)
{
	static char body[65536];

	free(read_request(connection));
	say(connection, "HTTP/1.1 400 Bad Request\r\n\r\n");
	while (say_bytes(connection, body, sizeof(body)))
		continue;
}

static void
redirect(Connection *connection)
{
	char	   *text = read_request(connection);
	char		head[200];

	if (connection_number(connection) > 1)
		say(connection, CREATED);
	else
	{
		/* to itself, where a second connection would be seen */
		const char *host = strstr(text, "Host: ");

		snprintf(head, sizeof(head), "HTTP/1.1 307 Temporary Redirect\r\nConnection: close\r\n"
				 "Location: http://%.*s/elsewhere\r\nContent-Length: 0\r\n\r\n",
				 (int) strcspn(host + 6, "\r"), host + 6);
		say(connection, head);
	}
	free(text);
}

static void
rate_headers(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 429 Too Many Requests\r\nX-RateLimit-Limit: 250000\r\n"
		"x-ratelimit-remaining: 0\r\nX-RATELIMIT-RETRY-AFTER: 3\r\nRetry-After: 8\r\n"
		"Content-Length: 0\r\n\r\n");
}

#define HELD	(BRAZE_HTTP_MAX_ANSWERS / BRAZE_HTTP_MAX_ANSWER + 10)

static void
large_ones_first(Connection *connection)
{
	if (connection_number(connection) <= HELD)
		exactly_the_limit(connection);
	else
	{
		free(read_request(connection));
		say(connection, CREATED);
	}
}

/* nobody takes them for a while */
static void
test_answers_held(void)
{
	static BrazeHttpRequest held[HELD];
	size_t		bytes = 0;
	int			whole = 0;

	begin(large_ones_first, LONG);
	for (int i = 0; i < HELD; i++)
	{
		(void) post("{}");
		held[i] = request;
		bytes += request.answer_size;
		whole += !request.truncated;
	}
	ok(whole >= HELD / 2, "many large answers are held at the same time");
	ok(bytes <= BRAZE_HTTP_MAX_ANSWERS + HELD * BRAZE_HTTP_SMALL_ANSWER, "but no more than there is room for");
	is_int(post("{}"), 201, "a small one beside them");
	ok(!request.truncated, "is whole");
	release();
	for (int i = 0; i < HELD; i++)
		braze_http_release(http, &held[i]);
	end();
}

static int	open_sockets = 0;

static bool
acquire_two(void)
{
	if (open_sockets >= 2)
		return false;
	open_sockets++;
	return true;
}

static void
release_one(void)
{
	open_sockets--;
}

/*
 * who shares the process knows how many sockets there are, and may refuse more
 */
static void
test_announced_sockets(void)
{
	BrazeHttpRequest held[2];

	begin(never_answer, LONG);
	braze_http_announce_sockets(http, acquire_two, release_one);
	for (int i = 0; i < 2; i++)
	{
		held[i] = (BrazeHttpRequest) {.target = target, .path = "/", .body = ""};
		braze_http_send(http, &held[i]);
	}
	while (open_sockets < 2)
		(void) braze_http_next_done(http);
	is_int(post("{}"), 0, "a third socket is refused");
	ok(strstr(request.error, "too many files") != NULL && request.unsent, "and it says so: %s", request.error);
	release();
	for (int i = 0; i < 2; i++)
		braze_http_cancel(http, &held[i]);
	end();
	is_int(open_sockets, 0, "each that was opened was closed");
}

static void
test_answers(void)
{
	begin(byte_by_byte, LONG);
	is_int(post("{}"), 201, "an answer that comes byte by byte");
	ok(answer_is("{\"message\":\"success\"}"), "is whole");
	release();
	end();

	begin(chunked, LONG);
	is_int(post("{}"), 200, "a chunked answer with a trailer");
	ok(answer_is("{\"message\":\"queued\"}"), "is put together");
	release();
	end();

	begin(interim, LONG);
	is_int(post("{}"), 201, "an interim answer is not the answer");
	ok(request.rate.remaining == -1 && request.rate.wait_ms == -1, "and its headers do not count");
	release();
	end();

	begin(until_the_end, LONG);
	is_int(post("{}"), 200, "an answer without a length ends with its connection");
	ok(answer_is("{\"message\":\"queued\"}") && !request.truncated, "and is whole");
	release();
	end();

	begin(exactly_the_limit, LONG);
	is_int(post("{}"), 200, "an answer of just the longest length");
	ok(request.answer_length == BRAZE_HTTP_MAX_ANSWER && !request.truncated, "is whole");
	release();
	end();

	begin(without_end, LONG);
	is_int(post("{}"), 400, "an answer without end has a status");
	ok(request.answer_length == BRAZE_HTTP_MAX_ANSWER && request.truncated, "and is cut at the limit");
	release();
	end();

	begin(redirect, LONG);
	is_int(post("{}"), 307, "a redirect is an answer");
	server_wait_closed(server, 1);
	is_int(server_connections(server), 1, "that is not followed");
	release();
	end();

	begin(rate_headers, LONG);
	is_int(post("{}"), 429, "over the rate limit");
	is_int(request.rate.remaining, 0, "what remains is read");
	is_int(request.rate.wait_ms, 3000, "and how long to wait");
	release();
	end();
}

/* ----- answers that are none ----- */

static void
nonsense(Connection *connection)
{
	free(read_request(connection));
	say(connection, "220 mail.example ESMTP\r\n\r\n");
}

static void
broken_header(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}");
}

static void
headers_without_end(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 200 OK\r\n");
	while (say(connection, "X-More: and more of what nobody asked for, line after line after line\r\n"))
		continue;
}

static void
one_long_header(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 200 OK\r\nX-More: ");
	while (say(connection, "and more of what nobody asked for, and not even a line's end, "))
		continue;
}

static void
half_an_answer(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"message\":");
	if (connection_number(connection) > 1)
		reset_at_end(connection);
}

static void
half_an_error(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 1000\r\n\r\n{\"message\":");
}

/* the length of the cut key counts the connections */
static void
half_a_key(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 1000\r\n\r\nno key " KEY ", no ");
	say_bytes(connection, KEY, connection_number(connection));
}

static void
half_a_head(Connection *connection)
{
	free(read_request(connection));
	say(connection, "HTTP/1.1 401 Unauthorized\r\nContent-Le");
}

static void
no_answer(const char *what)
{
	is_int(post("{}"), 0, what);
	ok(request.error[0] != '\0' && request.answer == NULL && request.answer_length == 0,
	   "it says why, and holds no answer: %s", request.error);
	ok(!request.unsent, "it was written");
	release();
}

static volatile bool may_answer;

static void
answer_when_told(Connection *connection)
{
	char	   *text = read_request(connection);

	while (!may_answer)
		poll(NULL, 0, 1);
	free(text);
	(void) say(connection, CREATED);
	wait_for_end(connection);
}

/* the caller was busy, and comes back only after the request's time is over */
static void
test_late_caller(void)
{
	struct pollfd wait;
	BrazeHttpRequest *done = NULL;

	may_answer = false;
	begin(answer_when_told, 1000);
	ok(send_body(&request, "{}"), "a request begins");
	wait = (struct pollfd)
	{
		braze_http_fd(http), POLLIN, 0
	};
	while (done == NULL && !braze_http_is_written(&request))
	{
		poll(&wait, 1, 1);
		done = braze_http_next_done(http);
	}
	may_answer = true;
	ok(done == NULL && poll(&wait, 1, LONG) == 1, "its answer comes in time");
	poll(NULL, 0, 1100);
	ok(wait_done() == &request && request.status == 201, "and counts, however late it is taken");
	release();
	end();
}

static void
test_no_answer(void)
{
	begin(nonsense, LONG);
	no_answer("what is not HTTP is no answer");
	end();
	begin(broken_header, LONG);
	no_answer("a length that is no number is no answer");
	end();
	begin(headers_without_end, LONG);
	no_answer("headers without end are no answer");
	end();
	begin(one_long_header, LONG);
	no_answer("a header without end is no answer");
	end();
	begin(half_an_answer, LONG);
	no_answer("half an answer is none");
	no_answer("nor is one that a reset cuts");
	end();
	begin(half_a_head, LONG);
	no_answer("half a head is no answer");
	end();
	begin(never_answer, 100);
	no_answer("a server that never answers is left after the timeout");
	end();

	begin(half_an_error, LONG);
	is_int(post("{}"), 413, "an error whose body is cut is still that error");
	ok(request.truncated && answer_is("{\"message\":"), "with as much of it as came");
	release();
	end();

	begin(half_a_key, LONG);
	for (int n = 1; n <= (int) strlen(KEY); n++)
	{
		size_t		rest = strlen("no key " KEY ", no ");

		is_int(post("{}"), 500, "an error that is cut in the key");
		ok(!answer_has(KEY) && request.answer_length == rest + n &&
		   strspn(request.answer + rest, "*") >= (size_t) n, "nothing of the key remains");
		release();
	}
	end();
}

/* ----- headers that curl keeps ----- */

#define KEEPING		80

/* nearly as many headers as one answer may have, and then nothing */
static void
many_headers(Connection *connection)
{
	char		line[1000];

	free(read_request(connection));
	if (connection_number(connection) > KEEPING)
	{
		say(connection, CREATED);
		return;
	}
	memset(line, 'x', sizeof(line));
	memcpy(line, "X-More: ", 8);
	memcpy(line + sizeof(line) - 2, "\r\n", 2);
	say(connection, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 110; i++)
		say_bytes(connection, line, sizeof(line));
	wait_for_end(connection);
}

static void
test_headers_held(void)
{
	static BrazeHttpRequest keeping[KEEPING];
	BrazeHttpRequest *done;
	char		error[200];

	begin(many_headers, LONG);
	braze_http_destroy(http);
	http = braze_http_create(KEEPING + 1, error, sizeof(error));
	for (int i = 0; i < KEEPING; i++)
		ok(send_body(&keeping[i], "{}"), "a request among many");
	done = wait_done();
	is_text(done->error, "the answer's headers are too long", "all headers together have a limit");
	braze_http_release(http, done);
	ok(send_body(&request, "{}"), "one more");
	while ((done = wait_done()) != &request)
		braze_http_release(http, done);
	is_int(request.status, 201, "an answer with few is not refused for it");
	release();
	end();
}

/* ----- what is not to begin ----- */

static volatile bool allowed;

static bool
may_begin(void)
{
	return allowed;
}

static void
never_read(Connection *connection)
{
	(void) connection;
	while (!allowed)
		usleep(1000);
}

/* more than sockets hold of what nobody reads */
#define MUCH	(64 * 1024 * 1024)

static void
test_held_back(void)
{
	char	   *body = malloc(MUCH + 1);

	begin(accept_all, LONG);
	braze_http_ask_before(http, may_begin);
	allowed = false;
	ok(send_body(&request, "{}") && (request.asks_before = true) && wait_done() == &request,
	   "a request that may not begin is over");
	ok(request.status == 0 && request.held_back && request.unsent, "and it says that nothing was sent");
	release();
	is_int(post("{}"), 201, "one that does not ask is sent");
	ok(!request.held_back, "and was not held back");
	release();
	allowed = true;
	ok(send_body(&request, "{}") && (request.asks_before = true) && wait_done() == &request &&
	   request.status == 201, "so is one that may begin");
	ok(!request.held_back && braze_http_is_written(&request), "it was written");
	release();
	end();

	memset(body, 'x', MUCH);
	body[MUCH] = '\0';
	begin(never_read, LONG);
	allowed = false;
	ok(send_body(&request, body) && !braze_http_is_written(&request), "nothing was written yet");
	do
	{
		(void) braze_http_next_done(http);
		braze_http_cancel(http, &request);
	} while (request.unsent && send_body(&request, body));
	ok(!request.unsent, "a part of it was");
	ok(send_body(&request, body) && braze_http_next_done(http) == NULL, "it is under way");
	for (int i = 0; i < 100; i++)
		(void) braze_http_next_done(http);
	ok(!braze_http_is_written(&request), "which is not all of it");
	allowed = true;
	end();
	free(body);

	begin(never_answer, LONG);
	send_body(&request, "{}");
	while (!braze_http_is_written(&request))
		(void) braze_http_next_done(http);
	ok(request.handle != NULL, "what is written may have yet to be answered");
	end();
}

/* ----- cancelling ----- */

static void
test_cancel(void)
{
	BrazeHttpRequest requests[5];
	bool		silent = true;

	begin(never_answer, LONG);
	for (int i = 0; i < 5; i++)
		ok(send_body(&requests[i], "{}"), "request %d is under way", i);
	/* until the sockets are waited for: the first is cancelled in that state */
	while (server_connections(server) < 5)
	{
		struct pollfd wait = {braze_http_fd(http), POLLIN, 0};

		silent = silent && braze_http_next_done(http) == NULL;
		poll(&wait, 1, (int) braze_http_timeout(http));
	}
	ok(silent, "nothing is answered");
	braze_http_cancel(http, &requests[0]);
	braze_http_cancel(http, &requests[4]);
	server_wait_closed(server, 2);
	ok(braze_http_next_done(http) == NULL, "a request that is cancelled is not reported");
	braze_http_url_free(target);
	target = NULL;
	ok(braze_http_next_done(http) == NULL, "the target is kept by the requests under way");
	end();
	ok(requests[1].answer == NULL, "the rest is cancelled at the end");

	begin(never_answer, LONG);
	send_body(&requests[0], "{}");
	braze_http_cancel(http, &requests[0]);
	ok(requests[0].unsent, "of a request that is cancelled at once nothing was written");
	end();

	begin(accept_all, LONG);
	for (int i = 0; i < 5; i++)
		send_body(&requests[i], "{}");
	for (int i = 0; i < 4; i++)
	{
		/* whether it is done or not, what is cancelled is not reported */
		BrazeHttpRequest *done = wait_done();

		braze_http_release(http, done);
		for (int j = 0; j < 5; j++)
		{
			if (i == 0 && &requests[j] != done)
			{
				braze_http_cancel(http, &requests[j]);
				requests[j].owner = http;
				break;
			}
		}
		ok(done->owner == NULL && done->status == 201, "of those not cancelled, each is reported");
		done->owner = http;
		if (i == 2)
			break;
	}
	end();
}

/* ----- many at once ----- */

#define MANY	200

static void
test_many(void)
{
	static BrazeHttpRequest requests[MANY];
	static char bodies[MANY][40];
	int			right = 0;
	int			reported = 0;
	bool		twice = false;

	begin(echo, LONG);
	for (int i = 0; i < MANY; i++)
	{
		snprintf(bodies[i], sizeof(bodies[i]), "{\"number\":%d}", i);
		send_body(&requests[i], bodies[i]);
	}
	while (reported < MANY)
	{
		BrazeHttpRequest *done = wait_done();

		twice = twice || done->owner != NULL;
		done->owner = http;
		reported++;
		if (done->status == 200 && memmem(done->answer, done->answer_length, done->body, done->body_length) != NULL)
			right++;
		braze_http_release(http, done);
	}
	is_int(right, MANY, "two hundred requests at once, each gets its answer");
	ok(!twice && braze_http_next_done(http) == NULL, "once");
	ok(server_connections(server) <= 10, "on no more connections than allowed (%d)", server_connections(server));
	end();
}

/* ----- where a key may go ----- */

static bool
fit(const char *endpoint, const char *key)
{
	BrazeHttpTarget *made = braze_http_url_create(endpoint, key, NULL, LONG);

	braze_http_url_free(made);
	return made != NULL;
}

static void
test_targets(void)
{
	static const char *const good[] = {
		"https://rest.iad-01.braze.com", "https://rest.fra-01.braze.eu:443", "HTTPS://EXAMPLE.COM",
		"https://10.0.0.1:8443", "https://[2001:db8::1]:443", "http://127.0.0.1:8080",
		"http://127.255.0.9", "http://localhost:1", "http://LocalHost", "http://[::1]:8080", NULL
	};
	static const char *const bad[] = {
		"http://rest.iad-01.braze.com", "http://10.0.0.1", "http://128.0.0.1", "http://127.0.0.1.example.com",
		"http://127.1", "http://127.0.0.0x1", "http://0177.0.0.1", "http://127.0.0.256", "http://127.0.0.1.",
		"http://127.0.0.01", "http://localhost.example.com", "http://localhost@example.com", "http://[::2]", "http://[::ffff:10.0.0.1]",
		"https://", "https://:443", "https://a:b@example.com", "https://example.com/", "https://example.com/path",
		"https://example.com?x", "https://example.com#x", "https://example.com:", "https://example.com:123456", "https://exam ple.com",
		"https://example.com\r\nX: y", "https://example.com\\@evil.com", "https://[::1", "https://[]", "ftp://127.0.0.1", "file:///etc/passwd", "example.com", "",
		NULL
	};

	for (int i = 0; good[i] != NULL; i++)
		ok(fit(good[i], KEY), "fit to be sent to: %s", good[i]);
	for (int i = 0; bad[i] != NULL; i++)
	{
		bool		refused = !fit(bad[i], KEY);

		ok(refused, "not fit (%d): %.*s", i, (int) strcspn(bad[i], "\r\n"), bad[i]);
	}
	ok(!fit("https://example.com", ""), "an empty key is refused");
	ok(!fit("https://example.com", "key\r\nX-Other: 1"), "a key that would begin another header is refused");
	ok(!fit("https://example.com", "key\n"), "and one that ends a line");
	ok(!fit("https://example.com", "key\x7f"), "and any control character");
	ok(!fit(NULL, KEY) && !fit("https://example.com", NULL), "and none at all");
	ok(braze_http_url_create("https://example.com", KEY, NULL, 0) == NULL, "and no time to wait");
	braze_http_url_free(NULL);
}

/* ----- TLS ----- */

/* speaks first, and in plain text */
static void
greet(Connection *connection)
{
	say(connection, CREATED);
	wait_for_end(connection);
}

static void
test_system_authorities(void)
{
	char		directory[] = "/tmp/braze_test_XXXXXX";
	char		file[60];
	char		link_name[60];
	char		other_file[60];
	char		error[200];
	Server	   *other;

	snprintf(file, sizeof(file), "%s/ca.pem", mkdtemp(directory));
	snprintf(other_file, sizeof(other_file), "%s/other.pem", directory);
	server = server_start(accept_all, file);
	other = server_start(accept_all, other_file);
	snprintf(link_name, sizeof(link_name), "%s/%08lx.0", directory, certificate_hash(file));
	if (symlink(file, link_name) != 0)
		abort();
	http = braze_http_create(10, error, sizeof(error));
	system_authorities = directory;

	target = target_at("https", "127.0.0.1", server_port(server), NULL, LONG);
	is_int(post("{}"), 201, "an authority of the system's is trusted");
	release();
	braze_http_url_free(target);
	target = target_at("https", "127.0.0.1", server_port(server), other_file, LONG);
	is_int(post("{}"), 0, "but not where ca_file stands in for the system's");
	release();
	braze_http_url_free(target);

	system_authorities = NULL;
	braze_http_destroy(http);
	server_stop(server);
	server_stop(other);
	unlink(file);
	unlink(other_file);
	unlink(link_name);
	rmdir(directory);
}

static void
test_tls(void)
{
	char		file[] = "/tmp/braze_test_ca_XXXXXX";
	char		other_file[] = "/tmp/braze_test_ca_XXXXXX";
	char		error[200];
	Server	   *other;

	close(mkstemp(file));
	close(mkstemp(other_file));
	server = server_start(echo, file);
	other = server_start(echo, other_file);
	http = braze_http_create(10, error, sizeof(error));

	target = target_at("https", "127.0.0.1", server_port(server), NULL, LONG);
	is_int(post("{}"), 0, "a certificate of an unknown authority is refused");
	ok(strcasestr(request.error, "certificate") != NULL, "and it says so: %s", request.error);
	ok(request.unsent, "before anything was written");
	release();
	braze_http_url_free(target);

	target = target_at("https", "127.0.0.1", server_port(server), other_file, LONG);
	is_int(post("{}"), 0, "and one of another authority than ca_file's");
	release();
	braze_http_url_free(target);

	target = target_at("https", "127.0.0.1", server_port(server), file, LONG);
	is_int(post("{\"a\":1}"), 200, "with ca_file it is trusted");
	ok(answer_has("{\"a\":1}") && answer_has("Authorization: Bearer ***"), "and the request arrives");
	release();
	is_int(post("{\"a\":2}"), 200, "a second time, on one that need not be shared");
	release();
	is_int(post("{\"a\":3}"), 200, "a third time");
	release();
	braze_http_url_free(target);
	is_int(server_connections(server), 4, "on the connection that is there");

	target = target_at("https", "localhost", server_port(server), file, LONG);
	is_int(post("{}"), 0, "not under another name than the certificate's");
	release();
	braze_http_url_free(target);

	target = target_at("https", "127.0.0.1", server_port(server), "/nonexistent", LONG);
	is_int(post("{}"), 0, "not when ca_file is not there");
	ok(strstr(request.error, "/nonexistent") != NULL, "and it names it: %s", request.error);
	release();
	braze_http_url_free(target);

	braze_http_destroy(http);
	server_stop(server);
	server_stop(other);
	unlink(file);
	unlink(other_file);

	test_system_authorities();

	begin(greet, LONG);
	braze_http_url_free(target);
	target = target_at("https", "127.0.0.1", server_port(server), NULL, LONG);
	is_int(post("{}"), 0, "a server without TLS gets no request");
	release();
	end();
}

/* ----- what the environment says ----- */

static void
test_environment(void)
{
	static const char *const names[] = {
		"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", NULL
	};
	Server	   *proxy = server_start(accept_all, NULL);
	char		url[60];

	snprintf(url, sizeof(url), "http://127.0.0.1:%d", server_port(proxy));
	for (int i = 0; names[i] != NULL; i++)
		setenv(names[i], url, 1);
	begin(echo, LONG);
	is_int(post("{}"), 200, "with proxies in the environment");
	ok(answer_has("POST /users/track "), "the request goes to its server");
	release();
	is_int(server_connections(proxy), 0, "and the proxy hears nothing");
	end();
	server_stop(proxy);
	for (int i = 0; names[i] != NULL; i++)
		unsetenv(names[i]);
}

int
main(void)
{
	/* as in every process of the server */
	signal(SIGPIPE, SIG_IGN);

	/* a test that hangs ends, and says so by its status */
	alarm(300);

	test_request();
	test_closed();
	test_once();
	test_refused();
	test_answers();
	test_answers_held();
	test_announced_sockets();
	test_no_answer();
	test_headers_held();
	test_late_caller();
	test_held_back();
	test_cancel();
	test_many();
	test_targets();
	test_tls();
	test_environment();
	return done();
}
