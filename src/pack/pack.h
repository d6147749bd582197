/*-------------------------------------------------------------------------
 *
 * pack.h
 *	  Which calls go into which request, and when.
 *
 * Plain C; one pack per destination.  A call enters with its objects and the
 * users it is about, waits in the lane of each of them, goes into a request,
 * and comes out as done once every one of its objects was accepted or refused.
 *
 * What is promised here: a user's calls go out in the order in which they
 * were added, never in two requests at the same time, and inside a request
 * only in the order in which Braze applies its arrays.  A call about two users
 * starts when both are idle, and both wait for its answer.
 *
 * Times are milliseconds of a monotonic clock.  Functions that allocate
 * return NULL or false when memory is out, and leave the pack as it was.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PACK_H
#define BRAZE_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "braze/answer.h"
#include "braze/endpoint.h"
#include "braze/limits.h"
#include "pack/profile_cache.h"

typedef struct BrazePackLimits
{
	int			max_objects;	/* in one request to /users/track */
	size_t		max_body;		/* bytes of one request's body */
	int			max_open_requests;	/* requests */
	int			max_waiting;	/* objects held of one user that no request
								 * has */
	int64_t		max_delay;		/* how long a call may wait for company, ms */
	int64_t		max_retry_age;	/* how long a call that alone fails is tried,
								 * ms, 0: for ever */
	int64_t		identity_delay; /* after an identity endpoint was answered, ms */
	bool		at_most_once;	/* what Braze may have is not sent again */
	bool		changed_only;	/* leave out attributes that Braze has */
	uint32_t	resend_after;	/* hours after which it is told again, 0:
								 * never */
	uint32_t	(*hour) (void); /* the current one, since 1970; NULL: the
								 * clock's */
	void		(*release) (BrazeProfile *profile); /* a call lets go of it */
	/* a call with a letter leaves the pack */
	void		(*end_flight) (void *owner, int flight);
	void	   *owner;
} BrazePackLimits;

/* no destination may set more objects per request than this */
#define BRAZE_PACK_MAX_OBJECTS	BRAZE_LIMIT_TRACK_OBJECTS_LEGACY

/* bytes of a body: with room to spare below what Braze refuses */
#define BRAZE_PACK_MAX_BODY		((size_t) BRAZE_LIMIT_BODY / 8 * 7)

typedef struct BrazePack BrazePack;
typedef struct BrazeRequest BrazeRequest;

/* what is added */
typedef struct BrazePackObject
{
	BrazeKind	kind;
	int			number;			/* its place among the call's objects */
	const char *json;
	size_t		length;
	size_t		name;			/* where the name of the event or product is
								 * in it, */
	size_t		name_length;	/* 0: it has none */
} BrazePackObject;

/*
 * A user that the call is about.  The key is the identifier as it stands in
 * an object, such as "external_id":"u1"; equal bytes, equal user.  The first
 * user is the one the objects go to.  link says how a further one is made
 * known to Braze as the same person, if anything was sent to it: the kind of
 * the identity object, or -1.
 */
typedef struct BrazePackUser
{
	const char *key;
	size_t		length;
	int			link;
	BrazeProfile *profile;		/* the keeper's; NULL: nothing is remembered */
} BrazePackUser;

#define BRAZE_PACK_USERS		4

/* where the reader found the call; the pack only carries it */
typedef struct BrazeRowAddress
{
	uint32_t	storage;		/* the table's file */
	uint32_t	block;
	uint16_t	offset;
	bool		was_there;		/* before this process: another one may have
								 * sent it */
	int64_t		queued_at;		/* tells it from another row of the same id */
} BrazeRowAddress;

#define BRAZE_WHOLE_CALL		(-1)
#define BRAZE_LINK_ALONE		(-2)	/* two identifiers were not made one
										 * user */

typedef struct BrazeRefusal
{
	struct BrazeRefusal *next;
	int			number;			/* the refused object's place in the call, or
								 * one of these */
	int			http_status;
	bool		in_doubt;		/* Braze may have accepted it */
	char		reason[];
} BrazeRefusal;

/* a call that came out; the caller reads these and nothing else */
typedef struct BrazeCall
{
	int64_t		id;
	BrazeRowAddress row;
	int			nobjects;		/* 0: skipped, or refused as a whole */
	int			nrefused;
	BrazeRefusal *refusals;		/* in the order of their numbers */
	int			nprofiles;		/* of its users, as added; each is released
								 * once */
	BrazeProfile **profiles;
	bool		deleted;		/* Braze has deleted its first user, */
	const char *owner;			/* and this one, whose alias that was; NULL:
								 * nobody; not terminated */
	int			owner_length;
	bool		changes_owner;	/* it has told Braze attributes under an
								 * identifier of which the user is another */
	bool		withheld;		/* it names an alias that was given to
								 * somebody else */
	bool		gone;			/* it was taken out of the queue meanwhile */
	bool		judged;			/* something of it was accepted or refused */

	/* the caller's: where it is while it is in flight, see round_claim.h */
	int64_t		letter;			/* 0: in the queue */
	bool		is_retry;
	int			before;
	int			flight;
} BrazeCall;

extern BrazePack *braze_pack_create(const BrazePackLimits *limits);

/* with all that it holds */
extern void braze_pack_destroy(BrazePack *pack);

extern void braze_pack_set_limits(BrazePack *pack, const BrazePackLimits *limits);

/*
 * The objects of a request that the workspace takes, as its answers have shown;
 * 0 where max_objects is not too many.  It is reset for another workspace.
 */
extern int	braze_pack_learned_limit(const BrazePack *pack);
extern void braze_object_limit_reset(BrazePack *pack);

extern bool braze_pack_add(BrazePack *pack, int64_t id, BrazeRowAddress row,
						   int nobjects, const BrazePackObject *objects,
						   int nusers, const BrazePackUser *users,
						   int64_t now);

/*
 * Of a user with too much in the pack only the ids of further calls are kept.
 * One whose turn it is, and for which there is room, is wanted: it is to be
 * read again, and added or added as done; or it is gone, and wanted no more.
 * 0: none is.
 */
extern int64_t braze_deferred_wanted(BrazePack *pack);
extern void braze_deferred_done(BrazePack *pack);

/*
 * A call that needs no request: it comes out as done at once, skipped, or
 * refused as a whole when a reason is given.
 */
extern bool braze_pack_add_done(BrazePack *pack, int64_t id, BrazeRowAddress row,
								const char *reason);

/* objects that could start there, and those behind them in their lanes */
extern int64_t braze_pack_ready_objects(const BrazePack *pack, BrazeEndpoint endpoint);

/* bytes held, calls held (done ones too) */
extern size_t braze_pack_memory(const BrazePack *pack);
extern int	braze_pack_calls(const BrazePack *pack);

/*
 * it holds no call, nor anybody whose delay has to end: nothing is to be sent
 */
extern bool braze_pack_is_idle(const BrazePack *pack);

/* attributes that were not sent since Braze has them; counts from 0 again */
extern int64_t braze_pack_take_unchanged(BrazePack *pack);

/* which requests may start now: to this endpoint, with calls that ... */
typedef struct BrazeGates
{
	bool		fresh[BRAZE_ENDPOINTS]; /* were not tried yet */
	bool		again[BRAZE_ENDPOINTS]; /* failed before */
	bool		one_call;		/* no more than that in one */
} BrazeGates;

/*
 * The next request to send now, NULL when there is none; wait then says when
 * to ask again, in milliseconds, -1 for not before something else happens.
 * Requests that were postponed come first.
 */
extern BrazeRequest *braze_request_next(BrazePack *pack, const BrazeGates *gates,
										int64_t now, int64_t *wait);

/*
 * Nothing goes to this endpoint for a while: postponed requests are over, and
 * their calls come out as done or wait again.
 */
extern void braze_request_progress_cancel_postponed(BrazePack *pack, BrazeEndpoint endpoint, int64_t now);

/* what to send; valid until the request is answered */
extern BrazeEndpoint braze_request_state_endpoint(const BrazeRequest *request);
extern const char *braze_request_state_body(const BrazeRequest *request, size_t *length);
extern const BrazeSent *braze_request_state_sent(const BrazeRequest *request);

/* does it hold a single object that Braze has not judged? */
extern bool braze_request_state_is_lone(const BrazeRequest *request);

/* are there parts of it that go after the one under way? */
extern bool braze_request_state_has_rest(const BrazeRequest *request);

/* has all that it holds failed before? */
extern bool braze_request_state_is_again(const BrazeRequest *request);

/*
 * If this request fails, is that its own doing?  It is when it failed before,
 * and others to its endpoint have succeeded since, the last one included.
 */
extern bool braze_isolate_is_suspect(const BrazePack *pack, const BrazeRequest *request);

/* of how many calls it holds something */
extern int	braze_request_state_sent_calls(const BrazeRequest *request);

typedef enum BrazeNext
{
	BRAZE_NEXT_DONE,			/* the request is gone */
	BRAZE_NEXT_SEND,			/* a further part of it is to be sent now */
	BRAZE_NEXT_LATER,			/* the request is gone, and its calls wait
								 * again */
	BRAZE_NEXT_NO_MEMORY
} BrazeNext;

extern BrazeNext braze_request_outcome_apply(BrazePack *pack, BrazeRequest *request,
											 const BrazeAnswer *answer,
											 int http_status, int64_t now);

/* for a part that cannot be sent now: braze_request_next brings it */
extern void braze_request_state_postpone(BrazePack *pack, BrazeRequest *request);

/*
 * What is sent at most once leaves the queue before.  The calls of a request,
 * in order; is a later one about a user of an earlier one?
 */
extern int	braze_gone_ncalls(const BrazeRequest *request);
extern BrazeCall *braze_gone_call(BrazeRequest *request, int number);

/* is something of this call still to be sent, and it is in the queue? */
extern bool braze_gone_is_unclaimed(const BrazeRequest *request, int number);
extern bool braze_gone_follows(const BrazeRequest *request, int earlier, int later);

/*
 * Before anything of the request is sent: excludes a call that is gone, or
 * one that has to wait.  After that it is written anew; BRAZE_NEXT_DONE: there
 * is nothing to send, and it is gone.
 */
extern void braze_gone_exclude(BrazeRequest *request, int number, bool gone);
extern BrazeNext braze_request_progress_next(BrazePack *pack, BrazeRequest *request, int64_t now);

/*
 * Calls that were taken out of the queue, and wait again with nothing judged:
 * are there any since the last end_stranded?  previous NULL: the first.
 */
extern bool braze_gone_has_stranded(const BrazePack *pack);
extern BrazeCall *braze_gone_next_stranded(BrazePack *pack, BrazeCall *previous);
extern void braze_gone_end_stranded(BrazePack *pack);

/* a call that is done, NULL when there is no further one */
extern const BrazeCall *braze_pack_next_done(BrazePack *pack);
extern bool braze_pack_has_done(const BrazePack *pack);

/* the users of a call that is done, as hashes: equal ones are the same user */
extern int	braze_pack_users_of(const BrazeCall *call, uint64_t users[BRAZE_PACK_USERS]);
extern void braze_pack_free_call(BrazePack *pack, const BrazeCall *call);

/*
 * The lowest id of what is held and not done, and when it was queued; 0: there
 * is none.  It looks at each call.
 */
extern int64_t braze_packed_call_oldest(const BrazePack *pack, int64_t *queued_at);

/*
 * adds the objects that Braze has accepted, by kind; returns how many these are
 */
extern int	braze_packed_call_count_accepted(const BrazeCall *call, int64_t *counts);

/* for how many milliseconds it has been done */
extern int64_t braze_packed_call_done_since(const BrazeCall *call, int64_t now);

/*
 * Drops the calls of which nothing was sent yet, deferred ones too, so that
 * they can be read and added again later; returns the lowest of their ids, 0
 * when there was none.  queued_at may be NULL, and stays as it is where that
 * was not kept.
 */
extern int64_t braze_discard_drop_waiting(BrazePack *pack, int64_t *queued_at);

/* calls that are given up since nothing succeeds; wall clock in microseconds */
typedef struct BrazeGivingUp
{
	bool		endpoints[BRAZE_ENDPOINTS]; /* to which nothing does */
	int64_t		wall_clock;
	int64_t		queued_before;
	const char *reason;			/* each call's age is put in front of it */
	int			http_status;
} BrazeGivingUp;

/*
 * Those that wait for one of these endpoints come out as refused; false: not
 * all of them, since memory is out.
 */
extern bool braze_discard_give_up(BrazePack *pack, const BrazeGivingUp *why, int64_t now);

/*
 * Marks the calls that gone() knows to be gone from the queue.  A drop then
 * takes those that wait.  Nothing more is sent of the others once what is
 * under way was answered.
 */
typedef bool (*BrazeGone) (const BrazeCall *call, void *arg);

extern void braze_discard_mark_gone(BrazePack *pack, BrazeGone gone, void *arg);
extern void braze_discard_drop_gone(BrazePack *pack);

/*
 * A call that is held.  An id may be given again, when the table begins anew;
 * when a call was queued tells two of one id apart.
 */
typedef struct BrazeHeld
{
	int64_t		id;
	int64_t		queued_at;		/* BRAZE_HELD_AT_ANY_TIME: it is deferred, and
								 * its time is not kept */
} BrazeHeld;

#define BRAZE_HELD_AT_ANY_TIME	INT64_MIN

/*
 * All calls held, ascending, malloc'd; NULL when memory is out.  For reading
 * again after a drop.
 */
extern BrazeHeld *braze_discard_held(const BrazePack *pack, int *count);
extern bool braze_discard_held_contain(const BrazeHeld *held, int count,
									   int64_t id, int64_t queued_at);

#endif							/* BRAZE_PACK_H */
