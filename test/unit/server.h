/*
 * server.h
 *	  A server whose every connection is played by a script, plain or with TLS.
 */
#ifndef SERVER_H
#define SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Server Server;
typedef struct Connection Connection;

/* runs in a thread of its own; the connection is closed when it returns */
typedef void (*Script) (Connection *connection);

/*
 * A server on a free port of 127.0.0.1.  With certificate_file it speaks TLS:
 * its certificate, for the address 127.0.0.1 alone, is by an authority made
 * for it, whose own certificate is written to that file.
 */
extern Server *server_start(Script script, const char *certificate_file);

/* the name under which OpenSSL looks for an authority in a directory of them */
extern unsigned long certificate_hash(const char *certificate_file);

extern int	server_port(const Server *server);

/* connections taken so far; those with TLS count even if the handshake fails */
extern int	server_connections(Server *server);

/* waits until this many connections were closed by their scripts */
extern void server_wait_closed(Server *server, int connections);

/* ends all scripts and waits for them */
extern void server_stop(Server *server);

/* which connection of its server this is, from 1 on */
extern int	connection_number(const Connection *connection);

/*
 * Reads one request, head and body: malloc'd and terminated, the body behind
 * the empty line.  NULL when the client has gone.
 */
extern char *read_request(Connection *connection);

/* false when the client has gone */
extern bool say_bytes(Connection *connection, const char *bytes, size_t length);
extern bool say(Connection *connection, const char *text);

/* until the client goes */
extern void wait_for_end(Connection *connection);

/* what follows the script is a reset instead of an orderly end */
extern void reset_at_end(Connection *connection);

#endif							/* SERVER_H */
