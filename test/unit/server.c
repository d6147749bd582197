/*
 * server.c
 *	  A server whose every connection is played by a script.
 */
#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_CONNECTIONS	512
#define MAX_REQUEST		(8 * 1024 * 1024)

struct Connection
{
	Server	   *server;
	pthread_t	thread;
	int			number;
	int			fd;
	SSL		   *ssl;
	bool		reset;
};

struct Server
{
	Script		script;
	SSL_CTX    *tls;
	int			fd;
	int			port;
	pthread_t	thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool		stopping;
	int			closed;
	int			nconnections;
	Connection	connections[MAX_CONNECTIONS];
};

/* a test that cannot be set up says nothing about what it tests */
static void
need(bool held, const char *what)
{
	if (!held)
	{
		perror(what);
		abort();
	}
}

/* ----- certificates ----- */

static X509 *
make_certificate(EVP_PKEY *key, const char *name, X509 *issuer, EVP_PKEY *issuer_key,
				 int extension, const char *value)
{
	X509	   *certificate = X509_new();
	X509V3_CTX	context;
	X509_EXTENSION *added;

	need(X509_set_version(certificate, 2), "certificate");
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer == NULL ? 1 : 2);
	X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 24 * 3600);
	X509_set_pubkey(certificate, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
							   (const unsigned char *) name, -1, -1, 0);
	if (issuer == NULL)
		issuer = certificate;
	X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	added = X509V3_EXT_conf_nid(NULL, &context, extension, value);
	need(added != NULL && X509_add_ext(certificate, added, -1), "extension");
	X509_EXTENSION_free(added);
	need(X509_sign(certificate, issuer_key, EVP_sha256()) > 0, "signature");
	return certificate;
}

/* OpenSSL 3 has one function for it, older ones do not */
static EVP_PKEY *
make_key(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY   *key = NULL;

	need(context != NULL && EVP_PKEY_keygen_init(context) > 0 &&
		 EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context, NID_X9_62_prime256v1) > 0 &&
		 EVP_PKEY_keygen(context, &key) > 0, "key");
	EVP_PKEY_CTX_free(context);
	return key;
}

static SSL_CTX *
make_tls(const char *certificate_file)
{
	SSL_CTX    *tls = SSL_CTX_new(TLS_server_method());
	EVP_PKEY   *ca_key = make_key();
	EVP_PKEY   *key = make_key();
	X509	   *ca = make_certificate(ca_key, certificate_file, NULL, ca_key,
									  NID_basic_constraints, "critical,CA:TRUE");
	X509	   *certificate = make_certificate(key, "Server", ca, ca_key,
											   NID_subject_alt_name, "IP:127.0.0.1");
	FILE	   *file = fopen(certificate_file, "w");

	need(file != NULL && PEM_write_X509(file, ca) && fclose(file) == 0, certificate_file);
	need(SSL_CTX_use_certificate(tls, certificate) == 1 &&
		 SSL_CTX_use_PrivateKey(tls, key) == 1, "server certificate");
	X509_free(ca);
	X509_free(certificate);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return tls;
}

unsigned long
certificate_hash(const char *certificate_file)
{
	FILE	   *file = fopen(certificate_file, "r");
	X509	   *certificate = file != NULL ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
	unsigned long hash;

	need(certificate != NULL, certificate_file);
	hash = X509_subject_name_hash(certificate);
	X509_free(certificate);
	fclose(file);
	return hash;
}

/* ----- connections ----- */

static void
close_connection(Connection *connection)
{
	Server	   *server = connection->server;
	struct linger at_once = {1, 0};

	if (connection->ssl != NULL)
	{
		(void) SSL_shutdown(connection->ssl);
		SSL_free(connection->ssl);
	}
	pthread_mutex_lock(&server->lock);
	if (connection->reset)
		setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(connection->fd);
	connection->fd = -1;
	server->closed++;
	pthread_cond_broadcast(&server->changed);
	pthread_mutex_unlock(&server->lock);
}

static void *
play(void *argument)
{
	Connection *connection = argument;

	if (connection->ssl == NULL || SSL_accept(connection->ssl) == 1)
		connection->server->script(connection);
	close_connection(connection);
	return NULL;
}

static void *
take_connections(void *argument)
{
	Server	   *server = argument;
	int			fd;

	while ((fd = accept(server->fd, NULL, NULL)) >= 0)
	{
		Connection *connection;
		int			one = 1;

		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		pthread_mutex_lock(&server->lock);
		need(server->nconnections < MAX_CONNECTIONS, "too many connections");
		connection = &server->connections[server->nconnections++];
		connection->server = server;
		connection->number = server->nconnections;
		connection->fd = fd;
		if (server->tls != NULL)
		{
			connection->ssl = SSL_new(server->tls);
			SSL_set_fd(connection->ssl, fd);
		}
		if (server->stopping)
			shutdown(fd, SHUT_RDWR);
		need(pthread_create(&connection->thread, NULL, play, connection) == 0, "thread");
		pthread_mutex_unlock(&server->lock);
	}
	return NULL;
}

Server *
server_start(Script script, const char *certificate_file)
{
	Server	   *server = calloc(1, sizeof(Server));
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t	length = sizeof(address);

	server->script = script;
	if (certificate_file != NULL)
		server->tls = make_tls(certificate_file);
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->changed, NULL);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->fd = socket(AF_INET, SOCK_STREAM, 0);
	need(server->fd >= 0, "socket");
	need(bind(server->fd, (struct sockaddr *) &address, length) == 0, "bind");
	need(listen(server->fd, 256) == 0, "listen");
	need(getsockname(server->fd, (struct sockaddr *) &address, &length) == 0, "getsockname");
	server->port = ntohs(address.sin_port);
	need(pthread_create(&server->thread, NULL, take_connections, server) == 0, "thread");
	return server;
}

int
server_port(const Server *server)
{
	return server->port;
}

int
server_connections(Server *server)
{
	int			n;

	pthread_mutex_lock(&server->lock);
	n = server->nconnections;
	pthread_mutex_unlock(&server->lock);
	return n;
}

void
server_wait_closed(Server *server, int connections)
{
	pthread_mutex_lock(&server->lock);
	while (server->closed < connections)
		pthread_cond_wait(&server->changed, &server->lock);
	pthread_mutex_unlock(&server->lock);
}

void
server_stop(Server *server)
{
	pthread_mutex_lock(&server->lock);
	server->stopping = true;
	for (int i = 0; i < server->nconnections; i++)
	{
		if (server->connections[i].fd >= 0)
			shutdown(server->connections[i].fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&server->lock);
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	for (int i = 0; i < server->nconnections; i++)
		pthread_join(server->connections[i].thread, NULL);
	close(server->fd);
	SSL_CTX_free(server->tls);
	pthread_mutex_destroy(&server->lock);
	pthread_cond_destroy(&server->changed);
	free(server);
}

/* ----- what a script does ----- */

int
connection_number(const Connection *connection)
{
	return connection->number;
}

static long
receive(Connection *connection, char *to, size_t size)
{
	if (connection->ssl != NULL)
		return SSL_read(connection->ssl, to, (int) size);
	return recv(connection->fd, to, size, 0);
}

char *
read_request(Connection *connection)
{
	size_t		length = 0;
	size_t		wanted = SIZE_MAX;
	size_t		size = 4096;
	char	   *text = malloc(size);

	while (length < wanted)
	{
		long		n = receive(connection, text + length, size - length - 1);
		const char *end;

		if (n <= 0)
		{
			free(text);
			return NULL;
		}
		length += n;
		text[length] = '\0';
		if (wanted == SIZE_MAX && (end = strstr(text, "\r\n\r\n")) != NULL)
		{
			const char *header = strcasestr(text, "\r\ncontent-length:");

			wanted = end + 4 - text;
			if (header != NULL && header < end)
				wanted += strtoul(header + 17, NULL, 10);
		}
		if (size - length < 2048)
		{
			size *= 2;
			need(size <= MAX_REQUEST, "a request without end");
			text = realloc(text, size);
		}
	}
	return text;
}

bool
say_bytes(Connection *connection, const char *bytes, size_t length)
{
	while (length > 0)
	{
		long		n;

		if (connection->ssl != NULL)
			n = SSL_write(connection->ssl, bytes, (int) length);
		else
			n = send(connection->fd, bytes, length, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		bytes += n;
		length -= n;
	}
	return true;
}

bool
say(Connection *connection, const char *text)
{
	return say_bytes(connection, text, strlen(text));
}

void
wait_for_end(Connection *connection)
{
	char		ignored[4096];

	while (receive(connection, ignored, sizeof(ignored)) > 0)
		continue;
}

void
reset_at_end(Connection *connection)
{
	connection->reset = true;
}
