/*
 * The resolver's thread must not run the process's signal handlers.
 *
 * The name that is resolved is this machine's own and the port is closed, so
 * nothing leaves the machine.  Without the mask around curl's calls a hundred
 * signals or so arrive in the wrong thread.
 *
 * link: ../../src/braze/http.c ../../src/braze/http_url.c
 * link: ../../src/braze/http_options.c ../../src/braze/http_transfer.c
 * link: ../../src/braze/pace.c ../../src/braze/rate_headers.c -lcurl -lpthread
 */
#include "tap.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "braze/http.h"

/* at least; it goes on until the sender, too, has had its turn as often */
#define ROUNDS		40

static pthread_t main_thread;
static atomic_int handled;
static atomic_int strays;
static atomic_bool stop;

static void
on_signal(int number)
{
	(void) number;
	atomic_fetch_add(&handled, 1);
	if (!pthread_equal(pthread_self(), main_thread))
		atomic_fetch_add(&strays, 1);
}

static void *
send_signals(void *unused)
{
	(void) unused;
	while (!atomic_load(&stop))
	{
		kill(getpid(), SIGUSR1);
		sched_yield();
	}
	return NULL;
}

/* a fresh set of handles each time, since names once resolved are kept */
static bool
fails_by_name(const char *endpoint)
{
	char		error[256];
	BrazeHttp  *http = braze_http_create(2, error, sizeof(error));
	BrazeHttpTarget *target = braze_http_url_create(endpoint, "key", NULL, 60000);
	BrazeHttpRequest request = {.target = target, .path = "/", .body = "", .body_length = 0};
	bool		failed = false;

	if (http != NULL && target != NULL && braze_http_send(http, &request))
	{
		while (braze_http_next_done(http) == NULL)
		{
			struct pollfd wait = {braze_http_fd(http), POLLIN, 0};

			poll(&wait, 1, (int) braze_http_timeout(http));
		}
		failed = request.status == 0 && request.error[0] != '\0';
		braze_http_release(http, &request);
	}
	braze_http_url_free(target);
	braze_http_destroy(http);
	return failed;
}

int
main(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	char		host[128] = "";
	char		endpoint[160];
	pthread_t	sender;
	sigset_t	all;
	sigset_t	before;
	sigset_t	after;
	int			changed = 0;
	int			failed = 0;
	int			rounds = 0;

	gethostname(host, sizeof(host) - 1);
	snprintf(endpoint, sizeof(endpoint), "https://%s:1", host);
	signal(SIGPIPE, SIG_IGN);
	main_thread = pthread_self();
	sigaction(SIGUSR1, &action, NULL);

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_create(&sender, NULL, send_signals, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	for (; rounds < ROUNDS || atomic_load(&handled) < ROUNDS; rounds++)
		failed += fails_by_name(endpoint);
	atomic_store(&stop, true);
	pthread_join(sender, NULL);

	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number < SIGRTMIN; number++)
		changed += sigismember(&before, number) != sigismember(&after, number);

	is_int(failed, rounds, "a closed port, by name");
	ok(atomic_load(&handled) >= ROUNDS, "signals arrived meanwhile (%d)", atomic_load(&handled));
	is_int(atomic_load(&strays), 0, "none of them in curl's thread");
	is_int(changed, 0, "the signal mask is what it was");
	return done();
}
