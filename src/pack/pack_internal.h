/*-------------------------------------------------------------------------
 *
 * pack_internal.h
 *	  What the files of the pack share: its structs, and what each file offers
 *	  to the others, from the lowest file up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_PACK_INTERNAL_H
#define BRAZE_PACK_INTERNAL_H

#include <time.h>

#include "braze/plain_assert.h"
#include "pack/pack.h"

/* memory of a call is asked for so many calls before it is needed */
#define CALLS_AHEAD		6

typedef struct PackedCall PackedCall;
typedef struct Lane Lane;
typedef struct Deferred Deferred;

typedef enum ObjectState
{
	OBJECT_PENDING,
	OBJECT_UNFOLD,				/* pending, and to be sent on its own */
	OBJECT_ACCEPTED,			/* or needs no sending */
	OBJECT_REFUSED,
	OBJECT_EXCLUDED				/* pending, but not in this request */
} ObjectState;

typedef struct PackedObject
{
	const char *json;
	uint32_t	length;
	int			number;
	int			fold_next;		/* position of the next one in this text, -1 */
	uint8_t		kind;
	uint8_t		state;
	bool		alone;			/* attributes that no others may join */
	bool		unfolded;		/* Braze refused it folded */
	bool		folded;			/* sent in the text of an earlier one */
	bool		delivered;		/* Braze has accepted what was sent of it */

	/*
	 * For tally.c.  A name begins within 65,535 bytes, since only the
	 * identifier and the app_id come before it.  Data points beyond that many
	 * are not counted.
	 */
	union
	{
		struct
		{
			uint16_t	points; /* what all of it costs */
			uint16_t	sent;	/* what was sent of it and of what is folded
								 * into it, */
			uint16_t	saved;	/* and what was not, since Braze has it */
		}			attributes;
		struct
		{
			uint16_t	start;
			uint16_t	length; /* 0: no name */
		}			name;
	};
} PackedObject;

typedef enum CallState
{
	CALL_WAITING,				/* in its lanes */
	CALL_TAKEN,					/* in a request */
	CALL_DONE
} CallState;

/*
 * Calls that failed in one request, and so are tried again in one, without
 * company: if one of them is the cause, no others suffer.
 */
typedef struct Suspicion
{
	uint64_t	group;			/* the same for all of them, 0: it has not
								 * failed */
	int			failures;		/* in a row, of a call that stands alone, */
	int			faults;			/* those with a status of 5xx among them */
	int64_t		since;			/* when a call that stands alone failed first */
	uint64_t	successes;		/* the endpoint's, at the last failure */
} Suspicion;

/* what a call has of one of its users; most have one user */
typedef struct CallUser
{
	Lane	   *lane;			/* until it is done; of a deletion as long as
								 * the call lives */
	union
	{
		PackedCall *next_in_lane;
		uint64_t	hash;		/* its lane's, once it is done */
	};
	BrazeProfile *profile;		/* as long as the call lives; may be NULL */
	char	   *link_text;		/* malloc'd */
	int			link;			/* see BrazePackUser */
}			CallUser;

struct PackedCall
{
	BrazeCall	pub;			/* first: the caller holds a pointer to it */
	CallState	state;
	int			nlinks;			/* objects[] begins with this many identity
								 * objects, for lanes[1] and on; decided when
								 * the call is ready to start */
	bool		links_decided;
	bool		started;		/* something of it was in a request */
	bool		given_up;
	bool		excluded;		/* of the request that it is in */
	int			next_object;	/* all before it are answered */
	int			taken;			/* objects from there on that a request has */
	Suspicion	suspicion;
	int			nlanes;
	int			nusers;
	uint64_t	arrival;		/* the order of all lanes */
	PackedCall *next;			/* in the ready list, or in the done list */
	bool		ready;
	int64_t		ready_since;	/* or done since; 0: when it was added */
	int			ready_weight;	/* what it adds to the list's objects */
	BrazeRefusal *last_refusal;
	PackedCall *all_prev;		/* every call of the pack */
	PackedCall *all_next;
	size_t		size;			/* as accounted */
	PackedObject *objects;		/* behind the users, in the same memory */
	CallUser	users[];
};

/*
 * The calls of one user that wait, and whether a request holds earlier ones.
 * What is needed to find it stands next to its key.
 */
struct Lane
{
	uint64_t	fold_mark;		/* the body last written, */
	int			fold_last;		/* and the last attributes of this user in it */
	int64_t		not_before;		/* Braze is still at work on who this is */
	int64_t		delay_key;		/* its place in the heap of those that are
								 * delayed */
	Lane	   *delay_child;
	Lane	   *delay_next;		/* another child of the same lane */
	BrazeRequest *busy;			/* the request that holds calls of this user */
	int			taken_calls;	/* how many it holds */
	int			last_kind;		/* the highest kind it holds of this user */
	bool		closed;			/* nothing of this user may join it any more */
	bool		has_attributes; /* it holds attributes of this user */
	bool		has_alone;		/* and they are to stay alone */
	int			deletions;		/* that name this user, accepted and not
								 * settled */
	int			waiting_objects;
	PackedCall *head;
	PackedCall *tail;
	Deferred   *deferred;		/* calls that come after those that wait, or
								 * NULL */
	Lane	   *next_in_bucket;
	uint64_t	hash;
	int			calls;			/* that are about this user and not done */
	int			key_length;
	char		key[];
};

typedef struct CallList
{
	PackedCall *head;
	PackedCall *tail;
} CallList;

/* calls that could start at once, first come first served */
typedef struct ReadyList
{
	CallList	calls;
	int64_t		objects;		/* theirs and those behind them in their lanes */
} ReadyList;

/*
 * Halving 225 objects goes 8 deep, and each level leaves one half behind;
 * unfolding makes a range of each object.
 */
#define MAX_RANGES		(BRAZE_PACK_MAX_OBJECTS + 16)

/* one object of the request */
typedef struct ObjectRef
{
	PackedCall *call;
	int			object;			/* index into the call's objects */
} ObjectRef;

typedef struct Range
{
	int			low;
	int			high;			/* exclusive */
} Range;

struct BrazeRequest
{
	BrazeRequest *prev;			/* all of the pack's */
	BrazeRequest *next;
	BrazeRequest *next_postponed;
	BrazeEndpoint endpoint;
	bool		is_divided;		/* it was refused as a whole */
	bool		has_refusal;	/* so that it does not show what is too much */
	int			largest_part;	/* objects of what was accepted at once */
	bool		has_gone;		/* one of its calls is gone */
	bool		has_excluded;	/* or excluded */
	int			ncalls;
	int			nobjects;
	size_t		bytes;			/* of the objects' text, commas included */
	PackedCall *calls[BRAZE_PACK_MAX_OBJECTS];
	ObjectRef	objects[BRAZE_PACK_MAX_OBJECTS];

	/* the last range is the one under way, those before it come after it */
	Range		ranges[MAX_RANGES];
	int			nranges;

	/* what was written: its objects in the order of the body */
	BrazeSent	sent;
	int			first_of_kind[BRAZE_KINDS];
	int			order[BRAZE_PACK_MAX_OBJECTS];
	int			norder;
	char	   *body;
	size_t		body_length;
};

/* what answers say of the objects that a request may have */
typedef struct ObjectLimit
{
	int			size;			/* 0: nothing was learned */
	int64_t		larger_at;		/* when a larger request is tried */
	bool		trying;			/* the one being filled is */
	int			requests;		/* in a row that were too large, the objects
								 * of */
	int			largest_part;	/* the largest part that passed, */
	int64_t		judged_at;		/* and when the last of them was judged */
	const BrazeRequest *examined;	/* the first that was divided, NULL: none */
	bool		other_cause;	/* the last one was refused for something else */
} ObjectLimit;

struct BrazePack
{
	BrazePackLimits limits;
	ObjectLimit object_limit;
	ReadyList	ready[BRAZE_ENDPOINTS];
	ReadyList	again[BRAZE_ENDPOINTS]; /* ready, and failed before */
	bool		again_first;	/* whose turn it is */
	uint64_t	arrivals;		/* of calls, so far */
	uint64_t	groups;			/* of calls that failed, so far */
	uint64_t	successes[BRAZE_ENDPOINTS]; /* requests that Braze has judged */
	bool		down[BRAZE_ENDPOINTS];	/* the last one failed, and by no
										 * fault of its own */
	CallList	done;
	PackedCall *all;
	int			ncalls;
	size_t		memory;
	int			open_requests;	/* postponed ones too */
	int			finished;		/* requests that are over */
	bool		stranded;		/* see braze_gone_has_stranded */
	bool		one_call;		/* of the gates under way */
	BrazeRequest *requests;		/* all of them */
	BrazeRequest *postponed_head;	/* those postponed, oldest first */
	BrazeRequest *postponed_tail;
	Lane	   *delayed;		/* those with a not_before: a pairing heap */
	Deferred   *deferred;		/* of all lanes that have any */
	Deferred   *candidates;		/* those whose first call may be wanted */
	Deferred   *last_candidate;
	uint64_t	fold_mark;
	int64_t		unchanged;
	BrazeAttributes fields;		/* scratch */
	BrazeAttributes more_fields;
	Lane	  **buckets;
	size_t		nbuckets;		/* a power of two */
	size_t		nlanes;
};

static inline uint32_t
current_hour_of(const BrazePack *pack)
{
	return pack->limits.hour != NULL ? pack->limits.hour() : (uint32_t) (time(NULL) / 3600);
}

/* lane.c */
extern bool braze_lane_grow(BrazePack *pack);

/* also asks for the memory where braze_lane_for looks first */
extern uint64_t braze_lane_hash(const BrazePack *pack, const BrazePackUser *user);
extern Lane *braze_lane_for(BrazePack *pack, const BrazePackUser *user, uint64_t hash);
extern void braze_lane_unref(BrazePack *pack, Lane *lane);
extern void braze_lane_bar(Lane *lane);
extern void braze_lane_unbar(BrazePack *pack, Lane *lane);
extern bool braze_lane_is_barred(const BrazePack *pack, const char *key, size_t length);
extern PackedCall **braze_lane_link(PackedCall *call, const Lane *lane);
extern int	braze_lane_remaining_objects(const PackedCall *call);
extern void braze_lane_append(Lane *lane, PackedCall *call);
extern void braze_lane_prepend(Lane *lane, PackedCall *call);
extern void braze_lane_insert(Lane *lane, PackedCall *call);
extern void braze_lane_pop(Lane *lane);
extern void braze_lane_delay(BrazePack *pack, Lane *lane, int64_t until);
extern void braze_lane_enter_delayed(BrazePack *pack, Lane *lane);
extern Lane *braze_lane_pop_delayed(BrazePack *pack);

/* deferred.c */

/*
 * does too much wait in one of the call's lanes, or are calls deferred there?
 */
extern bool braze_deferred_must(const BrazePack *pack, const PackedCall *call);
extern bool braze_deferred_add(BrazePack *pack, const PackedCall *call);

/* fewer calls wait in this lane than before */
extern void braze_deferred_lane_has_room(BrazePack *pack, Lane *lane);

/* other limits: any lane may have room */
extern void braze_deferred_may_go(BrazePack *pack);

/*
 * is this the call that braze_deferred_wanted names, and about the same users?
 */
extern bool braze_deferred_is_wanted(const BrazePack *pack, int64_t id);
extern bool braze_deferred_is_like(const BrazePack *pack, const PackedCall *call);

/* returns the lowest id, 0 when there was none */
extern int64_t braze_deferred_drop(BrazePack *pack);

/* how many, and which if held is not NULL; calls about two users come twice */
extern int	braze_deferred_list(const BrazePack *pack, BrazeHeld *held);

/* identity_link.c */
extern void braze_identity_link_decide(BrazePack *pack, PackedCall *call);
extern bool braze_identity_link_add_owner(BrazePack *pack, PackedCall *call);
extern bool braze_identity_link_is_withheld(const PackedCall *call, const PackedObject *object);
extern bool braze_identity_link_accepted(BrazePack *pack, PackedCall *call, int object);
extern void braze_identity_link_refused(PackedCall *call, int object);
extern void braze_identity_link_given_up(PackedCall *call);
extern void braze_identity_link_in_doubt(PackedCall *call, int object);

/* packed_call.c */
extern void braze_packed_call_append(CallList *list, PackedCall *call);
extern PackedCall *braze_packed_call_pop(CallList *list);
extern PackedCall *braze_packed_call_create(int nusers, int nlinks, int nobjects,
											const BrazePackObject *objects, size_t *size);
extern void braze_packed_call_enter(BrazePack *pack, PackedCall *call, size_t size);
extern void braze_packed_call_release_profiles(BrazePack *pack, PackedCall *call);
extern void braze_packed_call_discard(BrazePack *pack, PackedCall *call);
extern void braze_packed_call_free(BrazePack *pack, PackedCall *call);
extern void braze_packed_call_done(BrazePack *pack, PackedCall *call, int64_t now);
extern BrazeEndpoint braze_packed_call_endpoint(const PackedCall *call);
extern bool braze_packed_call_add_refusal(BrazePack *pack, PackedCall *call, int number,
										  int http_status, bool in_doubt,
										  const char *reason);

/* ready_list.c */
extern void braze_ready_list_enter(BrazePack *pack, PackedCall *call, int64_t now);
extern void braze_ready_list_add_weight(BrazePack *pack, PackedCall *call, int nobjects);
extern PackedCall *braze_ready_list_pop(ReadyList *list);
extern void braze_ready_list_take(BrazePack *pack, PackedCall *call, BrazeRequest *request,
								  int nobjects);
extern void braze_ready_list_return_to_lane(PackedCall *call);
extern void braze_ready_list_release_lanes(BrazePack *pack, PackedCall **calls,
										   int ncalls, int64_t now);
extern void braze_ready_list_end_delays(BrazePack *pack, int64_t now, int64_t *wait);

/* gone.c */
extern void braze_gone_exclude_all(BrazeRequest *request);
extern void braze_gone_include_again(BrazePack *pack, BrazeRequest *request, int64_t now);
extern bool braze_gone_doubt(BrazePack *pack, BrazeRequest *request,
							 const BrazeAnswer *answer, int http_status);

/* object_limit.c */
extern int	braze_object_limit_max(const BrazePack *pack, BrazeEndpoint endpoint);
extern void braze_object_limit_begin(BrazePack *pack, const ReadyList *list, int64_t now);
extern void braze_object_limit_filled(BrazePack *pack, const BrazeRequest *request, int64_t now);
extern bool braze_object_limit_holds(const BrazePack *pack, int64_t now, int64_t *wait);
extern bool braze_object_limit_answered(BrazePack *pack, BrazeRequest *request,
										const BrazeAnswer *answer, int http_status);
extern void braze_object_limit_judged(BrazePack *pack, const BrazeRequest *request, int64_t now);

/* request_state.c */

/* how many of these objects are neither accepted nor refused nor excluded */
extern int	braze_request_state_pending(const BrazeRequest *request, Range range);
extern BrazeRequest *braze_request_state_create(BrazePack *pack, BrazeEndpoint endpoint);
extern void braze_request_state_free(BrazePack *pack, BrazeRequest *request);
extern bool braze_request_state_refuse(BrazePack *pack, BrazeRequest *request, int position,
									   int http_status, const char *reason);

/* isolate.c */
extern bool braze_isolate_fail(BrazePack *pack, BrazeRequest *request,
							   const BrazeAnswer *answer, int http_status,
							   int64_t now);

/* request_body.c */

/* every array's name, quotes, brackets and comma fit in this */
#define BRAZE_BODY_OVERHEAD	256

/* its norder is 0 afterwards when nothing had to be sent after all */
extern bool braze_request_body_write(BrazePack *pack, BrazeRequest *request);

/* start_delay.c */
extern BrazeRequest *braze_start_delay_postponed(BrazePack *pack, const BrazeGates *gates);
extern bool braze_start_delay_is_due(const BrazePack *pack, BrazeEndpoint endpoint,
									 const ReadyList *list, int64_t now, int64_t *wait);

/* request_progress.c */
extern void braze_request_progress_end(BrazePack *pack, BrazeRequest *request, int64_t now);

/*
 * Asks for the memory of a call that is needed soon.  There are thousands of
 * calls between two looks at one, so none of it is in the processor's caches,
 * and waiting for it costs more than what is done with it.
 */
static inline void
braze_packed_call_prefetch(const PackedCall *call)
{
	const char *begin = (const char *) call;

	/* of most calls, the one user and the one object are behind it */
	for (size_t i = 0; i < sizeof(PackedCall) + sizeof(CallUser) + sizeof(PackedObject); i += 64)
		__builtin_prefetch(begin + i);
}

static inline PackedObject *
braze_object_at(const BrazeRequest *request, int position)
{
	const ObjectRef *ref = &request->objects[position];

	return &ref->call->objects[ref->object];
}

#endif							/* BRAZE_PACK_INTERNAL_H */
