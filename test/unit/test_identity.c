/*
 * Who is who: random calls of users and their aliases, deletions among them,
 * against a model of what Braze makes of it.  What is answered is settled late,
 * requests fail, and the worker is killed and begins anew with what the table
 * has.
 *
 * link: ../../src/pack/pack.c ../../src/pack/discard.c ../../src/pack/deferred.c ../../src/pack/lane.c ../../src/pack/packed_call.c ../../src/pack/ready_list.c ../../src/pack/isolate.c
 * link: ../../src/pack/request.c ../../src/pack/request_state.c ../../src/pack/start_delay.c ../../src/pack/request_progress.c
 * link: ../../src/pack/request_outcome.c ../../src/pack/request_body.c ../../src/pack/identity_link.c ../../src/pack/gone.c ../../src/pack/attributes.c ../../src/pack/attribute_arrays.c ../../src/pack/profile_cache.c ../../src/pack/object_limit.c ../../src/braze/hash.c ../../src/braze/endpoint.c
 */
#include "tap.h"

#include <stdlib.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

#define SEEDS			1500
#define CALLS			80
#define MAX_STEPS		20000
#define MAX_OPEN		4

#define USERS			3
#define ALIASES			4
#define KEYS			(USERS + ALIASES)	/* users first */

typedef enum CallKind
{
	CALL_OF_VISITOR,			/* an event under an alias */
	CALL_OF_USER,
	CALL_OF_BOTH,				/* an event of a user, with an alias */
	CALL_ALIAS,
	CALL_DELETE,
	CALL_DELETE_BOTH,			/* a deletion that names an alias, too */
	CALL_DELETE_ALIAS			/* one of whoever has the alias */
} CallKind;

/* of twenty calls */
static const CallKind kinds[20] = {
	CALL_OF_VISITOR, CALL_OF_VISITOR, CALL_OF_VISITOR, CALL_OF_VISITOR,
	CALL_OF_VISITOR, CALL_OF_VISITOR, CALL_OF_VISITOR, CALL_DELETE_ALIAS,
	CALL_OF_BOTH, CALL_OF_BOTH, CALL_OF_BOTH, CALL_OF_BOTH, CALL_OF_BOTH,
	CALL_OF_BOTH, CALL_OF_USER, CALL_OF_USER, CALL_ALIAS, CALL_ALIAS,
	CALL_DELETE, CALL_DELETE_BOTH
};

typedef struct QueuedCall
{
	CallKind	kind;
	int			user;
	int			alias;
	bool		begun;			/* Braze may have something of it, or it was
								 * done with nothing */
	bool		again;			/* and it was in a second request */
	bool		gone;			/* or settled: it is not in the queue */
} QueuedCall;

/* what is in memory of a user or an alias, and the row in the table */
typedef struct Kept
{
	char		key[80];
	BrazeProfile *profile;		/* NULL: not in memory */
	int			pins;
	bool		sent;
	bool		has_alias;
	char		owner[80];		/* empty: none */
} Kept;

static QueuedCall queue[CALLS + 1];
static int	queued;
static Kept kept[KEYS];

static BrazePack *pack;
static BrazePackLimits limits;
static int64_t now;
static BrazeRequest *open_requests[MAX_OPEN];
static int	nopen;
static const BrazeCall *done_calls[CALLS];	/* not settled */
static int	ndone;
static bool killed;				/* what is released now was in memory only */
static bool in_doubt;			/* nobody knows any more what Braze has */
static const char *broken;

static bool
one_in(int sides)
{
	return random() % sides == 0;
}

/* ----- Braze ----- */

#define UNKNOWN		(-1)
#define VISITOR		(-2)

static bool is_known[USERS];
static int	whose[ALIASES];		/* a user, or one of these */

static bool
has_an_alias(int user)
{
	for (int i = 0; i < ALIASES; i++)
	{
		if (whose[i] == user)
			return true;
	}
	return false;
}

/* of an alias that Braze does not know, or of a second one, it makes nothing */
static void
identify(int user, int alias)
{
	if (whose[alias] >= 0 && whose[alias] != user)
		broken = "somebody else's alias is identified";
	if (whose[alias] != VISITOR || has_an_alias(user))
		return;
	whose[alias] = user;
	is_known[user] = true;
}

/* nor of a merge into a user whom it does not know */
static void
merge(int user, int alias)
{
	if (whose[alias] >= 0 && whose[alias] != user)
		broken = "somebody else's profile is merged";
	if (whose[alias] == VISITOR && is_known[user])
		whose[alias] = UNKNOWN;
}

static void
delete_user(int user)
{
	is_known[user] = false;
	for (int i = 0; i < ALIASES; i++)
	{
		if (whose[i] == user)
			whose[i] = UNKNOWN;
	}
}

/* and with an alias whoever has it */
static void
delete_alias(int alias)
{
	if (whose[alias] >= 0)
		delete_user(whose[alias]);
	whose[alias] = UNKNOWN;
}

/* the number that stands behind this in the object, -1: it does not */
static int
number_behind(const PackedObject *object, const char *name)
{
	const char *found = memmem(object->json, object->length, name, strlen(name));

	return found != NULL ? found[strlen(name)] - '0' : -1;
}

static void
apply_object(const PackedObject *object)
{
	int			user = number_behind(object, "\"external_id\":\"u");
	int			alias = number_behind(object, "\"alias_name\":\"a");

	switch (object->kind)
	{
		case BRAZE_EVENTS:
			if (user >= 0)
				is_known[user] = true;
			else if (whose[alias] == UNKNOWN)
				whose[alias] = VISITOR;
			break;
		case BRAZE_ALIASES_TO_IDENTIFY:
			identify(user, alias);
			break;
		case BRAZE_MERGE_UPDATES:
			merge(user, alias);
			break;
		case BRAZE_DELETE_EXTERNAL_IDS:
			delete_user(number_behind(object, "\"u"));
			break;
		case BRAZE_DELETE_USER_ALIASES:
			delete_alias(alias);
			break;
		default:
			broken = "an object of a kind that no call has";
	}
}

static void
apply_request(const BrazeRequest *request)
{
	for (int i = 0; i < request->norder; i++)
		apply_object(braze_object_at(request, request->order[i]));
}

/* ----- the table, and what is in memory of it ----- */

static void
write_row(Kept *one)
{
	one->sent = one->profile->sent;
	one->has_alias = one->profile->has_alias;
	snprintf(one->owner, sizeof(one->owner), "%s", one->profile->owner != NULL ? one->profile->owner : "");
	one->profile->dirty = one->profile->unsettled = false;
}

static void
drop_from_memory(Kept *one)
{
	if (one->profile == NULL)
		return;
	braze_profile_cache_free(one->profile);
	free(one->profile);
	one->profile = NULL;
	one->pins = 0;
}

static BrazeProfile *
pin_profile(Kept *one)
{
	one->pins++;
	if (one->profile != NULL)
		return one->profile;
	one->profile = calloc(1, sizeof(BrazeProfile));
	one->profile->sent = one->sent;
	one->profile->has_alias = one->has_alias;
	if (one->owner[0] != '\0')
		(void) braze_profile_cache_set_owner(one->profile, one->owner, strlen(one->owner));
	one->profile->dirty = false;
	return one->profile;
}

static Kept *
kept_of(const BrazeProfile *profile)
{
	Kept	   *one = kept;

	while (one->profile != profile)
		one++;
	return one;
}

static void
release_profile(BrazeProfile *profile)
{
	Kept	   *one = kept_of(profile);

	if (profile->dirty && profile->unsettled && !killed)
		write_row(one);
	if (--one->pins == 0 && !profile->dirty && one_in(2))
		drop_from_memory(one);
}

/* ----- calls ----- */

static bool
is_about_alias(const QueuedCall *call)
{
	return call->kind == CALL_OF_VISITOR || call->kind == CALL_DELETE_ALIAS;
}

static void
add_call(int id, bool was_there)
{
	const QueuedCall *call = &queue[id];
	Kept	   *alias = &kept[USERS + call->alias];
	Kept	   *first = is_about_alias(call) ? alias : &kept[call->user];
	char		text[200];
	BrazePackObject object = {.kind = BRAZE_EVENTS, .json = text};
	BrazePackUser users[2] = {
		{first->key, strlen(first->key), -1, pin_profile(first)},
		{alias->key, strlen(alias->key), BRAZE_ALIASES_TO_IDENTIFY, NULL}
	};
	int			nusers = 1;

	if (call->kind == CALL_OF_BOTH || call->kind == CALL_ALIAS || call->kind == CALL_DELETE_BOTH)
		users[nusers++].profile = pin_profile(alias);
	switch (call->kind)
	{
		case CALL_ALIAS:
			object.kind = BRAZE_ALIASES_TO_IDENTIFY;
			users[1].link = -1;
			snprintf(text, sizeof(text), "{%s,%s}", first->key, alias->key);
			break;
		case CALL_DELETE:
		case CALL_DELETE_BOTH:
			object.kind = BRAZE_DELETE_EXTERNAL_IDS;
			snprintf(text, sizeof(text), "\"u%d\"", call->user);
			break;
		case CALL_DELETE_ALIAS:
			object.kind = BRAZE_DELETE_USER_ALIASES;
			snprintf(text, sizeof(text), "{\"alias_name\":\"a%d\",\"alias_label\":\"l\"}", call->alias);
			break;
		default:
			snprintf(text, sizeof(text), "{%s,\"name\":\"e\"}", first->key);
	}
	object.length = strlen(text);
	if (!braze_pack_add(pack, id, (BrazeRowAddress) {.queued_at = id, .was_there = was_there}, 1, &object, nusers, users, now))
		broken = "a call is not taken";
}

static void
queue_call(CallKind kind, int user, int alias)
{
	queue[++queued] = (QueuedCall) {.kind = kind, .user = user, .alias = alias};
	add_call(queued, false);
}

static bool
is_gone(const BrazeCall *call, __attribute__((unused)) void *arg)
{
	return queue[call->id].gone;
}

static bool
comes_later(int alias, int id)
{
	for (int later = id + 1; later <= queued; later++)
	{
		if (queue[later].kind == CALL_OF_VISITOR && queue[later].alias == alias)
			return true;
	}
	return false;
}

/* what the visitor did is the user's now, or the call says why it is not */
static void
take_done(void)
{
	const BrazeCall *call;

	while ((call = braze_pack_next_done(pack)) != NULL)
	{
		QueuedCall *own = &queue[call->id];

		if ((own->kind == CALL_OF_BOTH || own->kind == CALL_ALIAS) && !call->gone &&
			!call->withheld && call->nrefused == 0 && !in_doubt &&
			whose[own->alias] == VISITOR && !comes_later(own->alias, (int) call->id))
			broken = "a visitor was not joined";
		own->begun = true;
		done_calls[ndone++] = call;
	}
}

/* ----- what a settle writes ----- */

/* as settle_order.c: not before an earlier call of one of its users */
static bool
may_be_settled(int place)
{
	uint64_t	users[BRAZE_PACK_USERS];
	uint64_t	others[BRAZE_PACK_USERS];
	int			nusers = braze_pack_users_of(done_calls[place], users);

	for (int earlier = 0; earlier < place; earlier++)
	{
		int			nothers = braze_pack_users_of(done_calls[earlier], others);

		for (int i = 0; i < nusers * nothers; i++)
		{
			if (users[i / nothers] == others[i % nothers])
				return false;
		}
	}
	return true;
}

/* as braze_profiles_table_take_from() */
static void
take_from(const Kept *deleted)
{
	for (int i = USERS; i < KEYS; i++)
	{
		if (strcmp(kept[i].owner, deleted->key) != 0)
			continue;
		(void) pin_profile(&kept[i]);
		if (braze_profile_cache_is_owner(kept[i].profile, deleted->key, strlen(deleted->key)))
			braze_profile_cache_take_back(kept[i].profile);
		write_row(&kept[i]);
		release_profile(kept[i].profile);
	}
}

/* as braze_profiles_table_delete_owner() */
static void
delete_owner(const char *owner, int length)
{
	Kept	   *one = kept;

	while (strlen(one->key) != (size_t) length || memcmp(one->key, owner, length) != 0)
		one++;
	braze_profile_cache_clear(pin_profile(one));
	write_row(one);
	take_from(one);
	release_profile(one->profile);
}

static void
settle_call(int place)
{
	const BrazeCall *call = done_calls[place];

	if (call->deleted && !is_about_alias(&queue[call->id]))
		take_from(&kept[queue[call->id].user]);
	if (call->owner != NULL)
		delete_owner(call->owner, call->owner_length);
	for (int i = 0; i < call->nprofiles; i++)
	{
		if (call->profiles[i]->dirty)
			write_row(kept_of(call->profiles[i]));
	}
	queue[call->id].gone = true;
	memmove(&done_calls[place], &done_calls[place + 1], sizeof(done_calls[0]) * (--ndone - place));
	braze_pack_free_call(pack, call);
}

static void
settle_one(void)
{
	int			place = random() % ndone;

	if (may_be_settled(place))
		settle_call(place);
}

/* ----- what may happen ----- */

static void
start_requests(void)
{
	BrazeGates	gates;
	BrazeRequest *request;
	int64_t		wait;

	memset(&gates, true, sizeof(gates));
	gates.one_call = one_in(5);
	while ((request = braze_request_next(pack, &gates, now, &wait)) != NULL)
	{
		open_requests[nopen++] = request;
		for (int i = 0; i < request->ncalls; i++)
		{
			QueuedCall *call = &queue[request->calls[i]->pub.id];

			call->again = call->begun;
			call->begun = true;
		}
	}
}

/* what Braze has accepted before it accepts again */
static bool
may_be_refused(const BrazeRequest *request)
{
	for (int i = 0; i < request->ncalls; i++)
	{
		if (queue[request->calls[i]->pub.id].again)
			return false;
	}
	return request->endpoint == BRAZE_USERS_TRACK;
}

/*
 * A request that failed may have been applied all the same.  Of a deletion
 * nobody knows then whether what came under an alias of the user was before it.
 */
static void
answer_request(int place, int status)
{
	BrazeRequest *request = open_requests[place];
	BrazeAnswer answer = {.reason = "no"};

	if (place >= nopen)
		return;
	answer.verdict = status == 201 ? BRAZE_ACCEPTED : status == 503 ? BRAZE_FAILED : BRAZE_REFUSED_WHOLE;
	answer.in_doubt = (status == 503);
	if (status == 201 || (status == 503 && one_in(2)))
		apply_request(request);
	if (status == 503 && request->endpoint == BRAZE_USERS_DELETE)
		in_doubt = true;
	if (braze_request_outcome_apply(pack, request, &answer, status, now) != BRAZE_NEXT_SEND)
		open_requests[place] = open_requests[--nopen];
	take_done();
}

static void
answer_one(void)
{
	int			place = random() % nopen;

	if (one_in(5))
		answer_request(place, 503);
	else if (one_in(10) && may_be_refused(open_requests[place]))
		answer_request(place, 400);
	else
		answer_request(place, 201);
}

/* of what is in doubt, too, nobody learns after a crash what Braze has of it */
static void
take_one_out(void)
{
	QueuedCall *call = &queue[1 + random() % queued];

	if (call->begun)
		return;
	call->gone = true;
	braze_discard_mark_gone(pack, is_gone, NULL);
	braze_discard_drop_gone(pack);
}

/*
 * Of two users who had one alias at once, the first may be found to have it
 * when their calls are sent a second time.  The pack promises no more than that
 * nobody has it before a deletion that names it is settled.
 */
static bool
shares_alias(void)
{
	for (int one = 1; one <= queued; one++)
	{
		for (int later = one + 1; later <= queued; later++)
		{
			if (queue[one].begun && !queue[one].gone && queue[one].kind < CALL_DELETE &&
				queue[later].begun && !queue[later].gone &&
				queue[one].alias == queue[later].alias && queue[one].user != queue[later].user)
				return true;
		}
	}
	return false;
}

/*
 * What is under way arrives or not, and the table is all that is left.  What
 * Braze may have is sent again, after what was later: it may find others
 * joined.
 */
static void
kill_worker(void)
{
	for (int id = 1; id <= queued; id++)
		in_doubt = in_doubt || (queue[id].begun && !queue[id].gone);
	while (nopen > 0)
	{
		nopen--;
		if (one_in(2))
			apply_request(open_requests[nopen]);
	}
	killed = true;
	braze_pack_destroy(pack);
	killed = false;
	ndone = 0;
	for (int i = 0; i < KEYS; i++)
		drop_from_memory(&kept[i]);
}

static void
begin_worker(void)
{
	pack = braze_pack_create(&limits);
	for (int id = 1; id <= queued; id++)
	{
		if (!queue[id].gone)
			add_call(id, true);
	}
}

static void
reload_deferred(void)
{
	int64_t		id;

	while ((id = braze_deferred_wanted(pack)) != 0)
	{
		if (queue[id].gone)
			braze_deferred_done(pack);
		else
			add_call((int) id, false);
	}
}

static void
take_step(void)
{
	now += random() % 6;
	if (queued < CALLS && one_in(2))
		queue_call(kinds[random() % 20], random() % USERS, random() % ALIASES);
	reload_deferred();
	start_requests();
	take_done();
	if (nopen > 0 && !one_in(3))
		answer_one();
	if (ndone > 0 && one_in(2))
		settle_one();
	if (queued > 0 && one_in(60))
		take_one_out();
	take_done();
	if (one_in(20) && !shares_alias())
	{
		kill_worker();
		begin_worker();
	}
}

static bool
is_over(void)
{
	for (int id = 1; id <= queued; id++)
	{
		if (!queue[id].gone)
			return false;
	}
	return queued == CALLS && nopen == 0 && ndone == 0;
}

static void
begin_anew(void)
{
	broken = NULL;
	queued = nopen = ndone = 0;
	in_doubt = false;
	now = 1000;
	memset(is_known, 0, sizeof(is_known));
	memset(kept, 0, sizeof(kept));
	for (int i = 0; i < USERS; i++)
		snprintf(kept[i].key, sizeof(kept[i].key), "\"external_id\":\"u%d\"", i);
	for (int i = 0; i < ALIASES; i++)
	{
		whose[i] = UNKNOWN;
		snprintf(kept[USERS + i].key, sizeof(kept[0].key), "\"user_alias\":{\"alias_name\":\"a%d\",\"alias_label\":\"l\"}", i);
	}
	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = MAX_OPEN,
		.max_waiting = 600, .release = release_profile};
}

static const char *
simulate(unsigned seed)
{
	int			steps = 0;

	srandom(seed);
	begin_anew();
	limits.max_delay = 5;
	limits.max_waiting = one_in(2) ? 600 : 3;
	limits.identity_delay = one_in(2) ? 20 : 0;
	begin_worker();
	while (broken == NULL && !is_over())
	{
		take_step();
		if (++steps > MAX_STEPS)
			broken = "calls wait for ever";
	}
	kill_worker();
	return broken;
}

/* ----- one deletion ----- */

/* how many requests are to be sent now */
static int
count_started(void)
{
	start_requests();
	return nopen;
}

static void
test_barrier(void)
{
	begin_anew();
	begin_worker();
	queue_call(CALL_OF_VISITOR, 0, 0);
	is_int(count_started(), 1, "a visitor");
	answer_request(0, 201);
	queue_call(CALL_OF_BOTH, 0, 0);
	is_int(count_started(), 1, "who logs in");
	answer_request(0, 201);
	is_int(count_started(), 1, "after they were joined");
	answer_request(0, 201);
	while (ndone > 0)
		settle_call(0);

	queue_call(CALL_DELETE, 0, 0);
	queue_call(CALL_OF_BOTH, 0, 0);
	is_int(count_started(), 1, "a deletion starts, and what is later waits");
	answer_request(0, 400);
	is_int(count_started(), 1, "until it is refused");
	answer_request(0, 201);
	while (ndone > 0)
		settle_call(0);

	queue_call(CALL_DELETE, 0, 0);
	is_int(count_started(), 1, "a second one");
	answer_request(0, 201);
	ok(ndone == 1 && done_calls[0]->deleted, "is accepted");
	queue_call(CALL_OF_BOTH, 0, 1);
	queue_call(CALL_OF_VISITOR, 0, 0);
	is_int(count_started(), 1, "what is later waits until it is settled");
	answer_request(0, 201);
	queue_call(CALL_OF_BOTH, 1, 2);
	is_int(count_started(), 1, "others do not");
	answer_request(0, 201);
	is_int(count_started(), 0, "nor does their answer change that");
	settle_call(0);
	is_int(count_started(), 1, "then it goes");
	answer_request(0, 201);
	while (ndone > 0)
		settle_call(0);
	queue_call(CALL_OF_BOTH, 1, 0);
	is_int(count_started(), 1, "what came under an alias of the deleted user");
	ok(open_requests[0]->endpoint == BRAZE_USERS_IDENTIFY, "is another user's, whom it is joined with");
	answer_request(0, 201);

	queue_call(CALL_DELETE_BOTH, 2, 3);
	queue_call(CALL_OF_BOTH, 1, 3);
	(void) count_started();
	while (nopen > 0)
		answer_request(0, 201);
	is_int(count_started(), 0, "an alias that a deletion names waits as well");
	ok(broken == NULL, "nobody has somebody else's alias");

	/* with an unsettled deletion, behind which calls wait */
	kill_worker();
}

static void
answer_and_settle(void)
{
	while (nopen > 0)
		answer_request(0, 201);
	while (ndone > 0)
		settle_call(0);
}

/* by an alias that was joined with them */
static void
test_owner(void)
{
	begin_anew();
	begin_worker();
	queue_call(CALL_OF_VISITOR, 0, 0);
	queue_call(CALL_OF_BOTH, 0, 0);
	queue_call(CALL_DELETE_ALIAS, 0, 0);
	for (int i = 0; i < 2; i++)
	{
		(void) count_started();
		answer_and_settle();
	}
	is_int(count_started(), 1, "a visitor logs in");
	queue_call(CALL_OF_USER, 0, 0);
	answer_and_settle();
	ok(kept[0].has_alias, "and has an alias");
	is_int(count_started(), 1, "the deletion goes first, and alone");
	is_int(open_requests[0]->endpoint, BRAZE_USERS_DELETE, "to where users are deleted");
	answer_request(0, 503);
	is_int(count_started(), 1, "it fails, and goes again");
	is_int(open_requests[0]->endpoint, BRAZE_USERS_DELETE, "before what came later of the user");
	answer_request(0, 201);
	is_int(count_started(), 0, "which waits until it is settled");
	settle_call(0);
	ok(!kept[0].sent && !kept[0].has_alias && kept[USERS].owner[0] == '\0', "of them nothing is remembered");
	is_int(count_started(), 1, "then it goes");
	answer_and_settle();

	queue_call(CALL_OF_VISITOR, 0, 1);
	(void) count_started();
	answer_and_settle();
	queue_call(CALL_OF_BOTH, 0, 1);
	is_int(count_started(), 1, "the next visitor");
	is_int(open_requests[0]->endpoint, BRAZE_USERS_IDENTIFY, "is joined with the user, who has no alias any more");
	answer_and_settle();
	(void) count_started();
	answer_and_settle();

	/* of one that was merged Braze has nothing any more */
	queue_call(CALL_OF_VISITOR, 0, 2);
	(void) count_started();
	answer_and_settle();
	queue_call(CALL_OF_BOTH, 0, 2);
	for (int i = 0; i < 2; i++)
	{
		(void) count_started();
		answer_and_settle();
	}
	queue_call(CALL_DELETE_ALIAS, 0, 2);
	(void) count_started();
	answer_and_settle();
	ok(is_known[0] && kept[0].has_alias && kept[USERS + 1].owner[0] != '\0', "by an alias that was merged the user is not deleted");
	ok(broken == NULL, "nobody has somebody else's alias");
	kill_worker();
}

int
main(void)
{
	const char *first = NULL;

	test_barrier();
	test_owner();
	for (unsigned seed = 1; seed <= SEEDS && first == NULL; seed++)
	{
		first = simulate(seed);
		if (first != NULL)
			printf("# seed %u: %s\n", seed, first);
	}
	ok(first == NULL, "each visitor is joined with their user, and with nobody else");
	return done();
}
