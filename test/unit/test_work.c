/*
 * Work that must not grow with the square of what somebody sends.  Sizes are
 * such that it would take minutes; the bound is far above what n log n takes
 * under the sanitizers.
 *
 *	build/test_work				all of them, with the bound
 *	build/test_work NAME COUNT	one of them: prints the seconds, for a benchmark
 *
 * link: ../../src/pack/pack.c ../../src/pack/discard.c ../../src/pack/deferred.c ../../src/pack/lane.c ../../src/pack/packed_call.c ../../src/pack/ready_list.c ../../src/pack/isolate.c
 * link: ../../src/pack/request.c ../../src/pack/request_state.c ../../src/pack/start_delay.c ../../src/pack/request_progress.c
 * link: ../../src/pack/request_outcome.c ../../src/pack/request_body.c ../../src/pack/identity_link.c ../../src/pack/gone.c ../../src/pack/attributes.c ../../src/pack/attribute_arrays.c ../../src/pack/profile_cache.c ../../src/pack/object_limit.c ../../src/braze/hash.c ../../src/braze/endpoint.c
 */
#include "tap.h"

#include <stdlib.h>
#include <time.h>

#include "collide.h"
#include "pack/attribute_arrays.h"
#include "pack/pack.h"
#include "pack/pack_internal.h"
#include "pack/profile_cache.h"

#define BOUND_SECONDS	20.0

static const BrazeGates all_open = {
	{true, true, true, true}, {true, true, true, true}, false
};

static BrazePack *
new_pack(int max_objects, int max_waiting)
{
	BrazePackLimits limits = {.max_objects = max_objects, .max_body = BRAZE_PACK_MAX_BODY,
	.max_open_requests = 10, .max_waiting = max_waiting};

	return braze_pack_create(&limits);
}

static void
add_event(BrazePack *pack, int64_t id, const char *user, const char *other)
{
	BrazePackObject object = {BRAZE_EVENTS, 0, "{\"external_id\":\"u\"}", 19, 0, 0};
	BrazePackUser users[2] = {{user, strlen(user), -1, NULL}, {other, 0, -1, NULL}};

	if (other != NULL)
		users[1].length = strlen(other);
	braze_pack_add(pack, id, (BrazeRowAddress) {0}, 1, &object, other != NULL ? 2 : 1, users, 1);
}

static void
accept_request(BrazePack *pack, BrazeRequest *request)
{
	BrazeAnswer answer = {.verdict = BRAZE_ACCEPTED};

	while (braze_request_outcome_apply(pack, request, &answer, 201, 1) == BRAZE_NEXT_SEND)
		;
}

static void
forget_done(BrazePack *pack)
{
	const BrazeCall *call;

	while ((call = braze_pack_next_done(pack)) != NULL)
		braze_pack_free_call(pack, call);
}

/* objects of one user with so many push tokens in all, or so many names */
static void
fold_objects(int count, bool names)
{
	enum {OBJECTS = 50};
	char	   *json = malloc(64 + (size_t) (count / OBJECTS + 1) * 40);
	char	   *texts[OBJECTS];
	BrazeAttributes all;
	BrazeAttributes later;
	char	   *body;
	int			n = 0;

	braze_attributes_init(&all);
	braze_attributes_init(&later);
	for (int i = 0; i < OBJECTS; i++)
	{
		char	   *to = json;

		to += sprintf(to, names ? "{\"external_id\":\"u\"" : "{\"external_id\":\"u\",\"push_tokens\":[");
		for (int j = 0; j < count / OBJECTS; j++)
			to += names ? sprintf(to, ",\"a%d\":1", n++)
				: sprintf(to, "%s{\"app_id\":\"a\",\"token\":\"%d\"}", j > 0 ? "," : "", n++);
		strcpy(to, names ? "}" : "]}");
		texts[i] = strdup(json);
		braze_attributes_read(i == 0 ? &all : &later, texts[i], strlen(texts[i]));
		if (i > 0)
			braze_attributes_fold(&all, &later);
	}
	braze_attribute_arrays_unite(&all);
	body = malloc((size_t) count * 40 + 100);
	n = (int) (braze_attributes_write(&all, body) - body);
	if (n < count * 8)
		abort();
	for (int i = 0; i < OBJECTS; i++)
		free(texts[i]);
	free(body);
	free(json);
	braze_attributes_free(&all);
	braze_attributes_free(&later);
}

static void
fold_tokens(int count)
{
	fold_objects(count, false);
}

static void
fold_names(int count)
{
	fold_objects(count, true);
}

/* so many attributes of one user are accepted, a new one each time */
static void
know_attributes(int count)
{
	BrazeProfile profile = {0};
	BrazeAttributes fields;
	char	   *json = malloc((size_t) count * 20 + 100);
	char	   *to = json + sprintf(json, "{\"external_id\":\"u\"");

	for (int i = 0; i < count; i++)
		to += sprintf(to, ",\"a%d\":1", i);
	strcpy(to, "}");
	braze_attributes_init(&fields);
	braze_attributes_read(&fields, json, strlen(json));
	braze_profile_cache_accepted(&profile, &fields, 10, 0);
	braze_attributes_free(&fields);
	braze_profile_cache_free(&profile);
	free(json);
}

/* users whose names collide under a hash without a key */
static void
add_colliding_users(int count)
{
	BrazePack  *pack = new_pack(75, 600);

	for (int i = 0; i < count; i++)
	{
		char		key[60];
		uint64_t	word;

		snprintf(key, sizeof(key), "\"external_id\":\"%07d %016d", i, 0);
		word = weak_hash(key, 24, 40);
		memcpy(key + 24, &word, sizeof(word));
		add_event(pack, i + 1, key, NULL);
	}
	braze_pack_destroy(pack);
}

/* calls about one user, who has no room, and each about another one as well */
static void
take_back_deferred(int count)
{
	BrazePack  *pack = new_pack(75, 600);
	BrazeRequest *request;
	int64_t		wait;
	int64_t		id;
	char		other[40];

	for (int i = 0; i < count; i++)
	{
		snprintf(other, sizeof(other), "\"external_id\":\"a%d\"", i);
		add_event(pack, i + 1, "\"external_id\":\"u\"", other);
	}
	while ((request = braze_request_next(pack, &all_open, 1, &wait)) != NULL)
	{
		accept_request(pack, request);
		forget_done(pack);
		while ((id = braze_deferred_wanted(pack)) != 0)
		{
			snprintf(other, sizeof(other), "\"external_id\":\"a%d\"", (int) id - 1);
			add_event(pack, id, "\"external_id\":\"u\"", other);
		}
	}
	if (braze_pack_calls(pack) > 0)
		abort();
	braze_pack_destroy(pack);
}

/* users who wait until later and later, and sooner and sooner */
static void
delay_users(int count)
{
	BrazePack  *pack = new_pack(75, 600);
	int64_t		wait = -1;

	for (int i = 0; i < count; i++)
	{
		char		key[40];
		BrazePackUser user = {key, 0, -1, NULL};

		user.length = snprintf(key, sizeof(key), "\"external_id\":\"u%d\"", i);
		braze_lane_delay(pack, braze_lane_for(pack, &user, braze_lane_hash(pack, &user)), i % 2 == 0 ? 10 + i : 1000000 - i);
		braze_lane_delay(pack, braze_lane_for(pack, &user, braze_lane_hash(pack, &user)), 2000000 - i);
	}
	for (int i = 0; pack->delayed != NULL; i++)
		braze_ready_list_end_delays(pack, (int64_t) i * 1000, &wait);
	if (pack->nlanes > 0)
		abort();
	braze_pack_destroy(pack);
}

/*
 * a call of so many objects, of which Braze refuses each, naming the last first
 */
static void
refuse_objects(int count)
{
	BrazePack  *pack = new_pack(75, 600);
	BrazePackObject *objects = calloc(count, sizeof(BrazePackObject));
	BrazePackUser user = {"\"external_id\":\"u\"", 17, -1, NULL};
	BrazeRequest *request;
	int64_t		wait;

	for (int i = 0; i < count; i++)
		objects[i] = (BrazePackObject) {BRAZE_EVENTS, i, "{}", 2, 0, 0};
	braze_pack_add(pack, 1, (BrazeRowAddress) {0}, count, objects, 1, &user, 1);
	while ((request = braze_request_next(pack, &all_open, 1, &wait)) != NULL)
	{
		BrazeObjectError errors[75];
		BrazeAnswer answer = {.verdict = BRAZE_ACCEPTED, .errors = errors};

		for (int i = braze_request_state_sent(request)->counts[BRAZE_EVENTS] - 1; i >= 0; i--)
			errors[answer.nerrors++] = (BrazeObjectError) {.kind = BRAZE_EVENTS, .index = i};
		braze_request_outcome_apply(pack, request, &answer, 201, 1);
	}
	forget_done(pack);
	if (braze_pack_calls(pack) > 0)
		abort();
	braze_pack_destroy(pack);
	free(objects);
}

static const struct
{
	const char *name;
	void		(*work) (int count);
	int			count;
	const char *what;
}			works[] = {
	{"tokens", fold_tokens, 100000, "push tokens are united"},
	{"names", fold_names, 200000, "names are folded"},
	{"attributes", know_attributes, 1000000, "attributes are remembered, or are not"},
	{"users", add_colliding_users, 200000, "users whose names collide without a key are added"},
	{"deferred", take_back_deferred, 80000, "deferred calls about two users are taken back"},
	{"delays", delay_users, 200000, "users are delayed, and go on"},
	{"refusals", refuse_objects, 200000, "objects of one call are refused"},
};

static double
seconds_of(void (*work) (int count), int count)
{
	clock_t		began = clock();

	work(count);
	return (double) (clock() - began) / CLOCKS_PER_SEC;
}

int
main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
	{
		double		seconds;

		if (argc == 3 && strcmp(argv[1], works[i].name) == 0)
		{
			printf("%.6f\n", seconds_of(works[i].work, atoi(argv[2])));
			return 0;
		}
		if (argc > 1)
			continue;
		seconds = seconds_of(works[i].work, works[i].count);
		ok(seconds < BOUND_SECONDS, "%d %s (%.2f s)", works[i].count, works[i].what, seconds);
	}
	return argc > 1 ? 1 : done();
}
