/*-------------------------------------------------------------------------
 *
 * standin.c
 *	  braze-standin: a strict stand-in for Braze's REST API, for tests.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "formats.h"
#include "standin.h"

static void
usage(void)
{
	puts("braze-standin: a strict stand-in for Braze's REST API\n"
		 "\n"
		 "  --port=N           listen on 127.0.0.1:N; 0, the default: any free port\n"
		 "  --port-file=FILE   write the port to FILE once it listens\n"
		 "  --key=KEY          the REST API key, or KEY,KEY (default: test-key)\n"
		 "  --track-key=KEY    a key that may do /users/track only\n"
		 "  --max-objects=N    objects in one /users/track request (default: 75)\n"
		 "  --max-body=BYTES   size of one request (default: 4000000)\n"
		 "  --log-limit=N      objects kept in the log (default: 200000)\n"
		 "  --keep=N           events and purchases kept per user (default: 1000)\n"
		 "  --property=NAME    the integer that numbers objects (default: seq)\n"
		 "  --listed-currencies  refuse codes of ISO 4217 that Braze's list lacks\n"
		 "  --faults=FILE      begin with these faults, a JSON object a line\n"
		 "  --ledger=FILE      append what happens to FILE, before it is answered\n"
		 "  --tls-cert=FILE    serve https with this certificate chain (PEM)\n"
		 "  --tls-key=FILE     and this private key\n"
		 "  --fast             answer at once, read nothing: for benchmarks\n"
		 "  --delay=MS         with --fast: answer this much later\n"
		 "  --help\n"
		 "\n"
		 "README.md beside the source describes what tests can ask of it.");
}

static bool
read_number(const char *text, long max, long *value)
{
	char	   *end;

	errno = 0;
	*value = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || end == text || *value < 0 || *value > max)
	{
		fprintf(stderr, "braze-standin: \"%s\" is not a number from 0 to %ld\n", text, max);
		return false;
	}
	return true;
}

static bool
read_options(int argc, char **argv, Options *options)
{
	static const struct option known[] = {
		{"port", required_argument, NULL, 'p'},
		{"port-file", required_argument, NULL, 'f'},
		{"key", required_argument, NULL, 'k'},
		{"track-key", required_argument, NULL, 't'},
		{"max-objects", required_argument, NULL, 'o'},
		{"max-body", required_argument, NULL, 'b'},
		{"log-limit", required_argument, NULL, 'l'},
		{"keep", required_argument, NULL, 'e'},
		{"property", required_argument, NULL, 'r'},
		{"listed-currencies", no_argument, NULL, 'C'},
		{"faults", required_argument, NULL, 'a'},
		{"ledger", required_argument, NULL, 'L'},
		{"tls-cert", required_argument, NULL, 'c'},
		{"tls-key", required_argument, NULL, 'y'},
		{"fast", no_argument, NULL, 'F'},
		{"delay", required_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0}
	};
	int			option;
	long		value = 0;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
	{
		if (strchr("pobled", option) != NULL &&
			!read_number(optarg, option == 'p' ? 65535 : 1000000000, &value))
			return false;
		switch (option)
		{
			case 'p':
				options->port = (int) value;
				break;
			case 'f':
				options->port_file = optarg;
				break;
			case 'k':
				options->key = optarg;
				break;
			case 't':
				options->track_key = optarg;
				break;
			case 'o':
				options->max_objects = (int) value;
				break;
			case 'b':
				options->max_body = value;
				break;
			case 'l':
				options->log_limit = value;
				break;
			case 'e':
				options->keep = (int) value;
				break;
			case 'r':
				options->property = optarg;
				break;
			case 'C':
				standin_listed_currencies = true;
				break;
			case 'a':
				options->faults = optarg;
				break;
			case 'L':
				options->ledger = optarg;
				break;
			case 'c':
				options->tls_cert = optarg;
				break;
			case 'y':
				options->tls_key = optarg;
				break;
			case 'F':
				options->fast = true;
				break;
			case 'd':
				options->delay = (int) value;
				break;
			case 'h':
				usage();
				exit(0);
			default:
				return false;
		}
	}
	if (optind < argc || (options->tls_cert == NULL) != (options->tls_key == NULL))
	{
		fputs("braze-standin: --tls-cert and --tls-key go together, and nothing "
			  "follows the options\n", stderr);
		return false;
	}
	return true;
}

/*
 * The file appears with its content, so that whoever waits for it never reads
 * half a number.
 */
bool
standin_announce(const Options *options, int port)
{
	Buffer		name = {0};
	FILE	   *file;
	bool		good;

	printf("listening on 127.0.0.1:%d\n", port);
	fflush(stdout);
	if (options->port_file == NULL)
		return true;
	standin_buffer_printf(&name, "%s.new", options->port_file);
	file = fopen(name.data, "w");
	good = file != NULL && fprintf(file, "%d\n", port) > 0;
	if (file != NULL && fclose(file) != 0)
		good = false;
	if (good && rename(name.data, options->port_file) != 0)
		good = false;
	if (!good)
		perror(options->port_file);
	standin_buffer_free(&name);
	return good;
}

/* SIGTERM and SIGINT end the loop, through a descriptor */
static int
open_signal_fd(void)
{
	sigset_t	signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

/* a connection that was resumed is not in what MHD_get_timeout() returns */
static int
wait_time(const Standin *standin, int64_t next_due)
{
	MHD_UNSIGNED_LONG_LONG http;
	int64_t		wait = -1;

	if (standin->resumed)
		return 0;
	if (MHD_get_timeout(standin->daemon, &http) == MHD_YES)
		wait = http > 60000 ? 60000 : (int64_t) http;
	if (next_due != 0)
	{
		int64_t		left = next_due - standin_now();

		if (left < 0)
			left = 0;
		if (wait < 0 || left < wait)
			wait = left;
	}
	return (int) wait;
}

static void
serve(Standin *standin, int signal_fd)
{
	struct pollfd fds[2] = {{0}};

	fds[0].fd = MHD_get_daemon_info(standin->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	fds[0].events = POLLIN;
	fds[1].fd = signal_fd;
	fds[1].events = POLLIN;
	for (;;)
	{
		int64_t		next_due;

		standin_release_due(standin, &next_due);
		standin_ledger_write(&standin->ledger);
		if (poll(fds, 2, wait_time(standin, next_due)) < 0 && errno != EINTR)
		{
			perror("poll");
			return;
		}
		if (fds[1].revents != 0)
			return;
		standin->resumed = false;
		MHD_run(standin->daemon);
	}
}

static int
run_strict(const Options *options, int signal_fd)
{
	Standin		standin = {0};
	int			status = 1;

	standin.options = options;
	standin.key = standin_strdup(options->key);
	standin.track_key = options->track_key ? standin_strdup(options->track_key) : NULL;
	standin_state_init(&standin);
	if (standin_read_faults(&standin, options->faults) &&
		standin_ledger_open(&standin.ledger, options->ledger) &&
		standin_http_start(&standin))
	{
		if (standin_announce(options, standin_http_port(&standin)))
		{
			serve(&standin, signal_fd);
			status = 0;
		}
		standin_http_stop(&standin);
	}
	standin_ledger_close(&standin.ledger);
	standin_state_free(&standin);
	free(standin.key);
	free(standin.track_key);
	return status;
}

static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
	{
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int
main(int argc, char **argv)
{
	Options		options = {
		.key = "test-key",
		.property = "seq",
		.max_objects = 75,
		.max_body = 4000000,
		.log_limit = 200000,
		.keep = 1000,
	};
	int			signal_fd;
	int			status;

	if (!read_options(argc, argv, &options))
		return 2;
	signal_fd = open_signal_fd();
	raise_descriptor_limit();
	status = options.fast ? standin_fast(&options, signal_fd) :
		run_strict(&options, signal_fd);
	close(signal_fd);
	return status;
}
