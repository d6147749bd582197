/*-------------------------------------------------------------------------
 *
 * standin.h
 *	  What the rooms of the stand-in share: a request, its answer, the state.
 *
 * Everything runs in one thread, in the order in which requests are complete.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_H
#define STANDIN_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>
#include <microhttpd.h>

#include "buffer.h"
#include "faults.h"
#include "journal.h"
#include "ledger.h"
#include "users.h"

#define REASON_SIZE		256
#define ARRAYS_MAX		5		/* arrays of one endpoint */
#define KINDS			13

/* statuses that a test may ask for */
#define MIN_STATUS		200
#define MAX_STATUS		599

typedef struct Options
{
	int			port;
	const char *port_file;
	const char *key;			/* may do everything */
	const char *track_key;		/* may do /users/track only; NULL: no such key */
	const char *property;		/* numbers the objects, see journal.h */
	const char *ledger;			/* file name; NULL: none */
	const char *faults;			/* those there are at first: a file of JSON lines; NULL: none */
	const char *tls_cert;		/* file names; NULL: no TLS */
	const char *tls_key;
	int			max_objects;	/* of a /users/track request */
	long		max_body;
	long		log_limit;
	int			keep;			/* events per profile */
	bool		fast;
	int			delay;			/* ms, in fast mode */
} Options;

/* an array of an endpoint's request */
typedef struct Array
{
	const char *name;			/* in the request */
	const char *kind;			/* for the validator; NULL ends the list */
} Array;

typedef struct Endpoint
{
	const char *path;
	int			status;			/* of a good answer */
	const char *counter;		/* names the count in it; NULL: one per array */
	bool		one_array;
	Array		arrays[ARRAYS_MAX + 1];
} Endpoint;

/* one object of a request */
typedef struct Item
{
	const Array *array;
	int			index;
	json_object *object;		/* borrowed from Request.json */
	const char *start;			/* in Request.body */
	size_t		length;
	Identifier *who;
	Identifier *also;			/* whom it is merged with; may be NULL */
	const char *name;			/* of event or product, else NULL */
} Item;

typedef enum Manner
{
	MANNER_WHOLE,
	MANNER_CLOSE,				/* no answer: the connection ends */
	MANNER_CUT,					/* ends in the middle of the answer */
	MANNER_HUGE					/* the body is followed by zeros */
} Manner;

typedef struct Answer
{
	Manner		manner;
	int			status;
	const char *type;			/* content type, static */
	Buffer		body;
	json_object *headers;		/* name: value; may be NULL */
	long		bytes;			/* for MANNER_HUGE */
} Answer;

typedef enum RequestState
{
	REQUEST_ARRIVING,
	REQUEST_HELD,				/* until released, or until due */
	REQUEST_READY				/* the answer is decided */
} RequestState;

typedef struct Request
{
	long		number;			/* among those to Braze's endpoints; 0: control */
	struct MHD_Connection *connection;
	const Endpoint *endpoint;	/* NULL: none of Braze's */
	char	   *url;
	char	   *method;
	Buffer		body;
	size_t		received;
	bool		too_large;
	RequestState state;
	bool		suspended;
	bool		never;			/* held for good */
	const char *fault;			/* what struck it; NULL: nothing */
	bool		judged;			/* applied or lost: it is in the journal */
	bool		marked;			/* its users count it as under way */
	bool		forgotten;		/* a reset came before its answer: not counted */
	int64_t		due;			/* ms of the monotonic clock; 0: not a delay */
	json_object *json;
	Item	   *items;
	int			nitems;
	Answer		answer;
	struct Request *next;
	struct Request *previous;
} Request;

/* all that are open */
typedef struct Connections
{
	struct Connection *first;
	long		last_number;
} Connections;

typedef struct Stats
{
	long		requests;
	long		bytes;			/* of bodies */
	long		answers[MAX_STATUS + 1];	/* by status; 0: closed without one */
	long		received[KINDS];	/* objects, by kind */
	long		accepted[KINDS];
	long		refused[KINDS];
	long		lost[KINDS];
	long		with_objects;	/* requests that could be read */
	int			fewest;
	int			most;
	long		overlaps;
	int			concurrent;
	int			max_concurrent;
} Stats;

typedef struct Standin
{
	const Options *options;
	char	   *key;			/* of Options at first; control may change them */
	char	   *track_key;
	struct MHD_Daemon *daemon;
	Users		users;
	Journal		journal;
	Ledger		ledger;
	Faults		faults;
	Stats		stats;
	Connections connections;
	Request    *requests;		/* under way, control not among them */
	int			nheld;			/* without a due time */
	int			ndelayed;
	bool		resumed;		/* a connection was: MHD_run() must not wait */
	long		last_number;
} Standin;

/* endpoint.c: reading requests to Braze's endpoints */
extern const Endpoint *standin_endpoint(const char *path);
extern const char *const standin_kinds[KINDS];
extern int	standin_kind(const char *kind);
extern bool standin_read(Standin *standin, Request *request);

/* judge.c: what becomes of them */
extern void standin_judge(Standin *standin, Request *request);
extern void standin_lose(Standin *standin, Request *request);

/* http.c: connections */
extern bool standin_http_start(Standin *standin);
extern void standin_http_stop(Standin *standin);
extern int	standin_http_port(const Standin *standin);
extern const char *standin_http_key(const Request *request);
extern int64_t standin_now(void);
extern void standin_http_answer(Request *request, int status, const char *body);

/* connections.c */
extern void standin_connection_notify(void *cls, struct MHD_Connection *connection,
									  void **context,
									  enum MHD_ConnectionNotificationCode code);
extern long standin_connection_number(struct MHD_Connection *connection);
extern int	standin_disconnect(Standin *standin, struct MHD_Connection *except);

/* hold.c: requests that wait */
extern void standin_mark(Standin *standin, Request *request);
extern void standin_unmark(Request *request);
extern void standin_hold(Standin *standin, Request *request, int64_t due);
extern void standin_release(Standin *standin, Request *request);
extern int	standin_release_many(Standin *standin, int count, int status, bool close);
extern void standin_release_due(Standin *standin, int64_t *next_due);
extern void standin_drop_dead(Standin *standin);

/* control.c: the answer to a request to /_control/ */
extern void standin_control(Standin *standin, Request *request, json_object *parameters);
extern void standin_state_init(Standin *standin);
extern void standin_state_free(Standin *standin);
extern bool standin_read_faults(Standin *standin, const char *file);

/* fast.c: answers at once, reads nothing; returns the exit status */
extern int	standin_fast(const Options *options, int signal_fd);

/* says where it listens, on standard output and in the port file */
extern bool standin_announce(const Options *options, int port);

#endif							/* STANDIN_H */
