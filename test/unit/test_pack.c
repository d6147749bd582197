/*
 * The pack: against a model of Braze with random calls, users, answers and
 * times, and one thing at a time.
 *
 * link: model.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
 * link: ../../src/pack/pack.c ../../src/pack/discard.c ../../src/pack/deferred.c ../../src/pack/lane.c ../../src/pack/packed_call.c ../../src/pack/ready_list.c ../../src/pack/isolate.c
 * link: ../../src/pack/request.c ../../src/pack/request_state.c ../../src/pack/start_delay.c ../../src/pack/request_progress.c
 * link: ../../src/pack/request_outcome.c ../../src/pack/request_body.c ../../src/pack/identity_link.c ../../src/pack/gone.c ../../src/pack/attributes.c ../../src/pack/attribute_arrays.c ../../src/pack/profile_cache.c ../../src/pack/object_limit.c ../../src/braze/hash.c ../../src/braze/endpoint.c
 */
#include "tap.h"

#include <stdlib.h>

#include "collide.h"
#include "model.h"
#include "pack/pack.h"
#include "pack/pack_internal.h"

/*
 * calls, users, % bad, objects, in flight, waiting,
 * body, remember, one failure in, % poison
 */
static const ModelShape shapes[] = {
	{3000, 50, 0, 75, 10, 600, BRAZE_PACK_MAX_BODY, false, 0, 0, false},
	{3000, 5, 2, 75, 20, 100, BRAZE_PACK_MAX_BODY, false, 0, 0, false},
	{1500, 1, 5, 75, 3, 600, BRAZE_PACK_MAX_BODY, false, 0, 0, false},
	{2000, 20, 30, 10, 5, 600, BRAZE_PACK_MAX_BODY, false, 0, 0, false},
	{2000, 30, 1, 1, 8, 4, BRAZE_PACK_MAX_BODY, false, 0, 0, false},
	{2000, 30, 3, 75, 8, 20, 1500, false, 0, 0, false},
	{1500, 20, 2, 75, 8, 600, BRAZE_PACK_MAX_BODY, true, 0, 0, false},
	{1500, 4, 10, 75, 4, 10, 2000, true, 0, 0, false},
	{1500, 15, 5, 225, 8, 5, BRAZE_PACK_MAX_BODY, true, 30, 0, false},
	{500, 50, 0, 75, 8, 600, BRAZE_PACK_MAX_BODY, false, 0, 2, false},
	{300, 20, 5, 10, 1, 3, BRAZE_PACK_MAX_BODY, false, 0, 3, false},
	{300, 30, 3, 75, 3, 8, 2000, true, 30, 2, false},
	{1500, 50, 2, 75, 8, 600, BRAZE_PACK_MAX_BODY, false, 0, 0, true},
	{1500, 5, 10, 10, 4, 10, 2000, false, 0, 0, true},
};

#define SHAPES	(sizeof(shapes) / sizeof(shapes[0]))

static const BrazeGates all_open = {
	{true, true, true, true}, {true, true, true, true}, false
};

static BrazePack *pack;
static BrazePackLimits limits;
static int64_t now;

static int
random_dice(int sides)
{
	return (int) (random() % sides);
}

static void
simulate(unsigned seed, const ModelShape *shape)
{
	const char *broken;

	srandom(seed);
	broken = model_run(shape, random_dice);
	ok(broken == NULL, "seed %u, %d calls of %d users, %d%% bad, %d%% poison, %d objects, %d requests%s%s%s%s", seed,
	   shape->calls, shape->users, shape->percent_bad, shape->percent_poison, shape->max_objects, shape->max_open_requests,
	   shape->remember ? ", remembered" : "", shape->out_of_memory > 0 ? ", memory short" : "",
	   broken != NULL ? ": broken: " : "", broken != NULL ? broken : "");
}

/* ----- one thing at a time ----- */

static void
add_events(int first, int count, int user)
{
	for (int i = first; i < first + count; i++)
	{
		char		key[40];
		char		text[80];
		BrazePackObject object = {BRAZE_EVENTS, 0, text, 0, 0, 0};
		BrazePackUser owner = {key, 0, -1, NULL};

		owner.length = snprintf(key, sizeof(key), "\"external_id\":\"u%d\"", user < 0 ? i : user);
		object.length = snprintf(text, sizeof(text), "{%s,\"c%d_0\":1}", key, i);
		braze_pack_add(pack, i, (BrazeRowAddress) {0}, 1, &object, 1, &owner, now);
	}
}

static int
objects_in(BrazeRequest *request)
{
	return request == NULL ? 0 : braze_request_state_sent(request)->counts[BRAZE_EVENTS];
}

static bool
body_has(BrazeRequest *request, const char *text)
{
	size_t		length;
	const char *body = request != NULL ? braze_request_state_body(request, &length) : NULL;

	return body != NULL && memmem(body, length, text, strlen(text)) != NULL;
}

static void
accept(BrazeRequest *request)
{
	BrazeAnswer answer = {.verdict = BRAZE_ACCEPTED};

	braze_request_outcome_apply(pack, request, &answer, 201, now);
}

static void
test_start(void)
{
	BrazeRequest *first;
	BrazeRequest *second;
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600, .max_delay = 20};
	now = 100;
	pack = braze_pack_create(&limits);
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL && wait == -1, "an empty pack waits for nothing");
	add_events(1, 1, -1);
	first = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(first), 1, "nothing is under way: a lone call goes at once");
	add_events(2, 10, -1);
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL, "something is under way: ten calls wait for company");
	is_int(wait, 20, "for max_batch_delay");
	now += 20;
	second = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(second), 10, "then they go");
	add_events(100, 80, -1);
	is_int(objects_in(braze_request_next(pack, &all_open, now, &wait)), 75, "a full request goes at once");
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL, "what is left over waits");
	accept(second);
	accept(first);
	braze_pack_destroy(pack);

	pack = braze_pack_create(&limits);
	add_events(1, 200, 7);
	first = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(first), 75, "one user's calls fill a request");
	now += 1000;
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL, "and his others wait for its answer");
	is_int(braze_discard_drop_waiting(pack, NULL), 76, "what waits can be dropped, from the lowest id on");
	is_int(braze_pack_calls(pack), 75, "what is under way stays");
	accept(first);
	while (braze_pack_next_done(pack) != NULL)
		continue;
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL, "and nothing of what was dropped is sent");
	braze_pack_destroy(pack);
}

static void
test_large_call(void)
{
	static char text[200][64];
	BrazePackObject objects[200] = {0};
	BrazePackUser user = {"\"external_id\":\"u\"", 17, -1, NULL};
	BrazeRequest *request;
	int64_t		wait;
	int			sizes[4] = {0};

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	for (int i = 0; i < 200; i++)
	{
		objects[i].kind = BRAZE_EVENTS;
		objects[i].number = i;
		objects[i].json = text[i];
		objects[i].length = snprintf(text[i], sizeof(text[i]), "{\"external_id\":\"u\",\"c1_%d\":1}", i);
	}
	braze_pack_add(pack, 1, (BrazeRowAddress) {0}, 200, objects, 1, &user, now);
	add_events(2, 1, 0);
	for (int i = 0; i < 4; i++)
	{
		request = braze_request_next(pack, &all_open, now, &wait);
		sizes[i] = objects_in(request);
		if (request != NULL)
			accept(request);
	}
	ok(sizes[0] + sizes[1] + sizes[2] + sizes[3] == 201 && sizes[0] == 75,
	   "a call of 200 objects goes in several requests, one after the other (%d %d %d %d)",
	   sizes[0], sizes[1], sizes[2], sizes[3]);
	braze_pack_destroy(pack);
}

/* ----- halving ----- */

/* refuses whole what holds a bad one; returns how many requests that took */
static int
halve(const bool *bad, int *refused, bool *right)
{
	BrazeAnswer accepted = {.verdict = BRAZE_ACCEPTED};
	BrazeAnswer whole = {.verdict = BRAZE_REFUSED_WHOLE, .reason = "bad"};
	BrazeRequest *request;
	const BrazeCall *call;
	BrazeNext	next = BRAZE_NEXT_SEND;
	int64_t		wait;
	int			requests = 0;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	add_events(1, 75, -1);
	request = braze_request_next(pack, &all_open, now, &wait);
	while (next == BRAZE_NEXT_SEND)
	{
		bool		any = false;

		for (int i = 1; i <= 75; i++)
		{
			char		mark[20];

			snprintf(mark, sizeof(mark), "\"c%d_0\"", i);
			any = any || (bad[i] && body_has(request, mark));
		}
		requests++;
		next = braze_request_outcome_apply(pack, request, any ? &whole : &accepted, any ? 400 : 201, now);
	}
	*refused = 0;
	*right = true;
	while ((call = braze_pack_next_done(pack)) != NULL)
	{
		*refused += call->nrefused;
		*right = *right && (call->nrefused > 0) == bad[call->id];
		braze_pack_free_call(pack, call);
	}
	braze_pack_destroy(pack);
	return requests;
}

static void
test_halving(void)
{
	bool		bad[76] = {false};
	int			most = 0;
	bool		all_right = true;
	bool		right;
	int			refused;
	int			requests;

	for (int i = 1; i <= 75; i++)
	{
		bad[i] = true;
		requests = halve(bad, &refused, &right);
		most = requests > most ? requests : most;
		all_right = all_right && right && refused == 1;
		bad[i] = false;
	}
	ok(all_right, "one bad object of 75, wherever it is, is the one that is refused");
	ok(most <= 15, "after %d requests at most", most);
	bad[1] = bad[38] = bad[75] = true;
	requests = halve(bad, &refused, &right);
	ok(right && refused == 3, "three of 75 are found, in %d requests", requests);
	memset(bad, true, sizeof(bad));
	requests = halve(bad, &refused, &right);
	ok(right && refused == 75 && requests == 149, "all of 75 are found, in %d requests", requests);
	memset(bad, false, sizeof(bad));
	requests = halve(bad, &refused, &right);
	ok(right && refused == 0 && requests == 1, "none is found in one");
}

/* ----- what is remembered ----- */

/* as the keeper of profiles does when nobody holds one and memory is short */
static void
release_profile(BrazeProfile *profile)
{
	braze_profile_cache_free(profile);
	free(profile);
}

static void
keep_profile(BrazeProfile *profile)
{
	(void) profile;
}

static void
add_attributes(int64_t id, const char *fields, BrazeProfile *profile)
{
	char		text[100];
	BrazePackObject object = {BRAZE_ATTRIBUTES, 0, text, 0, 0, 0};
	BrazePackUser user = {"\"external_id\":\"u\"", 17, -1, profile};

	object.length = snprintf(text, sizeof(text), "{\"external_id\":\"u\",%s}", fields);
	braze_pack_add(pack, id, (BrazeRowAddress) {0}, 1, &object, 1, &user, now);
}

static void
forget_one(void)
{
	const BrazeCall *call = braze_pack_next_done(pack);

	ok(call != NULL, "a call is done");
	braze_pack_free_call(pack, call);
}

static void
test_profiles(void)
{
	BrazeRequest *request;
	BrazeProfile *profile;
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600,
		.changed_only = true, .release = release_profile};
	pack = braze_pack_create(&limits);
	add_attributes(1, "\"plan\":\"a\"", calloc(1, sizeof(BrazeProfile)));
	request = braze_request_next(pack, &all_open, now, &wait);
	/* the options have changed: from now on nothing is remembered */
	add_attributes(2, "\"plan\":\"b\"", NULL);
	accept(request);
	forget_one();
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(body_has(request, "\"plan\":\"b\""), "a profile is not used longer than by the calls that hold it");
	accept(request);
	forget_one();
	braze_pack_destroy(pack);

	profile = calloc(1, sizeof(BrazeProfile));
	pack = braze_pack_create(&limits);
	limits.release = keep_profile;
	for (int id = 1; id <= 3; id++)
	{
		/* the second, while nothing is left out */
		limits.changed_only = (id != 2);
		braze_pack_set_limits(pack, &limits);
		add_attributes(id, id == 2 ? "\"plan\":\"b\"" : "\"plan\":\"a\"", profile);
		request = braze_request_next(pack, &all_open, now, &wait);
		ok(body_has(request, id == 2 ? "\"plan\":\"b\"" : "\"plan\":\"a\""),
		   "what was sent with changed_attributes_only off is remembered too (%d)", id);
		if (request != NULL)
			accept(request);
		forget_one();
	}
	braze_pack_destroy(pack);
	release_profile(profile);
}

static bool
is_even(const BrazeCall *call, __attribute__((unused)) void *arg)
{
	return call->id % 2 == 0;
}

/*
 * what was perhaps accepted, and is given up, leaves nothing that is relied on
 */
static void
test_attributes_given_up(void)
{
	static const char *const ends[] = {"max_retry_age is over", "it is taken out of the queue, and dropped",
	"it is taken out of the queue, and its request goes on", "it is sent at most once"};
	BrazeAnswer doubt = {.verdict = BRAZE_FAILED, .in_doubt = true};
	BrazeGivingUp why = {.queued_before = 1, .reason = "enough", .endpoints = {[BRAZE_USERS_TRACK] = true}};
	BrazeRequest *request;
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600,
		.changed_only = true, .release = keep_profile};
	for (int end = 0; end < 4; end++)
	{
		BrazeProfile profile = {0};

		limits.at_most_once = (end == 3);
		pack = braze_pack_create(&limits);
		add_attributes(1, "\"plan\":\"a\"", &profile);
		accept(braze_request_next(pack, &all_open, now, &wait));
		forget_one();
		add_attributes(2, "\"plan\":\"b\"", &profile);
		request = braze_request_next(pack, &all_open, now, &wait);
		if (end == 2)
			braze_discard_mark_gone(pack, is_even, NULL);
		braze_request_outcome_apply(pack, request, &doubt, 503, now);
		if (end == 0)
			ok(braze_discard_give_up(pack, &why, now), "it is given up");
		if (end == 1)
		{
			braze_discard_mark_gone(pack, is_even, NULL);
			braze_discard_drop_gone(pack);
		}
		if (end == 2)
			ok(braze_request_next(pack, &all_open, now, &wait) == NULL, "it is not sent again");
		if (end != 1)
			forget_one();
		add_attributes(3, "\"plan\":\"a\"", &profile);
		ok(body_has(braze_request_next(pack, &all_open, now, &wait), "\"plan\":\"a\""),
		   "the value of before is sent when a later one was in doubt and %s", ends[end]);
		braze_pack_destroy(pack);
		free(profile.hashes);
	}
}

/* nothing is left of it to be sent */
static void
is_known_to_braze(int64_t id, const char *attributes, BrazeProfile *profile, const char *what)
{
	int64_t		wait;

	add_attributes(id, attributes, profile);
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL && braze_pack_take_unchanged(pack) == 1, "%s", what);
	forget_one();
}

static void
is_sent_to_braze(int64_t id, const char *attributes, BrazeProfile *profile, const char *what)
{
	BrazeRequest *request;
	int64_t		wait;

	add_attributes(id, attributes, profile);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(body_has(request, attributes), "%s", what);
	accept(request);
	forget_one();
}

/* a text that was known is known until something else was accepted */
static void
test_same_attributes(void)
{
	BrazeProfile profile = {0};

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600,
		.changed_only = true, .release = keep_profile};
	pack = braze_pack_create(&limits);
	is_sent_to_braze(1, "\"plan\":\"a\"", &profile, "attributes are sent");
	is_known_to_braze(2, "\"plan\":\"a\"", &profile, "and not again");
	is_known_to_braze(3, "\"plan\":\"a\"", &profile, "nor a third time");
	is_sent_to_braze(4, "\"plan\":\"b\"", &profile, "another value is sent");
	is_sent_to_braze(5, "\"plan\":\"a\"", &profile, "and then the first one");
	braze_pack_destroy(pack);
	free(profile.hashes);
}

static size_t
memory_of_linked(bool needed)
{
	BrazeProfile profiles[2] = {{0}, {.sent = needed}};
	BrazePackUser owners[2] = {
		{"\"external_id\":\"u\"", 17, -1, &profiles[0]},
		{"\"user_alias\":{\"alias_name\":\"a\",\"alias_label\":\"l\"}", 49, BRAZE_ALIASES_TO_IDENTIFY, &profiles[1]}
	};
	BrazePackObject object = {BRAZE_EVENTS, 0, "{\"external_id\":\"u\"}", 19, 0, 0};
	BrazeRequest *request;
	int64_t		wait;
	size_t		memory;

	pack = braze_pack_create(&limits);
	braze_pack_add(pack, 1, (BrazeRowAddress) {0}, 1, &object, 2, owners, now);
	memory = braze_pack_memory(pack);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(body_has(request, "aliases_to_identify") == needed, "an alias is linked if something was sent to it");
	braze_pack_destroy(pack);
	return memory;
}

static void
test_link_memory(void)
{
	size_t		without = memory_of_linked(false);
	size_t		with = memory_of_linked(true);

	ok(with >= without + 17 + 49, "the text of a link counts as memory (%zu, without %zu)", with, without);
}

/* refused, it may have been accepted in an earlier request all the same */
static void
test_refused_attributes(void)
{
	BrazeProfile *profile = calloc(1, sizeof(BrazeProfile));
	BrazeAnswer refusal = {.verdict = BRAZE_REFUSED_WHOLE};
	BrazeRequest *request;
	int64_t		wait;

	limits.changed_only = true;
	limits.release = keep_profile;
	pack = braze_pack_create(&limits);
	add_attributes(1, "\"plan\":\"a\"", profile);
	accept(braze_request_next(pack, &all_open, now, &wait));
	forget_one();
	add_attributes(2, "\"plan\":\"b\"", profile);
	request = braze_request_next(pack, &all_open, now, &wait);
	braze_request_outcome_apply(pack, request, &refusal, 400, now);
	forget_one();
	add_attributes(3, "\"plan\":\"a\"", profile);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(body_has(request, "\"plan\":\"a\""), "after a refusal it is not known what Braze has");
	braze_pack_destroy(pack);
	release_profile(profile);
	limits.changed_only = false;
}

/* a visitor of whom what was sent ended in doubt may have a profile at Braze */
static void
test_link_in_doubt(bool at_most_once)
{
	BrazeProfile visitor = {0};
	BrazeProfile user = {0};
	BrazePackUser owners[2] = {
		{"\"external_id\":\"u\"", 17, -1, &user},
		{"\"user_alias\":{\"alias_name\":\"a\",\"alias_label\":\"l\"}", 49, -1, &visitor}
	};
	BrazePackObject object = {BRAZE_EVENTS, 0, "{\"external_id\":\"u\"}", 19, 0, 0};
	BrazeAnswer answer = {.verdict = BRAZE_FAILED, .in_doubt = true};
	BrazeAnswer refusal = {.verdict = BRAZE_REFUSED_WHOLE};
	BrazeRequest *request;
	int64_t		wait;

	limits.at_most_once = at_most_once;
	limits.release = keep_profile;
	pack = braze_pack_create(&limits);
	braze_pack_add(pack, 1, (BrazeRowAddress) {0}, 1, &object, 1, &owners[1], now);
	request = braze_request_next(pack, &all_open, now, &wait);
	braze_request_outcome_apply(pack, request, &answer, 503, now);
	if (!at_most_once)
	{
		request = braze_request_next(pack, &all_open, now, &wait);
		braze_request_outcome_apply(pack, request, &refusal, 400, now);
	}
	forget_one();

	owners[1].link = BRAZE_ALIASES_TO_IDENTIFY;
	braze_pack_add(pack, 2, (BrazeRowAddress) {0}, 1, &object, 2, owners, now);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(body_has(request, "aliases_to_identify"), "a visitor is joined with their user if what was sent of them ended in doubt%s",
	   at_most_once ? "" : ", and is refused when it is sent again");
	braze_pack_destroy(pack);
	limits.at_most_once = false;
}

/* Braze makes nothing of an alias that it does not know */
static void
test_unknown_alias(bool known_user)
{
	static const char identify[] = "{\"external_id\":\"u\",\"user_alias\":{\"alias_name\":\"a\",\"alias_label\":\"l\"}}";
	BrazeProfile visitor = {0};
	BrazeProfile user = {0};
	BrazePackUser owners[2] = {
		{"\"external_id\":\"u\"", 17, -1, &user},
		{"\"user_alias\":{\"alias_name\":\"a\",\"alias_label\":\"l\"}", 49, -1, &visitor}
	};
	BrazePackObject object = {BRAZE_EVENTS, 0, "{\"external_id\":\"u\"}", 19, 0, 0};
	BrazePackObject alias = {BRAZE_ALIASES_TO_IDENTIFY, 0, identify, sizeof(identify) - 1, 0, 0};
	int64_t		wait;

	user.sent = known_user;
	limits.release = keep_profile;
	pack = braze_pack_create(&limits);
	braze_pack_add(pack, 1, (BrazeRowAddress) {0}, 1, &alias, 2, owners, now);
	accept(braze_request_next(pack, &all_open, now, &wait));
	forget_one();
	braze_pack_add(pack, 2, (BrazeRowAddress) {0}, 1, &object, 1, &owners[1], now);
	accept(braze_request_next(pack, &all_open, now, &wait));
	forget_one();

	owners[1].link = BRAZE_ALIASES_TO_IDENTIFY;
	braze_pack_add(pack, 3, (BrazeRowAddress) {0}, 1, &object, 2, owners, now);
	ok(body_has(braze_request_next(pack, &all_open, now, &wait), known_user ? "merge_updates" : "aliases_to_identify"),
	   "a visitor is joined with a %s user if nothing was sent of them before an alias call", known_user ? "known" : "new");
	braze_pack_destroy(pack);
	free(visitor.owner);
}

/* of a join the crash of a worker has left the visitor's part */
static void
test_half_a_join(void)
{
	BrazeProfile first = {.has_alias = true};
	BrazeProfile second = {.sent = true};
	BrazeProfile user = {0};
	BrazePackUser owners[2] = {
		{"\"external_id\":\"u\"", 17, -1, &user},
		{"\"user_alias\":{\"alias_name\":\"a\",\"alias_label\":\"l\"}", 49, BRAZE_ALIASES_TO_IDENTIFY, &first}
	};
	BrazePackObject object = {BRAZE_EVENTS, 0, "{\"external_id\":\"u\"}", 19, 0, 0};
	int64_t		wait;

	braze_profile_cache_set_owner(&first, owners[0].key, owners[0].length);
	limits.release = keep_profile;
	pack = braze_pack_create(&limits);
	braze_pack_add(pack, 1, (BrazeRowAddress) {0}, 1, &object, 2, owners, now);
	accept(braze_request_next(pack, &all_open, now, &wait));
	forget_one();

	owners[1].key = "\"user_alias\":{\"alias_name\":\"b\",\"alias_label\":\"l\"}";
	owners[1].profile = &second;
	braze_pack_add(pack, 2, (BrazeRowAddress) {0}, 1, &object, 2, owners, now);
	ok(body_has(braze_request_next(pack, &all_open, now, &wait), "merge_updates"),
	   "a second visitor is merged if the first is known as their alias");
	braze_pack_destroy(pack);
	free(first.owner);
	free(second.owner);
}

/* ----- calls that are taken out of the queue ----- */

/* how many calls came out as done, and of these those that are gone */
static int
count_done(int *gone)
{
	const BrazeCall *call;
	int			count = 0;

	*gone = 0;
	while ((call = braze_pack_next_done(pack)) != NULL)
	{
		count++;
		*gone += call->gone;
		braze_pack_free_call(pack, call);
	}
	return count;
}

static void
fail(BrazeRequest *request)
{
	BrazeAnswer answer = {.verdict = BRAZE_FAILED};

	braze_request_outcome_apply(pack, request, &answer, 503, now);
}

static int	ended_flights = 0;

static void
count_flight(__attribute__((unused)) void *owner, int flight)
{
	ended_flights += (flight == 3);
}

static void
test_gone(void)
{
	static char text[200][64];
	BrazePackObject objects[200] = {0};
	BrazePackUser user = {"\"external_id\":\"u\"", 17, -1, NULL};
	BrazeRequest *request;
	BrazeRequest *alone;
	int64_t		wait;
	int			gone;

	limits = (BrazePackLimits) {.max_objects = 4, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	add_events(1, 4, -1);
	request = braze_request_next(pack, &all_open, now, &wait);
	add_events(6, 1, -1);
	alone = braze_request_next(pack, &all_open, now, &wait);
	add_events(7, 2, 1);
	fail(request);
	fail(alone);
	braze_discard_mark_gone(pack, is_even, NULL);
	is_int(braze_discard_drop_waiting(pack, NULL), 2, "what waits is dropped, and what is gone of that which failed");
	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(request), 2, "what failed goes again without the calls that are gone");
	ok(body_has(request, "c1_0") && body_has(request, "c3_0"), "and with the others");
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL, "one that has no others does not go at all");
	accept(request);
	is_int(count_done(&gone), 2, "they come out as done");
	is_int(gone, 0, "and are not gone");
	is_int(pack->open_requests, 0, "no request is left");

	/* under way when they are marked */
	add_events(1, 4, -1);
	request = braze_request_next(pack, &all_open, now, &wait);
	braze_discard_mark_gone(pack, is_even, NULL);
	is_int(objects_in(request), 4, "what is under way stays so");
	fail(request);
	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(request), 2, "but is not sent again");
	accept(request);
	is_int(count_done(&gone), 4, "all come out as done");
	is_int(braze_pack_calls(pack), 0, "and the pack is empty");
	braze_pack_destroy(pack);

	/* two calls of one user that failed together, the first of which is gone */
	pack = braze_pack_create(&limits);
	add_events(2, 2, 1);
	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(request), 2, "two calls of one user go together");
	fail(request);
	braze_discard_mark_gone(pack, is_even, NULL);
	braze_discard_drop_waiting(pack, NULL);
	now += 100 * 1000;
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(objects_in(request) == 1 && body_has(request, "c3_0"), "when the first is gone the second goes alone");
	braze_pack_destroy(pack);

	/* one that has a letter */
	limits.end_flight = count_flight;
	pack = braze_pack_create(&limits);
	add_events(2, 1, -1);
	request = braze_request_next(pack, &all_open, now, &wait);
	braze_gone_call(request, 0)->letter = 1;
	braze_gone_call(request, 0)->flight = 3;
	fail(request);
	is_int(ended_flights, 0, "a letter is under way as long as the pack has its call");
	braze_discard_mark_gone(pack, is_even, NULL);
	braze_discard_drop_gone(pack);
	is_int(ended_flights, 1, "and no longer");
	braze_pack_destroy(pack);
	limits.end_flight = NULL;

	/* a call that needs several requests */
	for (int waiting = 0; waiting < 2; waiting++)
	{
		pack = braze_pack_create(&limits);
		for (int i = 0; i < 10; i++)
		{
			objects[i] = (BrazePackObject) {BRAZE_EVENTS, i, text[i], 0, 0, 0};
			objects[i].length = snprintf(text[i], sizeof(text[i]), "{\"external_id\":\"u\",\"c2_%d\":1}", i);
		}
		braze_pack_add(pack, 2, (BrazeRowAddress) {0}, 10, objects, 1, &user, now);
		braze_pack_add(pack, 3, (BrazeRowAddress) {0}, 1, objects, 1, &user, now);
		request = braze_request_next(pack, &all_open, now, &wait);
		if (waiting)
		{
			accept(request);
			braze_discard_mark_gone(pack, is_even, NULL);
			braze_discard_drop_waiting(pack, NULL);
			is_int(braze_pack_calls(pack), 0, "of a call that waits for its second request nothing is left");
		}
		else
		{
			braze_discard_mark_gone(pack, is_even, NULL);
			accept(request);
			is_int(count_done(&gone), 1, "a call whose first request is under way is done with it");
			is_int(objects_in(braze_request_next(pack, &all_open, now, &wait)), 1, "and the user's next one follows");
		}
		braze_pack_destroy(pack);
	}
}

/* takes back what is wanted, in turn; how many */
static int
take_back(int first, int user)
{
	int			n = 0;
	int64_t		id;

	while ((id = braze_deferred_wanted(pack)) != 0)
	{
		if (id != first + n)
			break;
		add_events((int) id, 1, user);
		n++;
	}
	return n;
}

/* a user with a long backlog, and others beside */
static void
test_deferred(void)
{
	int			n;
	int64_t		wait;
	size_t		memory;
	size_t		empty;
	BrazeRequest *request;
	BrazeRequest *other;

	limits.max_waiting = 100;
	pack = braze_pack_create(&limits);
	empty = braze_pack_memory(pack);
	add_events(1, 1000, 7);
	is_int(braze_pack_calls(pack), 100, "of a user with many calls some requests' worth is held");
	memory = braze_pack_memory(pack);
	add_events(1001, 100, 7);
	ok(braze_pack_memory(pack) - memory <= 100 * 11, "and of the others little more than the id");
	free(braze_discard_held(pack, &n));
	is_int(n, 1100, "which is known all the same");
	is_int(braze_deferred_wanted(pack), 0, "none is wanted while there is no room");

	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(request), 75, "the user's calls start");
	add_events(2000, 75, -1);
	other = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(other), 75, "and so do those of others");
	accept(other);

	is_int(braze_deferred_wanted(pack), 101, "with room, the first that was deferred is wanted");
	add_events(3000, 1, 7);
	is_int(braze_pack_calls(pack), 100 + 75, "a new one waits behind those that are deferred");
	braze_deferred_done(pack);
	is_int(braze_deferred_wanted(pack), 102, "one that is gone is passed over");
	braze_pack_add_done(pack, 102, (BrazeRowAddress) {0}, NULL);
	is_int(braze_pack_calls(pack), 100 + 75 + 1, "one that needs no request comes out as done");
	is_int(take_back(103, 7), 75, "and as many as there is room for are taken back");
	accept(request);
	is_int(braze_discard_drop_waiting(pack, NULL), 76, "deferred calls are dropped with those that wait");
	is_int(braze_deferred_wanted(pack), 0, "and not wanted then");
	is_int(count_done(&n), 75 + 75 + 1, "what was under way comes out");
	ok(braze_pack_memory(pack) == empty, "their memory comes back");
	braze_pack_destroy(pack);
	limits.max_waiting = 600;
}

static void
add_for_two(int id, int user, int other)
{
	char		keys[2][40];
	char		text[80];
	BrazePackObject object = {BRAZE_EVENTS, 0, text, 0, 0, 0};
	BrazePackUser owners[2] = {{keys[0], 0, -1, NULL}, {keys[1], 0, -1, NULL}};

	owners[0].length = snprintf(keys[0], sizeof(keys[0]), "\"external_id\":\"u%d\"", user);
	owners[1].length = snprintf(keys[1], sizeof(keys[1]), "\"external_id\":\"u%d\"", other);
	object.length = snprintf(text, sizeof(text), "{%s,\"c%d_0\":1}", keys[0], id);
	braze_pack_add(pack, id, (BrazeRowAddress) {0}, 1, &object, 2, owners, now);
}

/*
 * calls about two users are wanted when it
 * is their turn with both, and only then
 */
static void
test_deferred_for_two(void)
{
	enum {CALLS = 20000};
	int64_t		wait;
	int			taken = 0;
	int			asked = 0;
	BrazeRequest *request;

	limits.max_waiting = 10;
	limits.max_objects = 10;
	pack = braze_pack_create(&limits);
	add_events(1, 10, 7);
	for (int i = 0; i < CALLS; i++)
		add_for_two(11 + i, 7, 100 + i);
	is_int(braze_pack_calls(pack), 10, "calls about a user who has no room, and about others, are deferred");
	while (taken < CALLS && (request = braze_request_next(pack, &all_open, now, &wait)) != NULL)
	{
		int64_t		id;
		int			n;

		accept(request);
		(void) count_done(&n);
		while ((id = braze_deferred_wanted(pack)) != 0 && asked++ < CALLS)
		{
			if (id == 11 + taken)
				taken++;
			add_for_two((int) id, 7, 100 + (int) id - 11);
		}
	}
	ok(taken == CALLS && asked == CALLS, "each is wanted once, in turn (%d of %d)", taken, asked);

	/* one of the two has room, the other has not */
	while ((request = braze_request_next(pack, &all_open, now, &wait)) != NULL)
		accept(request);
	add_events(40001, 10, 8);
	add_for_two(40011, 7, 8);
	is_int(braze_deferred_wanted(pack), 0, "a call waits for the one of its users who has no room");
	accept(braze_request_next(pack, &all_open, now, &wait));
	is_int(braze_deferred_wanted(pack), 40011, "and is wanted then");
	add_for_two(40011, 7, 8);

	/* somebody changes the row of one that is deferred */
	while ((request = braze_request_next(pack, &all_open, now, &wait)) != NULL)
		accept(request);
	add_events(50001, 10, 7);
	add_for_two(50011, 7, 8);
	add_for_two(50012, 7, 8);
	accept(braze_request_next(pack, &all_open, now, &wait));
	is_int(braze_deferred_wanted(pack), 50011, "it is wanted");
	add_for_two(50011, 7, 9);
	is_int(braze_deferred_wanted(pack), 50012, "about another user it waits behind the others");
	add_for_two(50012, 7, 8);
	is_int(braze_deferred_wanted(pack), 50011, "and is wanted again");
	add_for_two(50011, 7, 9);
	is_int(braze_deferred_wanted(pack), 0, "once");
	braze_pack_destroy(pack);
	limits.max_waiting = 600;
	limits.max_objects = 75;
}

/* what waits and is too old comes out as refused, and what is behind it goes */
static void
test_give_up(void)
{
	BrazeGivingUp why = {.wall_clock = 7200 * INT64_C(1000000), .queued_before = 1, .reason = "enough", .http_status = 503};
	BrazeRequest *request;
	const BrazeCall *call;
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 2, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 100};
	pack = braze_pack_create(&limits);
	add_events(1, 5, 1);
	request = braze_request_next(pack, &all_open, now, &wait);
	why.endpoints[BRAZE_USERS_MERGE] = true;
	ok(braze_discard_give_up(pack, &why, now) && braze_pack_next_done(pack) == NULL, "calls for other endpoints are not given up");
	why.endpoints[BRAZE_USERS_TRACK] = true;
	why.queued_before = 0;
	ok(braze_discard_give_up(pack, &why, now) && braze_pack_next_done(pack) == NULL, "nor are younger ones");
	why.queued_before = 1;
	ok(braze_discard_give_up(pack, &why, now), "the others are");
	for (int i = 0; i < 3; i++)
	{
		call = braze_pack_next_done(pack);
		ok(call != NULL && call->nrefused == 1 && call->refusals->number == BRAZE_WHOLE_CALL &&
		   call->refusals->http_status == 503, "as a whole");
		ok(strcmp(call->refusals->reason, "queued 7200 s ago and not delivered: enough") == 0, "with age and reason");
		braze_pack_free_call(pack, call);
	}
	is_int(braze_pack_calls(pack), 2, "but for those under way");
	add_events(6, 1, 1);
	fail(request);
	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(request), 2, "they are sent again");
	accept(request);
	is_int(objects_in(braze_request_next(pack, &all_open, now, &wait)), 1, "and so are the user's later ones");
	braze_pack_add(pack, 7, (BrazeRowAddress) {0}, 1,
				   &(BrazePackObject) {BRAZE_MERGE_UPDATES, 0, "{}", 2, 0, 0}, 1,
				   &(BrazePackUser) {"\"external_id\":\"u9\"", 18, -1, NULL}, now);
	add_events(8, 1, 9);
	why.endpoints[BRAZE_USERS_TRACK] = false;
	ok(braze_discard_give_up(pack, &why, now), "what waits for one endpoint is given up");
	ok(body_has(braze_request_next(pack, &all_open, now, &wait), "c8_0"), "and what waited behind it goes");

	/* a plain INSERT with '-infinity' */
	braze_pack_add(pack, 9, (BrazeRowAddress) {.queued_at = INT64_MIN}, 1,
				   &(BrazePackObject) {BRAZE_MERGE_UPDATES, 0, "{}", 2, 0, 0}, 1,
				   &(BrazePackUser) {"\"external_id\":\"u10\"", 19, -1, NULL}, now);
	while ((call = braze_pack_next_done(pack)) != NULL)
		braze_pack_free_call(pack, call);
	ok(braze_discard_give_up(pack, &why, now), "what was queued before all time is given up");
	call = braze_pack_next_done(pack);
	ok(call != NULL && strcmp(call->refusals->reason, "queued 9223372044054 s ago and not delivered: enough") == 0,
	   "and its age is a number");
	braze_pack_destroy(pack);
}

/*
 * memory runs out between two of them: the
 * one is refused, and the others are sent
 */
static void
test_give_up_by_halves(void)
{
	BrazeGivingUp why = {.wall_clock = 7200 * INT64_C(1000000), .queued_before = 1, .reason = "enough", .http_status = 503};
	BrazeRequest *request;
	const BrazeCall *call;
	int64_t		wait;

	why.endpoints[BRAZE_USERS_TRACK] = true;
	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 100};
	pack = braze_pack_create(&limits);
	add_events(1, 3, -1);
	model_fail_after(1);
	ok(!braze_discard_give_up(pack, &why, now), "giving up tells that memory is out");
	call = braze_pack_next_done(pack);
	ok(call != NULL && call->nrefused == 1, "what was refused by then is done");
	if (call != NULL)
		braze_pack_free_call(pack, call);
	ok(braze_pack_next_done(pack) == NULL, "and nothing else");
	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(request), 2, "the others are sent");
	accept(request);
	is_int(braze_pack_calls(pack), 2, "and only these");
	braze_pack_destroy(pack);
}

/* others succeed, so that a call which fails may be to blame */
static void
succeed(int id)
{
	static const BrazeGates fresh = {.fresh = {true, true, true, true}};
	int64_t		wait;

	add_events(id, 1, -1);
	accept(braze_request_next(pack, &fresh, now, &wait));
}

static void
test_suspects(void)
{
	BrazeRequest *request;
	const BrazeCall *call;
	int64_t		wait;
	int64_t		delay = 500;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	add_events(1, 4, -1);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(!braze_request_state_is_again(request) && !braze_isolate_is_suspect(pack, request), "what was never tried is no suspect");
	fail(request);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(objects_in(request) == 4 && braze_request_state_is_again(request), "what failed is tried again");
	ok(!braze_isolate_is_suspect(pack, request), "it is no suspect while nothing succeeds");
	fail(request);
	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(request), 2, "but its halves go one by one");
	fail(request);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(objects_in(request) == 2 && body_has(request, "c3_0"), "in turns");
	accept(request);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(objects_in(request) == 1 && braze_isolate_is_suspect(pack, request), "when one succeeds, the other is a suspect");
	fail(request);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(body_has(request, "c2_0"), "the next is not held up by it");
	accept(request);
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL && wait == delay, "it has a clock of its own");

	for (int attempt = 2; attempt < 8; attempt++)
	{
		succeed(100 + attempt);
		now += delay;
		request = braze_request_next(pack, &all_open, now, &wait);
		fail(request);
		delay *= 2;
		ok(braze_request_next(pack, &all_open, now, &wait) == NULL && wait == delay,
		   "that goes ever slower (%lld ms)", (long long) wait);
	}
	now += delay;
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(!braze_isolate_is_suspect(pack, request), "an attempt since which nothing has succeeded does not count");
	fail(request);
	request = braze_request_next(pack, &all_open, now, &wait);
	ok(body_has(request, "c1_0"), "nor is it delayed");
	add_events(200, 1, -1);
	accept(braze_request_next(pack, &all_open, now, &wait));
	add_events(201, 1, -1);
	fail(braze_request_next(pack, &all_open, now, &wait));
	ok(!braze_isolate_is_suspect(pack, request), "nor one while others fail");
	accept(braze_request_next(pack, &all_open, now, &wait));
	while ((call = braze_pack_next_done(pack)) != NULL)
	{
		ok(call->nrefused == 0, "none was blamed (%lld)", (long long) call->id);
		braze_pack_free_call(pack, call);
	}
	fail(request);
	call = braze_pack_next_done(pack);
	ok(call != NULL && call->id == 1 && call->nrefused == 1 && call->refusals->http_status == 503, "after eight that count it is given up");
	braze_pack_destroy(pack);
}

/* more than one object only as far as the body may be long */
static void
test_body(void)
{
	BrazeRequest *request;
	size_t		length;
	int64_t		wait;
	int			sent = 0;
	int			requests = 0;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = 1000, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	add_events(1, 60, -1);
	while ((request = braze_request_next(pack, &all_open, now, &wait)) != NULL)
	{
		(void) braze_request_state_body(request, &length);
		ok(length <= limits.max_body, "a body of %zu bytes, of %d objects", length, objects_in(request));
		sent += objects_in(request);
		requests++;
		accept(request);
	}
	ok(sent == 60 && requests > 1, "and all are sent, in %d requests", requests);
	braze_pack_destroy(pack);

	limits.max_body = 10;
	pack = braze_pack_create(&limits);
	add_events(1, 2, -1);
	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(objects_in(request), 1, "an object that is too long by itself goes alone");
	accept(request);
	braze_pack_destroy(pack);
}

/* whoever has the shorter wait goes first */
static void
test_clocks(void)
{
	BrazeRequest *slow;
	BrazeRequest *fast;
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 1, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	add_events(1, 1, -1);
	for (int i = 0; i < 3; i++)
	{
		slow = braze_request_next(pack, &all_open, now, &wait);
		fail(slow);
		succeed(10 + i);
		now += 2000;
	}
	add_events(2, 1, -1);
	slow = braze_request_next(pack, &all_open, now, &wait);
	fast = braze_request_next(pack, &all_open, now, &wait);
	ok(slow != NULL && fast != NULL, "two are under way");
	if (body_has(fast, "c1_0"))
	{
		BrazeRequest *other = fast;

		fast = slow;
		slow = other;
	}
	fail(fast);
	fast = braze_request_next(pack, &all_open, now, &wait);
	succeed(20);
	fail(slow);
	fail(fast);
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL && wait == 500, "the shorter wait is the next (%lld ms)", (long long) wait);
	now += 500;
	ok(body_has(braze_request_next(pack, &all_open, now, &wait), "c2_0"), "and ends first");
	braze_pack_destroy(pack);
}

/* users whose names collide under a hash without a key are users like others */
static void
test_colliding_users(void)
{
	enum {USERS = 40000};
	int			longest = 0;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	for (int i = 0; i < USERS; i++)
	{
		char		key[60];
		uint64_t	word;
		BrazePackObject object = {BRAZE_EVENTS, 0, "{}", 2, 0, 0};
		BrazePackUser owner = {key, 40, -1, NULL};

		snprintf(key, sizeof(key), "\"external_id\":\"%07d %016d", i, 0);
		word = weak_hash(key, 24, 40);
		memcpy(key + 24, &word, sizeof(word));
		braze_pack_add(pack, i + 1, (BrazeRowAddress) {0}, 1, &object, 1, &owner, now);
	}
	is_int(pack->nlanes, USERS, "so many users have calls");
	for (size_t i = 0; i < pack->nbuckets; i++)
	{
		int			length = 0;

		for (const Lane *lane = pack->buckets[i]; lane != NULL; lane = lane->next_in_bucket)
			length++;
		if (length > longest)
			longest = length;
	}
	ok(longest < 20, "the longest list of users to look through has %d", longest);
	braze_pack_destroy(pack);
}

/* who was delayed anew waits for the later time, and nobody else does */
static void
test_later_delay(void)
{
	BrazePackUser user = {"\"external_id\":\"u1\"", 18, -1, NULL};
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	now = 1000;
	braze_lane_delay(pack, braze_lane_for(pack, &user, braze_lane_hash(pack, &user)), now + 10);
	braze_lane_delay(pack, braze_lane_for(pack, &user, braze_lane_hash(pack, &user)), now + 30);
	braze_lane_delay(pack, braze_lane_for(pack, &user, braze_lane_hash(pack, &user)), now + 20);
	add_events(1, 1, 1);
	now += 20;
	ok(braze_request_next(pack, &all_open, now, &wait) == NULL && wait == 10, "the later time counts");
	now += 10;
	ok(body_has(braze_request_next(pack, &all_open, now, &wait), "c1_0"), "and ends");
	braze_pack_destroy(pack);
}

/* what was excluded, or has left the queue, is not to be claimed */
static void
test_unclaimed(void)
{
	BrazeRequest *request;
	const BrazeCall *call;
	int64_t		wait;
	int			done = 0;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600, .at_most_once = true, .end_flight = count_flight};
	pack = braze_pack_create(&limits);
	add_events(1, 4, -1);
	request = braze_request_next(pack, &all_open, now, &wait);
	braze_gone_exclude(request, 0, false);
	braze_gone_exclude(request, 1, true);
	braze_gone_call(request, 2)->letter = 7;
	ok(!braze_gone_is_unclaimed(request, 0), "a call that is excluded is not claimed");
	ok(!braze_gone_is_unclaimed(request, 1), "nor one that is gone");
	ok(!braze_gone_is_unclaimed(request, 2), "nor one that was claimed");
	ok(braze_gone_is_unclaimed(request, 3), "but any other is");

	/* one that is excluded, and gone before the request ends */
	braze_gone_exclude(request, 3, false);
	braze_discard_mark_gone(pack, is_even, NULL);
	accept(request);
	while ((call = braze_pack_next_done(pack)) != NULL)
	{
		done |= 1 << call->id;
		braze_pack_free_call(pack, call);
	}
	is_int(done, 1 << 2 | 1 << 3 | 1 << 4, "what is excluded and gone at once is done, and does not wait");
	braze_pack_destroy(pack);
}

/* an object that is refused last may be the first of its call */
static void
test_order_of_refusals(void)
{
	static const char *first = "{\"external_id\":\"u1\",\"a\":1}";
	static const char *second = "{\"external_id\":\"u1\",\"b\":1}";
	BrazePackObject objects[2] = {{BRAZE_ATTRIBUTES, 0, first, strlen(first), 0, 0}, {BRAZE_EVENTS, 1, "{}", 2, 0, 0}};
	BrazePackObject later = {BRAZE_ATTRIBUTES, 0, second, strlen(second), 0, 0};
	BrazePackUser user = {"\"external_id\":\"u1\"", 18, -1, NULL};
	BrazeObjectError errors[2] = {{.kind = BRAZE_EVENTS, .index = 0}, {.kind = BRAZE_ATTRIBUTES, .index = 0}};
	BrazeAnswer answer = {.verdict = BRAZE_ACCEPTED, .errors = errors, .nerrors = 2};
	BrazeRequest *request;
	const BrazeCall *call;
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10, .max_waiting = 600};
	pack = braze_pack_create(&limits);
	braze_pack_add(pack, 1, (BrazeRowAddress) {0}, 1, &later, 1, &user, now);
	braze_pack_add(pack, 2, (BrazeRowAddress) {0}, 2, objects, 1, &user, now);
	request = braze_request_next(pack, &all_open, now, &wait);
	is_int(braze_request_outcome_apply(pack, request, &answer, 400, now), BRAZE_NEXT_SEND, "what was folded is sent alone");
	answer.nerrors = 0;
	is_int(braze_request_outcome_apply(pack, request, &answer, 201, now), BRAZE_NEXT_SEND, "one after the other");
	answer.nerrors = 1;
	errors[0] = (BrazeObjectError) {.kind = BRAZE_ATTRIBUTES, .index = 0};
	is_int(braze_request_outcome_apply(pack, request, &answer, 400, now), BRAZE_NEXT_DONE, "until all is answered");
	call = braze_pack_next_done(pack);
	ok(call->id == 1 && call->nrefused == 0, "the call that was folded with it is none the worse");
	call = braze_pack_next_done(pack);
	ok(call->nrefused == 2 && call->refusals->number == 0 && call->refusals->next->number == 1,
	   "refusals are in the order of the objects");
	braze_pack_destroy(pack);
}

int
main(void)
{
	test_later_delay();
	test_unclaimed();
	test_order_of_refusals();
	test_colliding_users();
	test_start();
	test_deferred();
	test_deferred_for_two();
	test_gone();
	test_give_up();
	test_give_up_by_halves();
	test_suspects();
	test_body();
	test_clocks();
	test_halving();
	test_profiles();
	test_attributes_given_up();
	test_same_attributes();
	test_link_memory();
	test_refused_attributes();
	test_link_in_doubt(true);
	test_link_in_doubt(false);
	test_unknown_alias(true);
	test_unknown_alias(false);
	test_half_a_join();
	test_large_call();
	for (unsigned seed = 1; seed <= 12; seed++)
	{
		for (size_t i = 0; i < SHAPES; i++)
			simulate(seed, &shapes[i]);
	}
	return done();
}
