/*
 * How many objects of a request a workspace takes: what is learned of it, when,
 * and how it is given up again.
 *
 * link: ../../src/pack/pack.c ../../src/pack/discard.c ../../src/pack/deferred.c ../../src/pack/lane.c ../../src/pack/packed_call.c ../../src/pack/ready_list.c ../../src/pack/isolate.c
 * link: ../../src/pack/request.c ../../src/pack/request_state.c ../../src/pack/start_delay.c ../../src/pack/request_progress.c
 * link: ../../src/pack/request_outcome.c ../../src/pack/request_body.c ../../src/pack/identity_link.c ../../src/pack/gone.c ../../src/pack/attributes.c ../../src/pack/attribute_arrays.c ../../src/pack/profile_cache.c ../../src/pack/object_limit.c ../../src/braze/hash.c ../../src/braze/endpoint.c
 */
#include "tap.h"

#include <stdlib.h>

#include "pack/pack.h"

#define HOUR	((int64_t) 3600 * 1000)

static const BrazeGates all_open = {
	{true, true, true, true}, {true, true, true, true}, false
};

static BrazePack *pack;
static int64_t now;
static int	next_id;

/* what the workspace is like */
static int	limit;
static int	bad_every;			/* each so many objects is refused, 0: none */
static bool too_large;			/* it says 413 instead of 400 */

/* what was seen */
static int	requests;
static int	refused;			/* as a whole */
static int	largest;

static void
begin(int max_objects)
{
	BrazePackLimits limits = {.max_objects = max_objects, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 1, .max_waiting = 6000};

	pack = braze_pack_create(&limits);
	now = 1000;
	next_id = 1;
	bad_every = 0;
	too_large = false;
}

static void
add_events(int count)
{
	for (; count > 0; count--, next_id++)
	{
		char		key[40];
		char		text[80];
		BrazePackObject object = {BRAZE_EVENTS, 0, text, 0, 0, 0};
		BrazePackUser owner = {key, 0, -1, NULL};

		owner.length = snprintf(key, sizeof(key), "\"external_id\":\"u%d\"", next_id);
		object.length = snprintf(text, sizeof(text), "{%s,\"%s\":1}", key,
								 bad_every > 0 && next_id % bad_every == 0 ? "bad" : "good");
		braze_pack_add(pack, next_id, (BrazeRowAddress) {0}, 1, &object, 1, &owner, now);
	}
}

/*
 * Braze refuses what is too much, else each
 * bad object, of which it names the first
 */
static BrazeNext
answer(BrazeRequest *request)
{
	int			sent = braze_request_state_sent(request)->counts[BRAZE_EVENTS];
	size_t		length;
	const char *body = braze_request_state_body(request, &length);
	const char *bad = memmem(body, length, "bad", 3);
	BrazeObjectError error = {.kind = BRAZE_EVENTS, .index = 0, .reason = "bad"};
	BrazeAnswer said = {.verdict = BRAZE_ACCEPTED};

	requests++;
	largest = sent > largest ? sent : largest;
	if (sent > limit)
	{
		refused++;
		said.verdict = BRAZE_REFUSED_WHOLE;
		return braze_request_outcome_apply(pack, request, &said, too_large ? 413 : 400, now);
	}
	if (bad != NULL)
	{
		for (const char *p = body; p < bad; p++)
			error.index += *p == '{' && p[1] == '"' && p > body;
		error.index--;
		said.nerrors = 1;
		said.errors = &error;
	}
	return braze_request_outcome_apply(pack, request, &said, 201, now);
}

/*
 * sends so many events, and all of their
 * parts; returns how many 400s there were
 */
static int
deliver(int events)
{
	int64_t		wait;
	BrazeRequest *request;
	const BrazeCall *call;

	requests = refused = largest = 0;
	add_events(events);
	while ((request = braze_request_next(pack, &all_open, now, &wait)) != NULL)
	{
		while (answer(request) == BRAZE_NEXT_SEND)
			 /* the next part */ ;
	}
	while ((call = braze_pack_next_done(pack)) != NULL)
		braze_pack_free_call(pack, call);
	is_int(braze_pack_calls(pack), 0, "all calls are done");
	return refused;
}

static void
test_learning(void)
{
	static const int limits[][2] = {{5, 5}, {50, 38}, {1, 1}, {74, 38}, {37, 37}};

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
	{
		begin(75);
		limit = limits[i][0];
		deliver(75 * 2);
		is_int(braze_pack_learned_limit(pack), 0, "two requests that were too large show nothing");
		deliver(75);
		is_int(braze_pack_learned_limit(pack), limits[i][1], "three show the largest part that passed");
		is_int(deliver(1000), 0, "then no request is too large");
		is_int(largest, limits[i][1], "and each as large as may be");
		braze_pack_destroy(pack);
	}

	begin(75);
	limit = 75;
	is_int(deliver(750), 0, "where the limit is not below ours");
	is_int(braze_pack_learned_limit(pack), 0, "nothing is learned");
	braze_pack_destroy(pack);
}

static void
test_trying(void)
{
	begin(75);
	limit = 5;
	deliver(225);
	is_int(braze_pack_learned_limit(pack), 5, "learned");
	now += HOUR - 1;
	is_int(deliver(75), 0, "for an hour nothing larger is tried");
	now += 1;
	is_int(deliver(3), 0, "then neither while there are few calls");
	ok(deliver(300) > 0, "but once there are more");
	is_int(largest, 75, "as many as the option says");
	is_int(deliver(300), 0, "one such request an hour");
	is_int(braze_pack_learned_limit(pack), 5, "which changes nothing");
	now += HOUR;
	limit = 40;
	deliver(300);
	is_int(braze_pack_learned_limit(pack), 38, "a larger part that passes is the new size at once");
	now += HOUR;
	limit = 75;
	is_int(deliver(300), 0, "a whole request that passes");
	is_int(braze_pack_learned_limit(pack), 0, "means that nothing is learned any more");
	is_int(largest, 75, "and all may be as large");
	limit = 5;
	deliver(225);
	is_int(braze_pack_learned_limit(pack), 5, "a limit that was lowered is learned as the first was");
	limit = 2;
	deliver(15);
	is_int(braze_pack_learned_limit(pack), 2, "also where a smaller one was known");
	braze_object_limit_reset(pack);
	is_int(braze_pack_learned_limit(pack), 0, "another workspace begins anew");
	braze_pack_destroy(pack);
}

static void
test_other_causes(void)
{
	begin(75);
	limit = 5;
	too_large = true;
	deliver(750);
	is_int(braze_pack_learned_limit(pack), 0, "413 is about bytes");
	braze_pack_destroy(pack);

	begin(75);
	limit = 5;
	bad_every = 75;
	deliver(750);
	is_int(braze_pack_learned_limit(pack), 0, "a request with a bad object shows nothing");
	bad_every = 0;
	deliver(150);
	is_int(braze_pack_learned_limit(pack), 0, "and ends the row");
	deliver(75);
	is_int(braze_pack_learned_limit(pack), 5, "which begins anew");
	braze_pack_destroy(pack);

	begin(75);
	limit = 5;
	deliver(150);
	limit = 75;
	deliver(60);
	limit = 5;
	deliver(75);
	is_int(braze_pack_learned_limit(pack), 0, "a large request that passes ends it as well");
	braze_pack_destroy(pack);

	begin(75);
	limit = 5;
	deliver(150);
	deliver(5);
	deliver(75);
	is_int(braze_pack_learned_limit(pack), 5, "one that is no larger than the parts does not");
	braze_pack_destroy(pack);
}

/* many at once: each was refused, but only some are halved */
static void
test_many(void)
{
	BrazePackLimits limits = {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 20, .max_waiting = 6000};
	BrazeRequest *under_way[20];
	int64_t		wait;
	int			n = 0;

	begin(75);
	braze_pack_set_limits(pack, &limits);
	limit = 5;
	requests = refused = largest = 0;
	add_events(750);
	while (n < 20 && (under_way[n] = braze_request_next(pack, &all_open, now, &wait)) != NULL)
		n++;
	is_int(n, 10, "ten requests are under way");
	is_int(answer(under_way[0]), BRAZE_NEXT_SEND, "the first is halved");
	for (int i = 1; i < n; i++)
		is_int(answer(under_way[i]), BRAZE_NEXT_LATER, "the others' calls go back");
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL, "and wait for what comes of it");
	while (answer(under_way[0]) == BRAZE_NEXT_SEND)
		 /* the next part */ ;
	is_int(refused, 9 + 15, "they are not halved");
	is_int(deliver(0), 2 * 15, "two more are");
	is_int(braze_pack_learned_limit(pack), 5, "then it is known");
	is_int(requests, 2 * 31 + 7 * 15, "and nothing else is refused");
	braze_pack_destroy(pack);

	/* where little is sent nothing is held up for long */
	begin(75);
	braze_pack_set_limits(pack, &limits);
	limit = 5;
	deliver(75);
	add_events(1);
	under_way[0] = braze_request_next(pack, &all_open, now, &wait);
	add_events(1);
	ok(under_way[0] != NULL && braze_request_next(pack, &all_open, now, &wait) == NULL, "requests go one by one");
	now += 10000;
	under_way[1] = braze_request_next(pack, &all_open, now, &wait);
	ok(under_way[1] != NULL, "for ten seconds");
	(void) answer(under_way[0]);
	(void) answer(under_way[1]);
	deliver(150);
	is_int(braze_pack_learned_limit(pack), 5, "the row goes on");
	braze_pack_destroy(pack);

	/* a bad object: the next that are refused are halved at once */
	begin(75);
	braze_pack_set_limits(pack, &limits);
	limit = 75;
	bad_every = 75;
	add_events(150);
	limit = 74;
	under_way[0] = braze_request_next(pack, &all_open, now, &wait);
	under_way[1] = braze_request_next(pack, &all_open, now, &wait);
	is_int(answer(under_way[0]), BRAZE_NEXT_SEND, "one is halved");
	limit = 75;
	while (answer(under_way[0]) == BRAZE_NEXT_SEND)
		 /* the next part */ ;
	limit = 74;
	is_int(answer(under_way[1]), BRAZE_NEXT_SEND, "something else was wrong with it: the next is halved at once");
	ok(!braze_request_state_is_again(under_way[1]), "as any is");
	braze_pack_destroy(pack);
}

int
main(void)
{
	test_learning();
	test_trying();
	test_other_causes();
	test_many();
	return done();
}
