/*
 * growth.c
 *	  growth NAME N: milliseconds that the pack takes for something of size N.
 *	  growth --names: what there is.
 *
 * Run with N and four times N it shows whether work grows faster than what it
 * is done on.
 *
 * link: ../src/pack/pack.c ../src/pack/discard.c ../src/pack/deferred.c ../src/pack/lane.c ../src/pack/packed_call.c ../src/pack/ready_list.c ../src/pack/isolate.c
 * link: ../src/pack/request.c ../src/pack/request_state.c ../src/pack/start_delay.c ../src/pack/request_progress.c ../src/pack/request_outcome.c ../src/pack/object_limit.c ../src/pack/request_body.c ../src/pack/identity_link.c ../src/pack/gone.c ../src/pack/attributes.c ../src/pack/attribute_arrays.c ../src/pack/profile_cache.c ../src/braze/hash.c ../src/braze/endpoint.c
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pack/attributes.h"
#include "pack/pack.h"

/* so that nothing of what is waiting is deferred */
#define NO_LIMIT	1000000000

static const BrazeGates all_open = {
	{true, true, true, true}, {true, true, true, true}, false
};

static double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static void
must(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "growth: %s\n", what);
	exit(1);
}

/* ----- folding: two objects with lists of n elements ----- */

/* step: which numbers the elements have */
static char *
list_of(const char *field, const char *element, int n, int first)
{
	size_t		size = (size_t) n * (strlen(element) + 20) + 100;
	char	   *text = malloc(size);
	char	   *end = text;

	must(text != NULL, "out of memory");
	end += sprintf(end, "{\"external_id\":\"u1\",\"%s\":[", field);
	for (int i = 0; i < n; i++)
	{
		end += sprintf(end, i > 0 ? "," : "");
		end += sprintf(end, element, first + i);
	}
	sprintf(end, "]}");
	return text;
}

static double
fold_lists(const char *field, const char *element, int n)
{
	char	   *earlier = list_of(field, element, n, 0);
	char	   *later = list_of(field, element, n, n / 2);
	BrazeAttributes folded;
	BrazeAttributes other;
	double		began = now_ms();

	braze_attributes_init(&folded);
	braze_attributes_init(&other);
	must(braze_attributes_read(&folded, earlier, strlen(earlier)) &&
		 braze_attributes_read(&other, later, strlen(later)) &&
		 braze_attributes_fold(&folded, &other), "the objects do not fold");
	return now_ms() - began;
}

static double
fold_tokens(int n)
{
	return fold_lists("push_tokens", "{\"app_id\":\"app\",\"token\":\"%08d\"}", n);
}

static double
fold_groups(int n)
{
	return fold_lists("subscription_groups",
					  "{\"subscription_group_id\":\"00000000-0000-4000-8000-0000%08d\",\"subscription_state\":\"subscribed\"}", n);
}

/* ----- packing: n calls from being added until they are done ----- */

static BrazePack *
pack_with(int max_waiting)
{
	BrazePackLimits limits = {
		.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 10,
		.max_waiting = max_waiting
	};
	BrazePack  *pack = braze_pack_create(&limits);

	must(pack != NULL, "out of memory");
	return pack;
}

/*
 * a call of one event; user and other: numbers, other -1: it is about one user
 */
static void
add_call(BrazePack *pack, int64_t id, int user, int other)
{
	char		keys[2][60];
	char		text[100];
	BrazePackObject object = {BRAZE_EVENTS, 0, text, 0, 0, 0};
	BrazePackUser users[2] = {{keys[0], 0, -1, NULL}, {keys[1], 0, -1, NULL}};
	int			nusers = other < 0 ? 1 : 2;
	BrazeRowAddress row = {0};

	users[0].length = sprintf(keys[0], "\"external_id\":\"u%d\"", user);
	users[1].length = sprintf(keys[1], "\"user_alias\":\"a%d\"", other);
	object.length = sprintf(text, "{%s,\"name\":\"e%" PRId64 "\"}", keys[0], id);
	must(braze_pack_add(pack, id, row, 1, &object, nusers, users, 0), "out of memory");
}

/* sends and answers all that can go; returns how many calls are done */
static int
send_all(BrazePack *pack, const BrazeAnswer *answer)
{
	BrazeRequest *request;
	const BrazeCall *call;
	int64_t		wait;
	int			done = 0;

	while ((request = braze_request_next(pack, &all_open, 0, &wait)) != NULL)
	{
		while (braze_request_outcome_apply(pack, request, answer, 201, 0) == BRAZE_NEXT_SEND)
			continue;
		while ((call = braze_pack_next_done(pack)) != NULL)
		{
			braze_pack_free_call(pack, call);
			done++;
		}
	}
	return done;
}

static const BrazeAnswer accepted = {.verdict = BRAZE_ACCEPTED};

static double
pack_users(int n)
{
	BrazePack  *pack = pack_with(NO_LIMIT);
	double		began = now_ms();

	for (int i = 0; i < n; i++)
		add_call(pack, i + 1, i, -1);
	must(send_all(pack, &accepted) == n, "not all calls are done");
	return now_ms() - began;
}

static double
pack_one_user(int n)
{
	BrazePack  *pack = pack_with(NO_LIMIT);
	double		began = now_ms();

	for (int i = 0; i < n; i++)
		add_call(pack, i + 1, 1, -1);
	must(send_all(pack, &accepted) == n, "not all calls are done");
	return now_ms() - began;
}

static bool
is_odd(const BrazeCall *call, void *arg)
{
	(void) arg;
	return call->id % 2 == 1;
}

/* half of what waits was deleted from the queue */
static double
pack_gone(int n)
{
	BrazePack  *pack = pack_with(NO_LIMIT);
	double		began = now_ms();

	for (int i = 0; i < n; i++)
		add_call(pack, i + 1, i % 1000, -1);
	braze_discard_mark_gone(pack, is_odd, NULL);
	(void) braze_discard_drop_waiting(pack, NULL);
	return now_ms() - began;
}

/*
 * a user with much waiting, and n calls that
 * link them to other ids: all are deferred
 */
static double
pack_deferred(int n)
{
	BrazePack  *pack = pack_with(600);
	int			done = 0;
	double		began = now_ms();

	for (int i = 0; i < 600; i++)
		add_call(pack, i + 1, 1, -1);
	for (int i = 0; i < n; i++)
		add_call(pack, 601 + i, 1, i);
	while (done < n + 600)
	{
		int			before = done;
		int64_t		wanted;

		done += send_all(pack, &accepted);
		while ((wanted = braze_deferred_wanted(pack)) != 0)
		{
			add_call(pack, wanted, 1, wanted - 601);
			before = -1;
		}
		must(done > before, "the deferred calls stand still");
	}
	return now_ms() - began;
}

/* one call of n objects, all of them refused */
static double
pack_refusals(int n)
{
	BrazePack  *pack = pack_with(NO_LIMIT);
	BrazePackObject *objects = calloc(n, sizeof(BrazePackObject));
	BrazePackUser user = {"\"external_id\":\"u1\"", 18, -1, NULL};
	static const char event[] = "{\"external_id\":\"u1\",\"name\":\"e\"}";
	BrazeAnswer refused = {.verdict = BRAZE_REFUSED_WHOLE, .reason = "refused"};
	double		began = now_ms();

	for (int i = 0; i < n; i++)
		objects[i] = (BrazePackObject) {BRAZE_EVENTS, i, event, sizeof(event) - 1, 0, 0};
	must(braze_pack_add(pack, 1, (BrazeRowAddress) {0}, n, objects, 1, &user, 0), "out of memory");
	must(send_all(pack, &refused) == 1, "the call is not done");
	return now_ms() - began;
}

static const struct
{
	const char *name;
	double		(*run) (int n);
}			all[] = {
	{"fold-tokens", fold_tokens},
	{"fold-groups", fold_groups},
	{"users", pack_users},
	{"one-user", pack_one_user},
	{"gone", pack_gone},
	{"deferred", pack_deferred},
	{"refusals", pack_refusals},
};

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--names") == 0)
	{
		for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
			puts(all[i].name);
		return 0;
	}
	for (size_t i = 0; argc == 3 && i < sizeof(all) / sizeof(all[0]); i++)
	{
		if (strcmp(argv[1], all[i].name) == 0)
		{
			printf("%.4f\n", all[i].run(atoi(argv[2])));
			return 0;
		}
	}
	fprintf(stderr, "usage: growth NAME N, growth --names\n");
	return 2;
}
