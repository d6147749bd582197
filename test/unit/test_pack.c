/*
 * The pack against a model of Braze: random calls, users, answers and times;
 * after every step the promises of pack.h are checked.
 *
 * link: ../../src/pack.c ../../src/request.c ../../src/body.c ../../src/lane.c
 * link: ../../src/link.c ../../src/attributes.c ../../src/profile.c ../../src/kind.c
 */
#include "tap.h"

#include <stdlib.h>

#include "pack.h"

#define MAX_CALLS		4000
#define MAX_PARTS		6
#define MAX_USERS		50
#define MAX_REQUESTS	64

/* a call as the model knows it; its objects carry "c<call>_<part>" */
typedef struct ModelCall
{
	int			nusers;
	int			users[2];
	int			nparts;
	bool		bad[MAX_PARTS];
	int			accepted[MAX_PARTS];
	bool		refused[MAX_PARTS];
	bool		out;
	bool		unfolded;		/* refused folded, while what came with it was accepted:
								 * it arrives late, as the price of being judged alone */
} ModelCall;

typedef struct Mark
{
	int			call;
	int			part;
	BrazeKind	kind;
	int			index;			/* of the element in its array */
} Mark;

static ModelCall calls[MAX_CALLS];
static int	ncalls;
static int	last_applied[MAX_USERS];	/* call id, per user */
static BrazeRequest *busy[MAX_USERS];
static BrazeRequest *flying[MAX_REQUESTS];
static int	nflying;
static BrazePack *pack;
static BrazePackLimits limits;
static int64_t now;
static const char *broken;		/* the first promise that did not hold */

static void
promise(bool held, const char *what)
{
	if (!held && broken == NULL)
		broken = what;
}

static int
dice(int sides)
{
	return (int) (random() % sides);
}

/* ----- adding calls ----- */

static void
add_call(int nusers_in_play, int percent_bad)
{
	static const BrazeKind track_kinds[] = {BRAZE_ATTRIBUTES, BRAZE_EVENTS, BRAZE_EVENTS, BRAZE_PURCHASES};
	int			id = ++ncalls;
	ModelCall  *call = &calls[id];
	char		text[MAX_PARTS][160];
	char		keys[2][40];
	BrazePackObject objects[MAX_PARTS];
	BrazePackUser users[2];
	int			shape = dice(20);
	BrazeKind	kind = track_kinds[dice(4)];

	memset(call, 0, sizeof(*call));
	call->nusers = (shape == 0) ? 2 : 1;
	call->nparts = (kind == BRAZE_ATTRIBUTES) ? 1 : 1 + (dice(4) == 0 ? dice(MAX_PARTS) : 0);
	if (shape == 0)
		kind = BRAZE_MERGE_UPDATES;
	if (shape == 1)
		kind = dice(2) ? BRAZE_DELETE_EXTERNAL_IDS : BRAZE_DELETE_BRAZE_IDS;
	if (shape <= 1)
		call->nparts = 1;
	for (int i = 0; i < call->nusers; i++)
	{
		call->users[i] = dice(nusers_in_play);
		snprintf(keys[i], sizeof(keys[i]), "\"external_id\":\"u%d\"", call->users[i]);
		users[i].key = keys[i];
		users[i].length = strlen(keys[i]);
		users[i].link = -1;
		users[i].profile = NULL;
	}
	for (int i = 0; i < call->nparts; i++)
	{
		call->bad[i] = dice(100) < percent_bad;
		snprintf(text[i], sizeof(text[i]), "{%s,\"c%d_%d\":%s}", keys[0], id, i,
				 kind == BRAZE_ATTRIBUTES && dice(5) == 0 ? "{\"inc\":1}" : "\"]},{[\"");
		objects[i].kind = kind;
		objects[i].number = i;
		objects[i].json = text[i];
		objects[i].length = strlen(text[i]);
	}
	/* a call may end with another kind than it began with */
	if (kind == BRAZE_EVENTS && call->nparts > 1 && dice(2))
		objects[call->nparts - 1].kind = BRAZE_PURCHASES;
	promise(braze_pack_add(pack, id, (BrazeRowAddress) {0, 0, 0, 0}, call->nparts, objects,
						   call->nusers, users, now), "adding works");
}

/* ----- reading a body ----- */

/* finds the marks of a body in the order in which Braze applies them */
static int
read_marks(const BrazeRequest *request, Mark *marks)
{
	size_t		length;
	const char *body = braze_request_body(request, &length);
	const BrazeSent *sent = braze_request_sent(request);
	int			n = 0;
	int			depth = 0;
	int			index = -1;
	int			counts[BRAZE_KINDS] = {0};
	BrazeKind	kind = 0;

	promise(length > 2 && body[0] == '{' && body[length - 1] == '}', "the body is an object");
	for (const char *p = body; p < body + length; p++)
	{
		if (*p == '"')
		{
			const char *begin = ++p;

			while (*p != '"')
				p++;
			if (depth == 1)
			{
				for (int k = 0; k < BRAZE_KINDS; k++)
				{
					if (strlen(braze_kinds[k].array) == (size_t) (p - begin) &&
						memcmp(begin, braze_kinds[k].array, p - begin) == 0 &&
						braze_kinds[k].endpoint == braze_request_endpoint(request))
						kind = k;
				}
				index = -1;
			}
			if (*begin == 'c' && begin[1] >= '0' && begin[1] <= '9')
			{
				marks[n].call = atoi(begin + 1);
				marks[n].part = atoi(strchr(begin, '_') + 1);
				marks[n].kind = kind;
				marks[n].index = index;
				n++;
			}
			continue;
		}
		if (*p == '{' || *p == '[')
		{
			depth++;
			if (*p == '{' && depth == 3)
			{
				index++;
				counts[kind]++;
			}
		}
		else if (*p == '}' || *p == ']')
			depth--;
	}
	promise(depth == 0, "the body is balanced");
	for (int k = 0; k < BRAZE_KINDS; k++)
		promise(counts[k] == sent->counts[k], "the request knows what it sent");
	return n;
}

static void
check_sent(BrazeRequest *request)
{
	Mark		marks[BRAZE_PACK_MAX_OBJECTS * 2];
	int			n = read_marks(request, marks);
	int			total = 0;
	size_t		length;

	for (int k = 0; k < BRAZE_KINDS; k++)
		total += braze_request_sent(request)->counts[k];
	promise(total > 0, "no request is empty");
	promise(total <= (braze_request_endpoint(request) == BRAZE_USERS_TRACK ? limits.max_objects : 50),
			"no request has too many objects");
	(void) braze_request_body(request, &length);
	promise(length <= limits.max_body, "no body is too large");
	if (braze_endpoints[braze_request_endpoint(request)].one_kind)
		for (int i = 1; i < n; i++)
			promise(marks[i].kind == marks[0].kind, "an endpoint of one array gets one");
	for (int i = 0; i < n; i++)
	{
		ModelCall  *call = &calls[marks[i].call];

		promise(call->accepted[marks[i].part] == 0 && !call->refused[marks[i].part],
				"nothing is sent that was answered");
		for (int j = 0; j < call->nusers; j++)
		{
			promise(busy[call->users[j]] == NULL || busy[call->users[j]] == request,
					"a user is in one request at a time");
			busy[call->users[j]] = request;
		}
	}
	/* inside the request, each user's calls in order */
	for (int i = 0; i < n; i++)
	{
		for (int j = i + 1; j < n; j++)
		{
			if (calls[marks[i].call].users[0] == calls[marks[j].call].users[0])
				promise(marks[i].call <= marks[j].call, "a request keeps a user's order");
		}
	}
}

/* ----- answering ----- */

static void
apply(const Mark *mark)
{
	ModelCall  *call = &calls[mark->call];

	promise(!call->bad[mark->part], "nothing bad is accepted");
	call->accepted[mark->part]++;
	for (int i = 0; i < call->nusers; i++)
	{
		if (call->unfolded)
			continue;
		promise(last_applied[call->users[i]] <= mark->call, "a user's calls arrive in order");
		last_applied[call->users[i]] = mark->call;
	}
}

static void
note_unfolding(const Mark *marks, int n, BrazeKind kind, int index)
{
	int			folded = 0;

	for (int i = 0; i < n; i++)
		folded += (marks[i].kind == kind && marks[i].index == index);
	for (int i = 0; i < n; i++)
	{
		if (folded > 1 && marks[i].kind == kind && marks[i].index == index)
			calls[marks[i].call].unfolded = true;
	}
}

static bool
element_is_bad(const Mark *marks, int n, BrazeKind kind, int index)
{
	for (int i = 0; i < n; i++)
	{
		if (marks[i].kind == kind && marks[i].index == index &&
			calls[marks[i].call].bad[marks[i].part])
			return true;
	}
	return false;
}

/* Braze's answer; what it accepts is applied */
static void
judge(BrazeRequest *request, BrazeAnswer *answer, BrazeObjectError *errors)
{
	Mark		marks[BRAZE_PACK_MAX_OBJECTS * 2];
	int			n = read_marks(request, marks);
	int			mood = dice(10);
	bool		any_bad = false;

	memset(answer, 0, sizeof(*answer));
	answer->errors = errors;
	strcpy(answer->reason, "refused whole");
	if (mood == 0)
	{
		answer->verdict = dice(2) ? BRAZE_FAILED : BRAZE_SLOW_DOWN;
		return;
	}
	for (int i = 0; i < n; i++)
		any_bad = any_bad || calls[marks[i].call].bad[marks[i].part];
	if (any_bad && mood < 5)
	{
		answer->verdict = BRAZE_REFUSED_WHOLE;
		return;
	}
	answer->verdict = (any_bad && mood < 7) ? BRAZE_SOME_REFUSED : BRAZE_ACCEPTED;
	for (int k = 0; k < BRAZE_KINDS; k++)
	{
		for (int i = 0; i < braze_request_sent(request)->counts[k]; i++)
		{
			if (!element_is_bad(marks, n, k, i))
				continue;
			errors[answer->nerrors].kind = k;
			errors[answer->nerrors].index = i;
			strcpy(errors[answer->nerrors].reason, "bad");
			answer->nerrors++;
			if (answer->verdict == BRAZE_ACCEPTED)
				note_unfolding(marks, n, k, i);
		}
	}
	for (int i = 0; i < n && answer->verdict == BRAZE_ACCEPTED; i++)
	{
		if (!element_is_bad(marks, n, marks[i].kind, marks[i].index))
			apply(&marks[i]);
	}
}

static void
forget_flying(int place)
{
	for (int i = 0; i < MAX_USERS; i++)
	{
		if (busy[i] == flying[place])
			busy[i] = NULL;
	}
	flying[place] = flying[--nflying];
}

static void
collect_done(void)
{
	const BrazeCall *call;

	while ((call = braze_pack_next_done(pack)) != NULL)
	{
		ModelCall  *model = &calls[call->id];
		int			refused = 0;

		promise(!model->out, "a call comes out once");
		model->out = true;
		for (const BrazeRefusal *refusal = call->refusals; refusal != NULL; refusal = refusal->next)
		{
			model->refused[refusal->number] = true;
			refused++;
		}
		promise(refused == call->nrefused, "refusals are counted");
		for (int i = 0; i < model->nparts; i++)
		{
			promise(model->refused[i] == model->bad[i], "exactly the bad objects are refused");
			promise(model->accepted[i] == (model->bad[i] ? 0 : 1), "each good object is accepted once");
		}
		braze_pack_forget(pack, call);
	}
}

static void
answer_one(void)
{
	BrazeAnswer answer;
	BrazeObjectError errors[BRAZE_PACK_MAX_OBJECTS];
	int			place = dice(nflying);

	judge(flying[place], &answer, errors);
	switch (braze_request_answered(pack, flying[place], &answer, 400, now))
	{
		case BRAZE_NEXT_DONE:
			forget_flying(place);
			break;
		case BRAZE_NEXT_SEND:
			check_sent(flying[place]);
			break;
		case BRAZE_NEXT_LATER:
			/* its users stay busy until it was sent again and answered */
			flying[place] = flying[--nflying];
			break;
		case BRAZE_NEXT_NO_MEMORY:
			promise(false, "there is memory");
			break;
	}
	collect_done();
}

static void
send_what_may_go(void)
{
	BrazeRequest *request;
	int64_t		wait;

	while (nflying < MAX_REQUESTS && (request = braze_pack_next_request(pack, now, &wait)) != NULL)
	{
		flying[nflying++] = request;
		check_sent(request);
		promise(braze_pack_in_flight(pack) <= limits.max_in_flight, "requests in flight are bounded");
	}
	promise(nflying > 0 || braze_pack_in_flight(pack) > 0 || wait >= 0 || braze_pack_calls(pack) == 0,
			"somebody is told when to go on");
}

static void
simulate(unsigned seed, int total, int users, int percent_bad, int max_objects,
		 int max_in_flight, size_t max_body)
{
	size_t		empty;

	srandom(seed);
	memset(&limits, 0, sizeof(limits));
	limits.max_objects = max_objects;
	limits.max_body = max_body;
	limits.max_in_flight = max_in_flight;
	limits.max_delay = 20;
	limits.identity_delay = dice(2) * 50;
	ncalls = nflying = 0;
	now = 1000;
	broken = NULL;
	memset(last_applied, 0, sizeof(last_applied));
	memset(busy, 0, sizeof(busy));
	pack = braze_pack_create(&limits);
	empty = braze_pack_memory(pack);
	for (int step = 0; broken == NULL && step < 200000; step++)
	{
		now += dice(6);
		if (ncalls < total && dice(3) > 0)
			add_call(users, percent_bad);
		send_what_may_go();
		if (nflying > 0 && dice(3) > 0)
			answer_one();
		if (ncalls == total && braze_pack_calls(pack) == 0)
			break;
	}
	ok(broken == NULL, "seed %u, %d calls of %d users, %d%% bad, %d objects, %d requests%s%s", seed,
	   total, users, percent_bad, max_objects, max_in_flight, broken ? ": broken: " : "",
	   broken ? broken : "");
	ok(braze_pack_calls(pack) == 0 && braze_pack_in_flight(pack) == 0, "all of it came out");
	/* delayed users keep their lanes until their time has come */
	now += 1000;
	send_what_may_go();
	ok(braze_pack_memory(pack) == empty, "and its memory came back");
	braze_pack_destroy(pack);
}

/* ----- one thing at a time ----- */

static void
add_events(int first, int count, int user)
{
	for (int i = first; i < first + count; i++)
	{
		char		key[40];
		char		text[80];
		BrazePackObject object = {BRAZE_EVENTS, 0, text, 0};
		BrazePackUser owner = {key, 0, -1, NULL};

		owner.length = snprintf(key, sizeof(key), "\"external_id\":\"u%d\"", user < 0 ? i : user);
		object.length = snprintf(text, sizeof(text), "{%s,\"c%d_0\":1}", key, i);
		braze_pack_add(pack, i, (BrazeRowAddress) {0, 0, 0, 0}, 1, &object, 1, &owner, now);
	}
}

static int
objects_in(BrazeRequest *request)
{
	return request == NULL ? 0 : braze_request_sent(request)->counts[BRAZE_EVENTS];
}

static void
accept(BrazeRequest *request)
{
	BrazeAnswer answer = {.verdict = BRAZE_ACCEPTED};

	braze_request_answered(pack, request, &answer, 201, now);
}

static void
test_start(void)
{
	BrazeRequest *first;
	BrazeRequest *second;
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_in_flight = 10, .max_delay = 20};
	now = 100;
	pack = braze_pack_create(&limits);
	ok(braze_pack_next_request(pack, now, &wait) == NULL && wait == -1, "an empty pack waits for nothing");
	add_events(1, 1, -1);
	first = braze_pack_next_request(pack, now, &wait);
	is_int(objects_in(first), 1, "nothing is under way: a lone call goes at once");
	add_events(2, 10, -1);
	ok(braze_pack_next_request(pack, now, &wait) == NULL, "something is under way: ten calls wait for company");
	is_int(wait, 20, "for max_batch_delay");
	now += 20;
	second = braze_pack_next_request(pack, now, &wait);
	is_int(objects_in(second), 10, "then they go");
	add_events(100, 80, -1);
	is_int(objects_in(braze_pack_next_request(pack, now, &wait)), 75, "a full request goes at once");
	ok(braze_pack_next_request(pack, now, &wait) == NULL, "what is left over waits");
	accept(second);
	accept(first);
	braze_pack_destroy(pack);

	pack = braze_pack_create(&limits);
	add_events(1, 200, 7);
	first = braze_pack_next_request(pack, now, &wait);
	is_int(objects_in(first), 75, "one user's calls fill a request");
	now += 1000;
	ok(braze_pack_next_request(pack, now, &wait) == NULL, "and his others wait for its answer");
	is_int(braze_pack_drop_waiting(pack), 76, "what waits can be dropped, from the lowest id on");
	is_int(braze_pack_calls(pack), 75, "what is under way stays");
	accept(first);
	while (braze_pack_next_done(pack) != NULL)
		continue;
	ok(braze_pack_next_request(pack, now, &wait) == NULL, "and nothing of what was dropped is sent");
	braze_pack_destroy(pack);
}

static void
test_large_call(void)
{
	static char text[200][64];
	BrazePackObject objects[200];
	BrazePackUser user = {"\"external_id\":\"u\"", 17, -1, NULL};
	BrazeRequest *request;
	int64_t		wait;
	int			sizes[4] = {0};

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_in_flight = 10};
	pack = braze_pack_create(&limits);
	for (int i = 0; i < 200; i++)
	{
		objects[i].kind = BRAZE_EVENTS;
		objects[i].number = i;
		objects[i].json = text[i];
		objects[i].length = snprintf(text[i], sizeof(text[i]), "{\"external_id\":\"u\",\"c1_%d\":1}", i);
	}
	braze_pack_add(pack, 1, (BrazeRowAddress) {0, 0, 0, 0}, 200, objects, 1, &user, now);
	add_events(2, 1, 0);
	for (int i = 0; i < 4; i++)
	{
		request = braze_pack_next_request(pack, now, &wait);
		sizes[i] = objects_in(request);
		if (request != NULL)
			accept(request);
	}
	ok(sizes[0] + sizes[1] + sizes[2] + sizes[3] == 201 && sizes[0] == 75,
	   "a call of 200 objects goes in several requests, one after the other (%d %d %d %d)",
	   sizes[0], sizes[1], sizes[2], sizes[3]);
	braze_pack_destroy(pack);
}

/* ----- what is remembered ----- */

/* as the keeper of profiles does when nobody holds one and memory is short */
static void
release_profile(BrazeProfile *profile)
{
	braze_profile_free(profile);
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
	BrazePackObject object = {BRAZE_ATTRIBUTES, 0, text, 0};
	BrazePackUser user = {"\"external_id\":\"u\"", 17, -1, profile};

	object.length = snprintf(text, sizeof(text), "{\"external_id\":\"u\",%s}", fields);
	braze_pack_add(pack, id, (BrazeRowAddress) {0}, 1, &object, 1, &user, now);
}

static void
forget_one(void)
{
	const BrazeCall *call = braze_pack_next_done(pack);

	ok(call != NULL, "a call is done");
	braze_pack_forget(pack, call);
}

static bool
body_has(BrazeRequest *request, const char *text)
{
	size_t		length;
	const char *body = request != NULL ? braze_request_body(request, &length) : NULL;

	return body != NULL && memmem(body, length, text, strlen(text)) != NULL;
}

static void
test_profiles(void)
{
	BrazeRequest *request;
	BrazeProfile *profile;
	int64_t		wait;

	limits = (BrazePackLimits) {.max_objects = 75, .max_body = BRAZE_PACK_MAX_BODY, .max_in_flight = 10,
		.changed_only = true, .release = release_profile};
	pack = braze_pack_create(&limits);
	add_attributes(1, "\"plan\":\"a\"", calloc(1, sizeof(BrazeProfile)));
	request = braze_pack_next_request(pack, now, &wait);
	/* the options have changed: from now on nothing is remembered */
	add_attributes(2, "\"plan\":\"b\"", NULL);
	accept(request);
	forget_one();
	request = braze_pack_next_request(pack, now, &wait);
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
		request = braze_pack_next_request(pack, now, &wait);
		ok(body_has(request, id == 2 ? "\"plan\":\"b\"" : "\"plan\":\"a\""),
		   "what was sent with changed_attributes_only off is remembered too (%d)", id);
		if (request != NULL)
			accept(request);
		forget_one();
	}
	braze_pack_destroy(pack);
	release_profile(profile);
}

int
main(void)
{
	test_start();
	test_profiles();
	test_large_call();
	for (unsigned seed = 1; seed <= 12; seed++)
	{
		simulate(seed, 3000, 50, 0, 75, 10, BRAZE_PACK_MAX_BODY);
		simulate(seed, 3000, 5, 2, 75, 20, BRAZE_PACK_MAX_BODY);
		simulate(seed, 1500, 1, 5, 75, 3, BRAZE_PACK_MAX_BODY);
		simulate(seed, 2000, 20, 30, 10, 5, BRAZE_PACK_MAX_BODY);
		simulate(seed, 2000, 30, 1, 1, 8, BRAZE_PACK_MAX_BODY);
		simulate(seed, 2000, 30, 3, 75, 8, 1500);
	}
	return done();
}
