/*
 * What Braze has accepted and refused, added up by hour, kind and name.
 *
 * link: ../../src/pack/tally.c ../../src/braze/sketch.c -lm
 * link: ../../src/pack/pack.c ../../src/pack/discard.c ../../src/pack/deferred.c ../../src/pack/lane.c ../../src/pack/packed_call.c ../../src/pack/ready_list.c ../../src/pack/isolate.c
 * link: ../../src/pack/request.c ../../src/pack/request_state.c ../../src/pack/start_delay.c ../../src/pack/request_progress.c
 * link: ../../src/pack/request_outcome.c ../../src/pack/request_body.c ../../src/pack/identity_link.c ../../src/pack/gone.c ../../src/pack/attributes.c ../../src/pack/attribute_arrays.c ../../src/pack/profile_cache.c ../../src/pack/object_limit.c ../../src/braze/hash.c ../../src/braze/endpoint.c
 */
#include "tap.h"

#include <math.h>
#include <stdlib.h>

#include "pack/tally.h"

#define HOUR	(INT64_C(3600) * 1000 * 1000)

static const BrazeGates all_open = {
	{true, true, true, true}, {true, true, true, true}, false
};

static BrazePack *pack;
static BrazeTally *tally;
static int64_t now = 1000;		/* the pack's clock, ms */
static int64_t wall = 500000 * HOUR;
static int	next_id = 1;

static void
begin(void)
{
	BrazePackLimits limits = {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_open_requests = 1, .max_waiting = 6000};

	pack = braze_pack_create(&limits);
	tally = braze_tally_create();
}

static void
end(void)
{
	braze_pack_destroy(pack);
	braze_tally_destroy(tally);
}

/*
 * an object of a user, NULL ends the list; kind
 * and rest of the text, with its name in it
 */
static void
add(const char *user, ...)
{
	BrazePackObject objects[10];
	char		text[10][400];
	char		key[60];
	BrazePackUser owner = {key, 0, -1, NULL};
	int			n = 0;
	va_list		args;
	const char *rest;

	owner.length = snprintf(key, sizeof(key), "\"external_id\":\"%s\"", user);
	va_start(args, user);
	for (BrazeKind kind = va_arg(args, BrazeKind); (rest = va_arg(args, const char *)) != NULL; kind = va_arg(args, BrazeKind))
	{
		const char *mark;

		memset(&objects[n], 0, sizeof(objects[n]));
		objects[n].kind = kind;
		objects[n].number = n;
		objects[n].json = text[n];
		objects[n].length = snprintf(text[n], sizeof(text[n]), "{%s%s}", key, rest);
		mark = kind == BRAZE_EVENTS ? ",\"name\":\"" : ",\"product_id\":\"";
		if (kind != BRAZE_ATTRIBUTES)
		{
			objects[n].name = strstr(text[n], mark) + strlen(mark) - text[n];
			objects[n].name_length = strcspn(text[n] + objects[n].name, "\"");
		}
		n++;
	}
	va_end(args);
	braze_pack_add(pack, next_id++, (BrazeRowAddress) {0}, n, objects, 1, &owner, now);
}

#define EVENT(name)	BRAZE_EVENTS, ",\"name\":\"" name "\",\"time\":\"2026-01-02T03:04:05Z\",\"properties\":{\"name\":\"x\"}"
#define BUY(product, currency, price, quantity) BRAZE_PURCHASES, ",\"app_id\":\"a\",\"product_id\":\"" product \
	"\",\"currency\":\"" currency "\",\"price\":" price ",\"quantity\":" quantity ",\"time\":\"2026-01-02T03:04:05Z\""
#define TRAITS(text)	BRAZE_ATTRIBUTES, text
#define END			(BrazeKind) 0, (const char *) NULL

static void
settle(void)
{
	const BrazeCall *call;

	while ((call = braze_pack_next_done(pack)) != NULL)
	{
		ok(braze_tally_add_call(tally, call, now, wall), "call " "%lld is added", (long long) call->id);
		braze_pack_free_call(pack, call);
	}
}

/* sends all, and Braze refuses the errors' objects */
static void
deliver(int nerrors, BrazeObjectError *errors)
{
	BrazeRequest *request;
	int64_t		wait;

	while ((request = braze_request_next(pack, &all_open, now, &wait)) != NULL)
	{
		BrazeAnswer answer = {.verdict = BRAZE_ACCEPTED, .nerrors = nerrors, .errors = errors};

		braze_tally_add_request(tally, braze_request_state_sent(request), wall);
		braze_request_outcome_apply(pack, request, &answer, 201, now);
		nerrors = 0;
	}
}

static const char *
row_text(const BrazeTallyRow *row)
{
	static char text[1000];

	snprintf(text, sizeof(text), "%lld %s %.*s%s %s calls %lld objects %lld quantity %lld revenue %lld.%06lld requests %lld points %lld saved %lld users %.0f",
			 (long long) (row->hour / HOUR), braze_tally_kinds[row->kind], row->name_length > 0 ? row->name_length : 0, row->name,
			 row->name_length == BRAZE_TALLY_OTHERS ? "(others)" : "", row->currency, (long long) row->calls, (long long) row->objects,
			 (long long) row->quantity, (long long) row->revenue, (long long) row->revenue_millionths, (long long) row->requests,
			 (long long) row->data_points, (long long) row->data_points_saved,
			 row->users != NULL ? round(braze_sketch_estimate(row->users)) : -1);
	return text;
}

/* the row that begins so, and nothing of it without one */
static void
has(const char *start, const char *rest)
{
	char		expected[1000];
	BrazeTallyRow *row = NULL;

	snprintf(expected, sizeof(expected), "%s%s", start, rest);
	while ((row = braze_tally_next_unsaved(tally, row)) != NULL)
	{
		if (strncmp(row_text(row), start, strlen(start)) == 0)
		{
			is_text(row_text(row), expected, start);
			return;
		}
	}
	is_text("", expected, start);
}

/* as a transaction that has time for so many */
static void
save_rows(int max)
{
	BrazeTallyRow *row = NULL;

	braze_tally_begin_save(tally);
	while (max-- > 0 && (row = braze_tally_next_unsaved(tally, row)) != NULL)
		row->written = true;
	braze_tally_saved(tally);
}

static int
unsaved_rows(void)
{
	BrazeTallyRow *row = NULL;
	int			n = 0;

	while ((row = braze_tally_next_unsaved(tally, row)) != NULL)
		n++;
	return n;
}

static void
test_sums(void)
{
	begin();
	add("u1", EVENT("Song Played"), END);
	add("u2", EVENT("Song Played"), EVENT("Song Played"), EVENT("ecommerce.order_placed"), END);
	add("u1", BUY("p1", "USD", "19.99", "3"), BUY("p1", "USD", "-0.005", "1"), BUY("p1", "EUR", "100", "1"), END);
	add("u3", BUY("p2", "USD", "0.0000005", "1"), BUY("p2", "USD", "0.00000049", "1"), END);
	add("u3", BUY("p3", "USD", "1000000000000000000", "1"), END);
	deliver(0, NULL);
	settle();
	has("500000 events Song Played", "  calls 2 objects 3 quantity 0 revenue 0.000000 requests 0 points 3 saved 0 users 2");
	has("500000 events ecommerce.order_placed", "  calls 1 objects 1 quantity 0 revenue 0.000000 requests 0 points 0 saved 0 users 1");
	has("500000 purchases p1 USD", " calls 1 objects 2 quantity 4 revenue 59.965000 requests 0 points 4 saved 0 users 1");
	has("500000 purchases p1 EUR", " calls 1 objects 1 quantity 1 revenue 100.000000 requests 0 points 1 saved 0 users 1");
	has("500000 purchases p2 USD", " calls 1 objects 2 quantity 2 revenue 0.000001 requests 0 points 2 saved 0 users 1");
	has("500000 purchases p3 USD", " calls 1 objects 1 quantity 1 revenue 0.000000 requests 0 points 1 saved 0 users 1");
	has("500000 request /users/track", "  calls 0 objects 10 quantity 0 revenue 0.000000 requests 1 points 0 saved 0 users -1");
	is_int(unsaved_rows(), 7, "and nothing else");
	save_rows(3);
	is_int(unsaved_rows(), 4, "what there was no time for stays");
	ok(braze_tally_has_unsaved(tally), "to be saved later");
	save_rows(1000);
	ok(!braze_tally_has_unsaved(tally) && unsaved_rows() == 0, "saved");

	/* users who are known raise nothing, so that nothing is written of them */
	add("u1", EVENT("Song Played"), END);
	deliver(0, NULL);
	settle();
	has("500000 events Song Played", "  calls 1 objects 1 quantity 0 revenue 0.000000 requests 0 points 1 saved 0 users 2");
	end();
}

static void
test_refused(void)
{
	BrazeObjectError errors[2] = {{.kind = BRAZE_EVENTS, .index = 1}, {.kind = BRAZE_PURCHASES, .index = 0}};

	begin();
	strcpy(errors[0].reason, "no");
	strcpy(errors[1].reason, "no");
	add("u1", EVENT("A"), EVENT("B"), BUY("p", "USD", "1", "1"), END);
	deliver(2, errors);
	braze_pack_add_done(pack, next_id++, (BrazeRowAddress) {0}, "no such type");
	braze_pack_add_done(pack, next_id++, (BrazeRowAddress) {0}, NULL);
	settle();
	has("500000 events A", "  calls 1 objects 1 quantity 0 revenue 0.000000 requests 0 points 1 saved 0 users 1");
	has("500000 refused events", "  calls 1 objects 1 quantity 0 revenue 0.000000 requests 0 points 0 saved 0 users -1");
	has("500000 refused purchases", "  calls 1 objects 1 quantity 0 revenue 0.000000 requests 0 points 0 saved 0 users -1");
	has("500000 refused  ", " calls 1 objects 0 quantity 0 revenue 0.000000 requests 0 points 0 saved 0 users -1");
	has("500000 skipped", "   calls 1 objects 0 quantity 0 revenue 0.000000 requests 0 points 0 saved 0 users -1");
	is_int(unsaved_rows(), 6, "and the request");
	end();
}

static void
test_attributes(void)
{
	begin();
	add("u1", TRAITS(",\"_update_existing_only\":true,\"email\":\"a@b.c\",\"plan\":\"pro\",\"push_subscribe\":\"opted_in\",\"tags\":[1,2,3]"), END);
	add("u2", TRAITS(",\"visits\":{\"inc\":2},\"songs\":{\"add\":[\"a\",\"b\",\"c\"]}"), END);
	add("u3", TRAITS(",\"song\":{\"title\":\"x:\\\":\",\"artist\":{\"name\":\"n\",\"genres\":[{\"a\":1}]}},\"current_location\":{\"longitude\":1,\"latitude\":2}"), END);
	deliver(0, NULL);
	settle();
	has("500000 attributes  ", " calls 3 objects 3 quantity 0 revenue 0.000000 requests 0 points 12 saved 0 users 3");
	save_rows(1000);

	/* folded: both counted, and what was sent costs */
	add("u4", TRAITS(",\"plan\":\"free\",\"city\":\"Rome\""), END);
	add("u4", TRAITS(",\"plan\":\"pro\""), END);
	deliver(0, NULL);
	settle();
	has("500000 attributes  ", " calls 2 objects 2 quantity 0 revenue 0.000000 requests 0 points 2 saved 0 users 4");
	end();
}

/* one object in 64 says which attributes there are */
static void
test_samples(void)
{
	BrazeTallyRow *row = NULL;
	int64_t		plan = 0;
	int64_t		odd = 0;

	begin();
	for (int i = 0; i < 20000; i++)
	{
		BrazePackObject object = {.kind = BRAZE_ATTRIBUTES};
		BrazePackUser owner = {.link = -1};
		char		key[40];
		char		text[80];
		const BrazeCall *call;
		BrazeRequest *request;
		int64_t		wait;
		BrazeAnswer answer = {.verdict = BRAZE_ACCEPTED};

		owner.key = key;
		owner.length = snprintf(key, sizeof(key), "\"external_id\":\"u%d\"", i);
		object.json = text;
		object.length = snprintf(text, sizeof(text), "{%s,\"plan\":1%s}", key, i % 2 ? ",\"odd\":1" : "");
		braze_pack_add(pack, i + 1, (BrazeRowAddress) {0}, 1, &object, 1, &owner, now);
		request = braze_request_next(pack, &all_open, now, &wait);
		braze_request_outcome_apply(pack, request, &answer, 201, now);
		call = braze_pack_next_done(pack);
		braze_tally_add_call(tally, call, now, wall);
		braze_pack_free_call(pack, call);
	}
	while ((row = braze_tally_next_unsaved(tally, row)) != NULL)
	{
		if (row->name_length == 4)
			plan = row->objects;
		if (row->name_length == 3)
			odd = row->objects;
	}
	ok(plan > 14000 && plan < 26000, "an attribute of all of 20,000 objects: %lld", (long long) plan);
	ok(odd > 6500 && odd < 13500, "and one of each second: %lld", (long long) odd);
	end();
}

/*
 * each hour by itself, by when Braze has
 * answered; more names than there is room for
 */
static void
test_hours_and_names(void)
{
	begin();
	wall += HOUR - 1000000;
	add("u1", EVENT("A"), END);
	deliver(0, NULL);
	now += 2000;
	wall += 2000000;
	add("u1", EVENT("A"), END);
	deliver(0, NULL);
	settle();
	has("500000 events A", "  calls 1 objects 1 quantity 0 revenue 0.000000 requests 0 points 1 saved 0 users 1");
	has("500001 events A", "  calls 1 objects 1 quantity 0 revenue 0.000000 requests 0 points 1 saved 0 users 1");
	save_rows(1000);
	for (int i = 0; i < BRAZE_TALLY_NAMES + 70; i++)
	{
		BrazePackObject object = {.kind = BRAZE_EVENTS};
		BrazePackUser owner = {.key = "\"external_id\":\"u1\"", .length = 18, .link = -1};
		char		text[100];

		object.length = snprintf(text, sizeof(text), "{\"external_id\":\"u1\",\"name\":\"E%05d\"}", i);
		object.json = text;
		object.name = 28;
		object.name_length = 6;
		braze_pack_add(pack, next_id++, (BrazeRowAddress) {0}, 1, &object, 1, &owner, now);
	}
	deliver(0, NULL);
	settle();

	/* "A" of this hour is one of those that are known */
	has("500001 events (others)", "  calls 71 objects 71 quantity 0 revenue 0.000000 requests 0 points 71 saved 0 users 1");
	has("500001 events E00498", "  calls 1 objects 1 quantity 0 revenue 0.000000 requests 0 points 1 saved 0 users 1");
	end();
}

int
main(void)
{
	test_sums();
	test_refused();
	test_attributes();
	test_samples();
	test_hours_and_names();
	return done();
}
