/*-------------------------------------------------------------------------
 *
 * fast.c
 *	  Answers at once and reads nothing but the length: for benchmarks.
 *
 * HTTP/1.1 with Content-Length and keep-alive only.  Bodies are thrown away
 * in the kernel.  A delay holds one answer, not its neighbours.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "standin.h"

#define HEAD_SIZE	8192
#define EVENTS		256

typedef struct Client
{
	int			fd;
	bool		writable;		/* is EPOLLOUT asked for? */
	bool		waiting;		/* its answer is delayed: nothing is read */
	bool		close;			/* after what is to be written */
	bool		stats;			/* the request at hand is for the control API */
	size_t		filled;			/* of head */
	long		left;			/* of the body at hand; -1: in the head */
	Buffer		out;
	size_t		written;
	int64_t		due;
	struct Client *next_due;	/* all delays are equal: first come, first served */
	struct Client *next;
	struct Client *previous;
	char		head[HEAD_SIZE + 1];
} Client;

typedef struct Fast
{
	const Options *options;
	int			epoll_fd;
	int			listen_fd;
	int64_t		now;
	long		requests;
	long		bytes;
	int			clients;
	int			max_clients;
	Client	   *all;
	Client	   *first_due;
	Client	   *last_due;
} Fast;

/*
 * Where bodies would go: MSG_TRUNC throws them away, so nothing is ever
 * written here, but valgrind wants an address.
 */
static char nowhere[4 * 1024 * 1024];

static const char answer[] =
	"HTTP/1.1 201 Created\r\n"
	"Content-Type: application/json\r\n"
	"Content-Length: 21\r\n"
	"\r\n"
	"{\"message\":\"success\"}";

static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

static void
client_free(Fast *fast, Client *client)
{
	if (client->waiting)
	{
		Client	  **link = &fast->first_due;
		Client	   *before = NULL;

		while (*link != client)
		{
			before = *link;
			link = &before->next_due;
		}
		*link = client->next_due;
		if (fast->last_due == client)
			fast->last_due = before;
	}
	if (client->next != NULL)
		client->next->previous = client->previous;
	if (client->previous != NULL)
		client->previous->next = client->next;
	else
		fast->all = client->next;
	close(client->fd);
	standin_buffer_free(&client->out);
	free(client);
	fast->clients--;
}

static void
accept_clients(Fast *fast)
{
	int			fd;

	while ((fd = accept4(fast->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
	{
		Client	   *client = standin_alloc(sizeof(Client));
		struct epoll_event event = {0};
		int			on = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		client->fd = fd;
		client->left = -1;
		client->next = fast->all;
		if (client->next != NULL)
			client->next->previous = client;
		fast->all = client;
		event.events = EPOLLIN;
		event.data.ptr = client;
		epoll_ctl(fast->epoll_fd, EPOLL_CTL_ADD, fd, &event);
		if (++fast->clients > fast->max_clients)
			fast->max_clients = fast->clients;
	}
}

/* false when the connection is over */
static bool
flush(Fast *fast, Client *client)
{
	bool		more;

	while (client->written < client->out.length)
	{
		ssize_t		sent = send(client->fd, client->out.data + client->written,
								client->out.length - client->written, MSG_NOSIGNAL);

		if (sent < 0)
		{
			if (errno != EAGAIN)
				return false;
			break;
		}
		client->written += (size_t) sent;
	}
	more = client->written < client->out.length;
	if (!more)
	{
		client->out.length = 0;
		client->written = 0;
		if (client->close)
			return false;
	}
	if (more != client->writable)
	{
		struct epoll_event event = {0};

		event.events = more ? EPOLLIN | EPOLLOUT : EPOLLIN;
		event.data.ptr = client;
		epoll_ctl(fast->epoll_fd, EPOLL_CTL_MOD, client->fd, &event);
		client->writable = more;
	}
	return true;
}

static void
put_stats(const Fast *fast, Buffer *out)
{
	Buffer		body = {0};

	standin_buffer_printf(&body, "{\"requests\":%ld,\"bytes\":%ld,\"connections\":%d,"
						  "\"max_connections\":%d}", fast->requests, fast->bytes,
						  fast->clients, fast->max_clients);
	standin_buffer_printf(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
						  "Content-Length: %zu\r\n\r\n%s", body.length, body.data);
	standin_buffer_free(&body);
}

/* the request is complete */
static void
put_answer(Fast *fast, Client *client)
{
	client->left = -1;
	if (client->stats)
	{
		put_stats(fast, &client->out);
		return;
	}
	fast->requests++;
	if (fast->options->delay == 0)
	{
		standin_buffer_add(&client->out, answer, sizeof(answer) - 1);
		return;
	}
	client->waiting = true;
	client->due = fast->now + fast->options->delay;
	client->next_due = NULL;
	if (fast->last_due != NULL)
		fast->last_due->next_due = client;
	else
		fast->first_due = client;
	fast->last_due = client;
}

static void
put_refusal(Client *client, const char *status)
{
	standin_buffer_printf(&client->out, "HTTP/1.1 %s\r\nContent-Length: 0\r\n"
						  "Connection: close\r\n\r\n", status);
	client->close = true;
}

/* the value of a header of the head at hand, NULL if it is not there */
static const char *
find_header(const char *head, const char *name)
{
	const char *found = strcasestr(head, name);

	return found ? found + strlen(name) : NULL;
}

/* a head that ends at end, which is terminated there for the search */
static void
read_head(Client *client, char *end)
{
	const char *length;

	end[-1] = '\0';
	client->stats = strncmp(client->head, "GET /_control/stats", 19) == 0;
	length = find_header(client->head, "\r\ncontent-length:");
	if (find_header(client->head, "\r\ntransfer-encoding:") != NULL)
		put_refusal(client, "411 Length Required");
	else if (!client->stats && strncmp(client->head, "POST ", 5) != 0)
		put_refusal(client, "405 Method Not Allowed");
	client->left = length ? strtol(length, NULL, 10) : 0;
	if (client->left < 0)
		put_refusal(client, "400 Bad Request");
	else if (client->left > 0 &&
			 find_header(client->head, "\r\nexpect: 100-continue") != NULL)
		standin_buffer_add(&client->out, go_on, sizeof(go_on) - 1);
}

/* takes what is in client->head as far as it goes */
static void
take_head(Fast *fast, Client *client)
{
	while (client->filled > 0 && !client->waiting && !client->close)
	{
		char	   *end;
		size_t		head_length;
		size_t		body_here;

		client->head[client->filled] = '\0';
		end = memmem(client->head, client->filled, "\r\n\r\n", 4);
		if (end == NULL)
		{
			if (client->filled == HEAD_SIZE)
				put_refusal(client, "431 Request Header Fields Too Large");
			return;
		}
		end += 4;
		head_length = (size_t) (end - client->head);
		read_head(client, end);
		if (client->close)
			return;
		body_here = client->filled - head_length;
		if ((long) body_here > client->left)
			body_here = (size_t) client->left;
		client->left -= (long) body_here;
		fast->bytes += (long) body_here;
		client->filled -= head_length + body_here;
		memmove(client->head, end + body_here, client->filled);
		if (client->left > 0)
			return;
		put_answer(fast, client);
	}
}

/* false when the connection is over */
static bool
read_client(Fast *fast, Client *client)
{
	for (;;)
	{
		ssize_t		got;

		if (client->waiting || client->close)
			break;
		if (client->left > 0)
			got = recv(client->fd, nowhere, (size_t) client->left < sizeof(nowhere) ?
					   (size_t) client->left : sizeof(nowhere), MSG_TRUNC);
		else
			got = recv(client->fd, client->head + client->filled,
					   HEAD_SIZE - client->filled, 0);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			return false;
		if (got < 0)
			break;
		if (client->left > 0)
		{
			fast->bytes += got;
			client->left -= got;
			if (client->left == 0)
				put_answer(fast, client);
		}
		else
		{
			client->filled += (size_t) got;
			take_head(fast, client);
		}
		/* a client waits for its answer before it sends more */
		if (client->out.length > 0)
			break;
	}
	return client->out.length == 0 || flush(fast, client);
}

/*
 * A client that waits and goes away is noticed here too: its descriptor is
 * readable, though nothing is read.
 */
static bool
client_event(Fast *fast, Client *client, uint32_t events)
{
	if ((events & (EPOLLERR | EPOLLHUP)) != 0)
		return false;
	if ((events & EPOLLOUT) != 0 && !flush(fast, client))
		return false;
	if ((events & EPOLLIN) != 0)
	{
		char		byte;

		if (client->waiting)
			return recv(client->fd, &byte, 1, MSG_PEEK) != 0;
		return read_client(fast, client);
	}
	return true;
}

static void
answer_due(Fast *fast)
{
	while (fast->first_due != NULL && fast->first_due->due <= fast->now)
	{
		Client	   *client = fast->first_due;

		fast->first_due = client->next_due;
		if (fast->first_due == NULL)
			fast->last_due = NULL;
		client->waiting = false;
		standin_buffer_add(&client->out, answer, sizeof(answer) - 1);
		take_head(fast, client);
		if (!flush(fast, client))
			client_free(fast, client);
	}
}

static bool
listen_fast(Fast *fast, int *port)
{
	struct sockaddr_in address = {0};
	socklen_t	length = sizeof(address);
	int			on = 1;

	fast->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(fast->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t) fast->options->port);
	if (bind(fast->listen_fd, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		listen(fast->listen_fd, 1024) != 0 ||
		getsockname(fast->listen_fd, (struct sockaddr *) &address, &length) != 0)
	{
		perror("braze-standin: cannot listen");
		return false;
	}
	*port = ntohs(address.sin_port);
	return true;
}

static void
watch(Fast *fast, int fd)
{
	struct epoll_event event = {0};

	event.events = EPOLLIN;
	event.data.fd = fd;
	epoll_ctl(fast->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void
serve(Fast *fast, int signal_fd)
{
	struct epoll_event events[EVENTS];
	int			count;

	for (;;)
	{
		int			wait = -1;

		if (fast->first_due != NULL)
		{
			fast->now = standin_now();
			wait = fast->first_due->due > fast->now ?
				(int) (fast->first_due->due - fast->now) : 0;
		}
		count = epoll_wait(fast->epoll_fd, events, EVENTS, wait);
		if (fast->options->delay > 0)
			fast->now = standin_now();
		for (int i = 0; i < count; i++)
		{
			/* small numbers are descriptors, no address is that low */
			if (events[i].data.u64 == (uint64_t) signal_fd)
				return;
			if (events[i].data.u64 == (uint64_t) fast->listen_fd)
				accept_clients(fast);
			else if (!client_event(fast, events[i].data.ptr, events[i].events))
				client_free(fast, events[i].data.ptr);
		}
		answer_due(fast);
	}
}

int
standin_fast(const Options *options, int signal_fd)
{
	Fast		fast = {0};
	int			port;
	int			status = 1;

	fast.options = options;
	fast.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (listen_fast(&fast, &port) && standin_announce(options, port))
	{
		watch(&fast, fast.listen_fd);
		watch(&fast, signal_fd);
		serve(&fast, signal_fd);
		status = 0;
	}
	while (fast.all != NULL)
		client_free(&fast, fast.all);
	close(fast.listen_fd);
	close(fast.epoll_fd);
	return status;
}
