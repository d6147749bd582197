/*-------------------------------------------------------------------------
 *
 * http.c
 *	  Connections: from the bytes of a request to the bytes of its answer.
 *
 *-------------------------------------------------------------------------
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "standin.h"

#define MAX_CONNECTIONS	4000
#define CONTROL_PREFIX	"/_control/"

/* what a reader callback still has to send */
typedef struct Stream
{
	char	   *start;
	size_t		start_length;
	uint64_t	total;
	bool		cut;			/* ends with an error after start */
} Stream;

int64_t
standin_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
standin_http_answer(Request *request, int status, const char *body)
{
	Answer	   *answer = &request->answer;

	answer->manner = MANNER_WHOLE;
	answer->status = status;
	answer->type = "application/json; charset=utf-8";
	answer->body.length = 0;
	standin_buffer_puts(&answer->body, body);
}

static bool
is_control(const Request *request)
{
	return strncmp(request->url, CONTROL_PREFIX, strlen(CONTROL_PREFIX)) == 0;
}

static Request *
request_create(Standin *standin, struct MHD_Connection *connection, const char *url,
			   const char *method)
{
	Request    *request = standin_alloc(sizeof(Request));

	request->connection = connection;
	request->url = standin_strdup(url);
	request->method = standin_strdup(method);
	if (is_control(request))
		return request;
	request->next = standin->requests;
	if (request->next != NULL)
		request->next->previous = request;
	standin->requests = request;
	if (++standin->stats.concurrent > standin->stats.max_concurrent)
		standin->stats.max_concurrent = standin->stats.concurrent;
	return request;
}

static void
request_free(Standin *standin, Request *request)
{
	standin_unmark(request);
	if (!is_control(request))
	{
		if (request->next != NULL)
			request->next->previous = request->previous;
		if (request->previous != NULL)
			request->previous->next = request->next;
		else
			standin->requests = request->next;
		standin->stats.concurrent--;
	}
	json_object_put(request->json);
	json_object_put(request->answer.headers);
	standin_buffer_free(&request->answer.body);
	standin_buffer_free(&request->body);
	free(request->items);
	free(request->url);
	free(request->method);
	free(request);
}

static const char *
header(const Request *request, const char *name)
{
	const char *value = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
													name);

	return value ? value : "";
}

static bool
is_json(const char *type)
{
	static const char wanted[] = "application/json";
	size_t		length = sizeof(wanted) - 1;

	return strncasecmp(type, wanted, length) == 0 &&
		(type[length] == '\0' || type[length] == ';' || type[length] == ' ');
}

/* the key that a client has shown, or "" */
const char *
standin_http_key(const Request *request)
{
	const char *authorization = header(request, "Authorization");

	return strncmp(authorization, "Bearer ", 7) == 0 ? authorization + 7 : "";
}

/* keys are separated by commas */
static bool
has_key(const Request *request, const char *keys)
{
	const char *given = standin_http_key(request);
	size_t		length = strlen(given);

	if (keys == NULL || length == 0 || strchr(given, ',') != NULL)
		return false;
	while (strncmp(keys, given, length) != 0 ||
		   (keys[length] != '\0' && keys[length] != ','))
	{
		keys = strchr(keys, ',');
		if (keys == NULL)
			return false;
		keys++;
	}
	return true;
}

/* what is wrong before the body is looked at; true when nothing is */
static bool
admit(const Standin *standin, Request *request)
{
	if (request->endpoint == NULL)
		standin_http_answer(request, 404, "{\"message\":\"Not Found\"}");
	else if (strcmp(request->method, "POST") != 0)
		standin_http_answer(request, 405, "{\"message\":\"Method Not Allowed\"}");
	else if (!is_json(header(request, "Content-Type")))
		standin_http_answer(request, 415, "{\"message\":\"Unsupported Media Type\"}");
	else if (has_key(request, standin->track_key))
	{
		if (request->endpoint == standin_endpoint("/users/track"))
			return true;
		standin_http_answer(request, 403, "{\"message\":\"Access Denied\"}");
	}
	else if (!has_key(request, standin->key))
		standin_http_answer(request, 401, "{\"message\":\"Invalid API Key\"}");
	else
		return true;
	return false;
}

/* the answer that a fault gives in place of Braze's */
static void
fault_answer(Request *request, const Fault *fault)
{
	static const char invalid[] = "{\"message\":\"\xff\xfe\xc3\",\"errors\":[{\"type\":"
		"\"\xc3\x28 \xed\xa0\x80\",\"input_array\":\"events\",\"index\":0}]}";
	char		message[64];
	int			status = (int) fault->status;
	Answer	   *answer = &request->answer;

	switch (fault->kind)
	{
		case FAULT_STATUS:
			snprintf(message, sizeof(message), "{\"message\":\"status %d on purpose\"}",
					 status);
			standin_http_answer(request, status,
								fault->body ? fault->body : message);
			break;
		case FAULT_REFUSE:
			standin_http_answer(request, status ? status : 400,
								fault->body ? fault->body :
								"{\"message\":\"refused on purpose\"}");
			break;
		case FAULT_CLOSE:
			answer->manner = MANNER_CLOSE;
			break;
		case FAULT_CUT:
			standin_http_answer(request, status ? status : 201, "{\"message\":\"succ");
			answer->manner = MANNER_CUT;
			break;
		case FAULT_HUGE:
			standin_http_answer(request, status ? status : 201,
								"{\"message\":\"");
			answer->manner = MANNER_HUGE;
			answer->bytes = fault->bytes;
			break;
		case FAULT_BROKEN_JSON:
			standin_http_answer(request, status ? status : 201,
								"{\"message\":\"success\",\"errors\":[{");
			break;
		case FAULT_INVALID_UTF8:
			standin_http_answer(request, status ? status : 201, invalid);
			break;
		case FAULT_EMPTY:
			standin_http_answer(request, status ? status : 200, "");
			break;
		case FAULT_NOT_JSON:
			standin_http_answer(request, status ? status : 201,
								"<html><body>Created</body></html>");
			answer->type = "text/html";
			break;
		default:
			break;
	}
	if (fault->headers != NULL)
	{
		json_object_put(answer->headers);
		answer->headers = json_object_get(fault->headers);
	}
}

static void
strike(Standin *standin, Request *request, Fault *fault)
{
	bool		waits = fault->kind == FAULT_HOLD || fault->kind == FAULT_NEVER ||
		fault->kind == FAULT_SLOW;

	if (!request->judged)
	{
		if (fault->applied)
			standin_judge(standin, request);
		else if (!waits)
			standin_lose(standin, request);
	}
	request->never = fault->kind == FAULT_NEVER;
	request->fault = standin_fault_name(fault->kind);
	if (!waits)
		fault_answer(request, fault);
	if (fault->kind == FAULT_HOLD || fault->kind == FAULT_NEVER)
		standin_hold(standin, request, 0);
	else if (fault->delay > 0)
		standin_hold(standin, request, standin_now() + fault->delay);
}

static enum MHD_Result
add_argument(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	(void) kind;
	json_object_object_add(cls, key, json_object_new_string(value ? value : ""));
	return MHD_YES;
}

static void
control(Standin *standin, Request *request)
{
	json_object *parameters = NULL;

	if (request->body.length > 0)
		parameters = json_tokener_parse(request->body.data);
	else
		parameters = json_object_new_object();
	if (!json_object_is_type(parameters, json_type_object))
		standin_http_answer(request, 400, "{\"error\":\"the body is not a JSON object\"}");
	else
	{
		MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND,
								  add_argument, parameters);
		standin_control(standin, request, parameters);
	}
	json_object_put(parameters);
}

/* the request is here in full */
static void
arrived(Standin *standin, Request *request)
{
	Fault	   *fault;

	request->state = REQUEST_READY;
	if (is_control(request))
	{
		control(standin, request);
		return;
	}
	request->number = ++standin->last_number;
	request->endpoint = standin_endpoint(request->url);
	standin_ledger_request(&standin->ledger, request);
	standin->stats.requests++;
	standin->stats.bytes += (long) request->received;

	request->judged = true;		/* until there is something to judge */
	if (!admit(standin, request))
		return;
	if (request->too_large)
		standin_http_answer(request, 413, "{\"message\":\"Payload Too Large\"}");
	else if (standin_read(standin, request))
	{
		request->judged = false;
		standin_mark(standin, request);
	}
	fault = standin_faults_pick(&standin->faults, request);
	if (fault != NULL)
		strike(standin, request, fault);
	else if (!request->judged)
		standin_judge(standin, request);
}

static ssize_t
stream_read(void *cls, uint64_t position, char *buffer, size_t max)
{
	Stream	   *stream = cls;
	size_t		length;

	if (position < stream->start_length)
	{
		length = stream->start_length - position;
		if (length > max)
			length = max;
		memcpy(buffer, stream->start + position, length);
		return (ssize_t) length;
	}
	if (stream->cut)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (position >= stream->total)
		return MHD_CONTENT_READER_END_OF_STREAM;
	length = max;
	if (length > stream->total - position)
		length = stream->total - position;
	memset(buffer, '0', length);
	return (ssize_t) length;
}

static void
stream_free(void *cls)
{
	Stream	   *stream = cls;

	free(stream->start);
	free(stream);
}

static struct MHD_Response *
stream_response(const Answer *answer)
{
	Stream	   *stream = standin_alloc(sizeof(Stream));
	bool		cut = answer->manner == MANNER_CUT;

	stream->start = standin_strdup(answer->body.data);
	stream->start_length = answer->body.length;
	stream->total = (uint64_t) answer->bytes;
	stream->cut = cut;
	return MHD_create_response_from_callback(cut ? 1000 : MHD_SIZE_UNKNOWN, 32768,
											 stream_read, stream, stream_free);
}

static enum MHD_Result
respond(Standin *standin, Request *request)
{
	Answer	   *answer = &request->answer;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (request->number > 0)
		standin_ledger_answer(&standin->ledger, request);
	standin_ledger_write(&standin->ledger);
	if (!is_control(request) && !request->forgotten)
		standin->stats.answers[answer->manner == MANNER_CLOSE ? 0 : answer->status]++;
	if (answer->manner == MANNER_CLOSE)
		return MHD_NO;
	if (answer->manner == MANNER_WHOLE)
		response = MHD_create_response_from_buffer(answer->body.length,
												   answer->body.data ? answer->body.data : "",
												   MHD_RESPMEM_MUST_COPY);
	else
		response = stream_response(answer);
	if (response == NULL)
		return MHD_NO;
	MHD_add_response_header(response, "Content-Type", answer->type);
	if (answer->headers != NULL)
	{
		json_object_object_foreach(answer->headers, name, value)
			MHD_add_response_header(response, name, json_object_get_string(value));
	}
	result = MHD_queue_response(request->connection, (unsigned) answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static void
keep_body(const Standin *standin, Request *request, const char *data, size_t length)
{
	request->received += length;
	if (request->received > (size_t) standin->options->max_body)
		request->too_large = true;
	if (!request->too_large)
		standin_buffer_add(&request->body, data, length);
}

static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
	   const char *version, const char *data, size_t *length, void **context)
{
	Standin    *standin = cls;
	Request    *request = *context;

	(void) version;
	if (request == NULL)
	{
		*context = request_create(standin, connection, url, method);
		return MHD_YES;
	}
	if (*length > 0)
	{
		keep_body(standin, request, data, *length);
		*length = 0;
		return MHD_YES;
	}
	if (request->state == REQUEST_ARRIVING)
		arrived(standin, request);
	if (request->state == REQUEST_HELD)
	{
		request->suspended = true;
		MHD_suspend_connection(connection);
		return MHD_YES;
	}
	return respond(standin, request);
}

static void
completed(void *cls, struct MHD_Connection *connection, void **context,
		  enum MHD_RequestTerminationCode code)
{
	Standin    *standin = cls;
	const Request *request = *context;

	(void) connection;
	if (request != NULL && request->number > 0)
		standin_ledger_end(&standin->ledger, request,
						   request->answer.manner == MANNER_WHOLE &&
						   code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	if (*context != NULL)
		request_free(standin, *context);
	*context = NULL;
}

static char *
read_file(const char *name)
{
	Buffer		content = {0};
	char		part[4096];
	size_t		length;
	FILE	   *file = fopen(name, "r");

	if (file == NULL)
	{
		perror(name);
		return NULL;
	}
	standin_buffer_puts(&content, "");
	while ((length = fread(part, 1, sizeof(part), file)) > 0)
		standin_buffer_add(&content, part, length);
	fclose(file);
	return content.data;
}

bool
standin_http_start(Standin *standin)
{
	const Options *options = standin->options;
	struct sockaddr_in address = {0};
	unsigned	flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	char	   *cert = NULL;
	char	   *key = NULL;

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t) options->port);
	if (options->tls_cert != NULL)
	{
		flags |= MHD_USE_TLS;
		cert = read_file(options->tls_cert);
		key = cert ? read_file(options->tls_key) : NULL;
		if (key == NULL)
		{
			free(cert);
			return false;
		}
	}
	/* the options that TLS needs end the list early when there is none */
	standin->daemon =
		MHD_start_daemon(flags, 0, NULL, NULL, handle, standin,
						 MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &address,
						 MHD_OPTION_NOTIFY_COMPLETED, completed, standin,
						 MHD_OPTION_NOTIFY_CONNECTION, standin_connection_notify,
						 &standin->connections,
						 MHD_OPTION_CONNECTION_LIMIT, (unsigned) MAX_CONNECTIONS,
						 MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u,
						 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) 65536,
						 cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, cert,
						 MHD_OPTION_HTTPS_MEM_KEY, key,
						 MHD_OPTION_END);
	free(cert);
	free(key);
	if (standin->daemon == NULL)
		fprintf(stderr, "braze-standin: cannot listen on 127.0.0.1:%d\n", options->port);
	return standin->daemon != NULL;
}

void
standin_http_stop(Standin *standin)
{
	/*
	 * A daemon may not be stopped while a connection is suspended, and what
	 * arrives in its last round would be by a fault.
	 */
	standin_faults_clear(&standin->faults);
	standin_release_many(standin, -1, 0, true);
	MHD_run(standin->daemon);
	MHD_stop_daemon(standin->daemon);
}

int
standin_http_port(const Standin *standin)
{
	return MHD_get_daemon_info(standin->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}
