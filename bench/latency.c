/*
 * latency.c
 *	  latency CONNECTION COUNT: how long after COMMIT the first byte of a
 *	  call's request arrives at the server, one call at a time.
 *
 * Plays that server itself, so that both ends are read from one clock, and
 * points the destination "braze" at it.  Prints four figures in milliseconds:
 * the median and the 99th percentile from the moment COMMIT is sent, and those
 * of a SELECT 1.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

static const char answer[] =
"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 21\r\n\r\n"
"{\"message\":\"success\"}";

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t arrived = PTHREAD_COND_INITIALIZER;
static double first_byte;		/* of the request that came last */
static long requests;

static double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void
die(const char *what)
{
	fprintf(stderr, "latency: %s\n", what);
	exit(1);
}

/* reads one request; false at the end of the connection */
static bool
read_request(int fd)
{
	char		data[65536];
	size_t		length = 0;
	size_t		wanted = sizeof(data) - 1;

	while (length < wanted)
	{
		ssize_t		got = read(fd, data + length, wanted - length);
		const char *body;
		const char *header;

		if (got <= 0)
			return false;
		if (length == 0)
		{
			pthread_mutex_lock(&mutex);
			first_byte = now_ms();
			requests++;
			pthread_cond_signal(&arrived);
			pthread_mutex_unlock(&mutex);
		}
		length += got;
		data[length] = '\0';
		body = strstr(data, "\r\n\r\n");
		header = strcasestr(data, "\r\ncontent-length:");
		if (body != NULL && header != NULL)
			wanted = body + 4 - data + strtoul(header + 17, NULL, 10);
	}
	return true;
}

static void *
connection(void *arg)
{
	int			fd = *(int *) arg;

	free(arg);
	while (read_request(fd) && write(fd, answer, sizeof(answer) - 1) > 0)
		;
	close(fd);
	return NULL;
}

static void *
serve(void *arg)
{
	int			listener = *(int *) arg;

	for (;;)
	{
		pthread_t	thread;
		int		   *fd = malloc(sizeof(int));

		*fd = accept(listener, NULL, NULL);
		if (*fd < 0)
			die("accept failed");
		pthread_create(&thread, NULL, connection, fd);
		pthread_detach(thread);
	}
	return NULL;
}

static int
listen_somewhere(int *listener)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t	size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(*listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(*listener, 16) != 0 ||
		getsockname(*listener, (struct sockaddr *) &address, &size) != 0)
		die("could not listen");
	return ntohs(address.sin_port);
}

static void
run(PGconn *session, const char *statement)
{
	PGresult   *result = PQexec(session, statement);
	ExecStatusType status = PQresultStatus(result);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		die(PQerrorMessage(session));
	PQclear(result);
}

/* from COMMIT to the first byte; ends when the call is settled */
static double
one_call(PGconn *session)
{
	long		before;
	double		began;
	double		took;

	run(session, "BEGIN");
	run(session, "SELECT braze_track('user-1', 'Song Played', '{\"title\": \"A song\"}')");
	pthread_mutex_lock(&mutex);
	before = requests;
	pthread_mutex_unlock(&mutex);
	began = now_ms();
	run(session, "COMMIT");
	pthread_mutex_lock(&mutex);
	while (requests == before)
		pthread_cond_wait(&arrived, &mutex);
	took = first_byte - began;
	pthread_mutex_unlock(&mutex);
	run(session, "SELECT braze_flush('10 s')");
	return took;
}

static int
compare(const void *a, const void *b)
{
	double		left = *(const double *) a;
	double		right = *(const double *) b;

	return (left > right) - (left < right);
}

static void
print_percentiles(double *times, int count)
{
	qsort(times, count, sizeof(double), compare);
	printf("%.3f %.3f ", times[count / 2], times[count * 99 / 100]);
}

int
main(int argc, char **argv)
{
	int			count = argc == 3 ? atoi(argv[2]) : 0;
	double	   *times;
	PGconn	   *session;
	pthread_t	server;
	int			listener;
	int			port;
	char		statement[200];

	if (count <= 0)
		die("usage: latency CONNECTION COUNT");
	times = malloc(sizeof(double) * count);
	session = PQconnectdb(argv[1]);
	if (PQstatus(session) != CONNECTION_OK)
		die(PQerrorMessage(session));
	port = listen_somewhere(&listener);
	pthread_create(&server, NULL, serve, &listener);
	snprintf(statement, sizeof(statement),
			 "ALTER SERVER braze OPTIONS (SET custom_api_endpoint 'http://127.0.0.1:%d')", port);
	run(session, statement);

	/* the first ones find the connection, the plans and the caches cold */
	for (int i = 0; i < 20; i++)
		(void) one_call(session);
	for (int i = 0; i < count; i++)
		times[i] = one_call(session);
	print_percentiles(times, count);

	for (int i = 0; i < count; i++)
	{
		double		began = now_ms();

		run(session, "SELECT 1");
		times[i] = now_ms() - began;
	}
	print_percentiles(times, count);
	printf("\n");
	PQfinish(session);
	return 0;
}
