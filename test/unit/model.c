/*
 * model.c
 *	  The pack against a model of Braze.
 */
#include "model.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

#define MAX_PARTS		6
#define MAX_REQUESTS	64
#define MAX_STEPS		200000
#define MAX_MARKS		(BRAZE_PACK_MAX_OBJECTS * 3)

/* of an attribute's value: the model does not know it, or the call has none */
#define UNKNOWN			(-1)
#define NOTHING			(-2)

/* a call as the model knows it; its objects carry "c<call>_<part>" */
typedef struct ModelCall
{
	int			nusers;
	int			users[2];
	int			link;			/* the second one's: see BrazePackUser */
	int			nparts;
	BrazeKind	kinds[MAX_PARTS];
	int			plan;			/* of the only part, if it is attributes */
	bool		silent;			/* it says nothing else, so that it may need no sending */
	bool		bad[MAX_PARTS];
	bool		poison;			/* Braze fails whenever it is sent */
	int			failed_with;	/* number of the failure that it was in, 0: none */
	int			accepted[MAX_PARTS];
	bool		refused[MAX_PARTS];
	bool		in_doubt[MAX_PARTS];	/* sent at most once, and perhaps accepted */
	bool		gone;			/* before anything of it was sent */
	bool		sent;
	bool		out;
	bool		unfolded;		/* refused folded, while what came with it was
								 * accepted: it arrives late, as the price of
								 * being judged alone */
} ModelCall;

/* one object in the body of a request */
typedef struct Mark
{
	int			call;			/* 0: the mark is the identifier */
	int			part;			/* or which user that is */
	BrazeKind	kind;
	int			index;			/* of the element in its array */
	int			plan;			/* the element's, NOTHING if it has none */
} Mark;

typedef struct ModelUser
{
	int			last_applied;	/* a call's number */
	BrazeRequest *busy;
	int			postponed_to;		/* if that does not fly: its endpoint */
	int64_t		idle_until;		/* Braze is at work on who this is */
	int			plan;			/* what Braze has */
	int			waiting;		/* calls that are not out */
	int			expected;		/* what Braze should have when none is waiting, */
	int			expected_by;	/* by this call */
	BrazeProfile *profile;		/* NULL while nobody holds it */
	int			holders;
	BrazeProfile stored;		/* without its known ones, which are here: */
	char	   *known;
	size_t		size;
} ModelUser;

static ModelShape shape;
static ModelDice dice;
static ModelCall calls[MODEL_MAX_CALLS + 1];
static int	ncalls;
static ModelUser users[MODEL_MAX_USERS + 1];	/* the last one: see step() */
static BrazeRequest *flying[MAX_REQUESTS];
static int	nflying;
static BrazePack *pack;
static BrazePackLimits limits;
static int64_t now;
static int	failures;
static unsigned steps;
static const char *broken;		/* the first promise that did not hold */

static void
promise(bool held, const char *what)
{
	if (!held && broken == NULL)
		broken = what;
}

/* ----- memory that runs out ----- */

static bool may_fail;
static bool has_failed;

extern void *__real_malloc(size_t size);
extern void *__real_calloc(size_t count, size_t size);
extern void *__real_realloc(void *old, size_t size);
extern void *__wrap_malloc(size_t size);
extern void *__wrap_calloc(size_t count, size_t size);
extern void *__wrap_realloc(void *old, size_t size);

static int	countdown = -1;		/* allocations until one fails, -1: none does */

void
model_fail_after(int allocations)
{
	countdown = allocations;
}

static bool
fails(void)
{
	if (countdown >= 0 && countdown-- == 0)
		return true;
	if (!may_fail || shape.out_of_memory == 0 || dice(shape.out_of_memory) > 0)
		return false;
	has_failed = true;
	return true;
}

void *
__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *
__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

/* from here to the next call memory may run out */
static void
memory_is_short(void)
{
	may_fail = true;
	has_failed = false;
}

static bool
memory_is_enough(void)
{
	may_fail = false;
	return !has_failed;
}

/* ----- profiles ----- */

static BrazeProfile *
hold_profile(int number)
{
	ModelUser  *user = &users[number];

	if (user->holders++ == 0)
	{
		user->profile = malloc(sizeof(BrazeProfile));
		*user->profile = user->stored;
		user->profile->salt = number;
		braze_profile_cache_read(user->profile, user->known, user->size);
	}
	return user->profile;
}

/* calls out of the queue that the pack has */
static int	flights = 0;

static void
end_flight(__attribute__((unused)) void *owner, int flight)
{
	promise(flight == 1, "only what is under way ends to be so");
	flights--;
}

/* kept by nobody, it is stored and gone: whoever uses it then is found out */
static void
release_profile(BrazeProfile *profile)
{
	ModelUser  *user = users;
	bool		short_of_memory = may_fail;

	while (user->profile != profile)
		user++;
	if (--user->holders > 0)
		return;
	may_fail = false;			/* this is the model's own */
	free(user->known);
	user->size = braze_profile_cache_size(profile);
	user->known = malloc(user->size);
	braze_profile_cache_write(profile, user->known);
	user->stored = *profile;
	user->stored.hashes = NULL;
	user->stored.nhashes = 0;
	profile->owner = NULL;		/* which the stored one has now */
	braze_profile_cache_free(profile);
	free(profile);
	user->profile = NULL;
	may_fail = short_of_memory;
}

/* ----- adding calls ----- */

static void
make_call(int id)
{
	static const BrazeKind track_kinds[] = {BRAZE_ATTRIBUTES, BRAZE_EVENTS, BRAZE_EVENTS, BRAZE_PURCHASES};
	ModelCall  *call = &calls[id];
	int			what = dice(20);
	BrazeKind	kind = track_kinds[dice(4)];

	memset(call, 0, sizeof(*call));
	call->nusers = 1;
	call->nparts = 1;
	call->link = -1;
	call->plan = NOTHING;
	if (what == 0)
	{
		kind = BRAZE_MERGE_UPDATES;
		call->nusers = 2;
	}
	else if (what == 1)
		kind = dice(2) ? BRAZE_DELETE_EXTERNAL_IDS : BRAZE_DELETE_BRAZE_IDS;
	else if (kind == BRAZE_ATTRIBUTES)
		call->plan = dice(4) == 0 ? UNKNOWN : dice(3);
	else if (dice(4) == 0)
		call->nparts += dice(MAX_PARTS);
	if (what == 2 && shape.remember)
	{
		call->nusers = 2;
		call->link = dice(2) ? BRAZE_ALIASES_TO_IDENTIFY : BRAZE_EMAILS_TO_IDENTIFY;
	}
	for (int i = 0; i < call->nusers; i++)
	{
		call->users[i] = dice(shape.users);
		users[call->users[i]].waiting++;
	}
	call->silent = (shape.remember && !shape.at_most_once && call->plan >= 0 && dice(3) == 0);
	for (int i = 0; i < call->nparts; i++)
	{
		call->kinds[i] = kind;
		call->bad[i] = (!call->silent && dice(100) < shape.percent_bad);
	}

	/* a call may end with another kind than it began with, or elsewhere */
	if (kind == BRAZE_EVENTS && call->nparts > 1)
	{
		int			last = dice(4);

		if (last < 2)
			call->kinds[call->nparts - 1] = BRAZE_PURCHASES;
		else if (last == 2)
			call->kinds[call->nparts - 1] = BRAZE_DELETE_EXTERNAL_IDS;
	}

	/* where others succeed all the time: see step() */
	call->poison = (!call->silent && dice(100) < shape.percent_poison &&
					braze_kinds[kind].endpoint == BRAZE_USERS_TRACK &&
					braze_kinds[call->kinds[call->nparts - 1]].endpoint == BRAZE_USERS_TRACK);
}

static int
write_object(char *to, size_t size, int id, int part)
{
	const ModelCall *call = &calls[id];
	char		value[40] = "\"]},{[\"";

	if (call->silent)
		return snprintf(to, size, "{\"external_id\":\"u%d\",\"plan\":\"p%d\"}",
						call->users[0], call->plan);
	if (call->plan == UNKNOWN)
		snprintf(value, sizeof(value), "1,\"plan\":{\"inc\":1}");
	else if (call->plan >= 0)
		snprintf(value, sizeof(value), "1,\"plan\":\"p%d\"", call->plan);
	return snprintf(to, size, "{\"external_id\":\"u%d\",\"c%d_%d\":%s}", call->users[0],
					id, part, value);
}

static void
add_call(int id)
{
	const ModelCall *call = &calls[id];
	char		text[MAX_PARTS][160];
	char		keys[2][40];
	BrazePackObject objects[MAX_PARTS] = {0};
	BrazePackUser owners[2];
	size_t		memory = braze_pack_memory(pack);
	int			held = braze_pack_calls(pack);
	bool		added;

	for (int i = 0; i < call->nusers; i++)
	{
		snprintf(keys[i], sizeof(keys[i]), "\"external_id\":\"u%d\"", call->users[i]);
		owners[i].key = keys[i];
		owners[i].length = strlen(keys[i]);
		owners[i].link = i == 0 ? -1 : call->link;
		owners[i].profile = shape.remember ? hold_profile(call->users[i]) : NULL;
	}
	for (int i = 0; i < call->nparts; i++)
	{
		objects[i].kind = call->kinds[i];
		objects[i].number = i;
		objects[i].json = text[i];
		objects[i].length = write_object(text[i], sizeof(text[i]), id, i);
	}
	do
	{
		memory_is_short();
		added = braze_pack_add(pack, id, (BrazeRowAddress) {.queued_at = id}, call->nparts, objects,
							   call->nusers, owners, now);
		if (memory_is_enough())
			promise(added, "adding works");
		if (!added)
			promise(braze_pack_memory(pack) == memory && braze_pack_calls(pack) == held,
					"without memory, adding leaves the pack as it was");
	} while (!added && broken == NULL);
}

/*
 * What waits is dropped, and read again from the lowest id on, as after a
 * pause.
 */
static void
drop_and_read_again(void)
{
	int64_t		lowest = braze_discard_drop_waiting(pack, NULL);
	int			count;
	BrazeHeld  *held = braze_discard_held(pack, &count);
	int			next = 0;
	int64_t		first_missing = 0;

	for (int id = 1; id <= ncalls; id++)
	{
		while (next < count && held[next].id < id)
			next++;
		if (calls[id].out || (next < count && held[next].id == id))
			continue;
		if (first_missing == 0)
			first_missing = id;
		promise(!calls[id].sent, "nothing is dropped that was sent");
		add_call(id);
	}
	promise(lowest == first_missing, "the lowest id that was dropped is known");
	free(held);
}

/* what was deferred comes back when it is wanted */
static void
add_back(void)
{
	for (int n = dice(50); n >= 0 && broken == NULL; n--)
	{
		int64_t		id = braze_deferred_wanted(pack);
		int			held = braze_pack_calls(pack);

		if (id == 0)
			break;
		add_call(id);
		promise(braze_pack_calls(pack) == held + 1, "a call that is wanted is reloaded");
	}
}

static bool
all_out(void)
{
	for (int id = 1; id <= ncalls; id++)
	{
		if (!calls[id].out)
			return false;
	}
	return ncalls >= shape.calls;
}

/* ----- reading a body ----- */

static void
note_plan(Mark *marks, int n, int plan)
{
	/* it may come before or behind the marks of its element */
	for (int i = n - 1; i >= 0 && marks[i].index == marks[n - 1].index && marks[i].kind == marks[n - 1].kind; i--)
		marks[i].plan = plan;
}

/*
 * Finds the marks of a body in the order in which Braze applies them, and
 * marks its users busy.
 */
static int
read_marks(BrazeRequest *request, Mark *marks)
{
	size_t		length;
	const char *body = braze_request_state_body(request, &length);
	const BrazeSent *sent = braze_request_state_sent(request);
	int			n = 0;
	int			depth = 0;
	int			index = -1;
	int			plan = NOTHING;
	int			counts[BRAZE_KINDS] = {0};
	BrazeKind	kind = 0;

	promise(length > 2 && body[0] == '{' && body[length - 1] == '}', "the body is an object");
	for (const char *p = body; p < body + length && broken == NULL; p++)
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
						braze_kinds[k].endpoint == braze_request_state_endpoint(request))
						kind = k;
				}
				index = -1;
			}
			else if (*begin == 'u' && begin[1] >= '0' && begin[1] <= '9')
			{
				ModelUser  *user = &users[atoi(begin + 1)];

				promise(user->busy == NULL || user->busy == request,
						"a user is in one request at a time");
				promise(now >= user->idle_until, "identity_delay is kept");
				user->busy = request;
				marks[n++] = (Mark) {0, atoi(begin + 1), kind, index, plan};
			}
			else if (*begin == 'c' && begin[1] >= '0' && begin[1] <= '9')
			{
				marks[n].call = atoi(begin + 1);
				marks[n].part = atoi(strchr(begin, '_') + 1);
				marks[n].kind = kind;
				marks[n].index = index;
				marks[n].plan = plan;
				n++;
			}
			else if (p - begin == 4 && memcmp(begin, "plan", 4) == 0)
			{
				plan = p[2] == '"' ? atoi(p + 4) : UNKNOWN;
				if (n > 0 && marks[n - 1].index == index && marks[n - 1].kind == kind)
					note_plan(marks, n, plan);
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
				plan = NOTHING;
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
	Mark		marks[MAX_MARKS];
	int			n = read_marks(request, marks);
	BrazeEndpoint endpoint = braze_request_state_endpoint(request);
	int			total = 0;
	int			arrays = 0;
	int			first = 0;
	size_t		length;

	for (int k = 0; k < BRAZE_KINDS; k++)
	{
		total += braze_request_state_sent(request)->counts[k];
		arrays += (braze_request_state_sent(request)->counts[k] > 0);
	}
	promise(total > 0, "no request is empty");
	promise(total <= (endpoint == BRAZE_USERS_TRACK ? limits.max_objects : 50),
			"no request has too many objects");
	(void) braze_request_state_body(request, &length);
	promise(length <= limits.max_body, "no body is too large");
	promise(arrays == 1 || !braze_endpoints[endpoint].one_kind,
			"an endpoint of one array gets one");
	for (int i = n - 1; i >= 0; i--)
		first = (marks[i].call > 0) ? i : first;
	for (int i = 0; i < n; i++)
	{
		ModelCall  *call = &calls[marks[i].call];

		if (marks[i].call == 0)
			continue;
		promise(call->accepted[marks[i].part] == 0 && !call->refused[marks[i].part],
				"nothing is sent that was answered");
		promise(!call->in_doubt[marks[i].part], "nothing is sent twice");
		promise(!call->gone, "nothing is sent that is gone");
		promise(braze_kinds[call->kinds[marks[i].part]].endpoint == endpoint,
				"an object is sent where it belongs");
		call->sent = true;
		promise(call->failed_with == calls[marks[first].call].failed_with,
				"what failed is tried again without company");
		for (int j = 0; j < call->nusers; j++)
		{
			ModelUser  *user = &users[call->users[j]];

			promise(user->busy == NULL || user->busy == request,
					"a user is in one request at a time");
			user->busy = request;
		}
	}
	/* inside the request, each user's calls in order */
	for (int i = 0; i < n; i++)
	{
		for (int j = i + 1; j < n; j++)
		{
			if (marks[i].call > 0 && marks[j].call > 0 &&
				calls[marks[i].call].users[0] == calls[marks[j].call].users[0])
				promise(marks[i].call <= marks[j].call, "a request keeps a user's order");
		}
	}
}

/* ----- answering ----- */

static void
apply(const Mark *mark)
{
	ModelCall  *call = &calls[mark->call];

	/*
	 * whom an identity object is about is somebody
	 * else afterwards, for all that is known
	 */
	if (mark->call == 0)
	{
		if (braze_kinds[mark->kind].endpoint != BRAZE_USERS_TRACK)
			users[mark->part].plan = UNKNOWN;
		else if (mark->plan != NOTHING)
			users[mark->part].plan = mark->plan;
		return;
	}
	promise(!call->bad[mark->part], "nothing bad is accepted");
	call->accepted[mark->part]++;
	for (int i = 0; i < call->nusers; i++)
	{
		ModelUser  *user = &users[call->users[i]];

		if (braze_kinds[mark->kind].endpoint != BRAZE_USERS_TRACK)
			user->plan = UNKNOWN;
		if (call->unfolded)
			continue;
		promise(user->last_applied <= mark->call, "a user's calls arrive in order");
		user->last_applied = mark->call;
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

/*
 * sent at most once, and nobody knows what
 * became of it: Braze may have all that is good
 */
static void
leave_in_doubt(const Mark *marks, int n)
{
	bool		applied = dice(2) == 0;

	for (int i = 0; i < n; i++)
	{
		ModelCall  *call = &calls[marks[i].call];

		if (marks[i].call == 0)
			continue;
		if (applied && !call->bad[marks[i].part])
			apply(&marks[i]);
		call->in_doubt[marks[i].part] = true;
	}
}

static bool
element_is_bad(const Mark *marks, int n, BrazeKind kind, int index)
{
	for (int i = 0; i < n; i++)
	{
		if (marks[i].kind == kind && marks[i].index == index &&
			marks[i].call > 0 && calls[marks[i].call].bad[marks[i].part])
			return true;
	}
	return false;
}

/* Braze's answer; what it accepts is applied */
static void
judge(BrazeRequest *request, BrazeAnswer *answer, BrazeObjectError *errors)
{
	Mark		marks[MAX_MARKS];
	int			n = read_marks(request, marks);
	int			mood = dice(10);
	bool		any_bad = false;

	memset(answer, 0, sizeof(*answer));
	answer->errors = errors;
	strcpy(answer->reason, "refused whole");
	if (mood == 0)
	{
		static const BrazeVerdict passing[] = {BRAZE_FAILED, BRAZE_SLOW_DOWN, BRAZE_STOPPED};

		answer->verdict = passing[dice(3)];
	}
	for (int i = 0; i < n; i++)
	{
		if (marks[i].call > 0 && calls[marks[i].call].poison)
			answer->verdict = BRAZE_FAILED;
	}
	answer->in_doubt = (answer->verdict == BRAZE_FAILED && dice(2) == 0);
	if (answer->in_doubt && shape.at_most_once)
		leave_in_doubt(marks, n);
	else if (answer->verdict == BRAZE_FAILED)
	{
		failures++;
		for (int i = 0; i < n; i++)
			calls[marks[i].call].failed_with = failures;
	}
	if (answer->verdict > BRAZE_REFUSED_WHOLE)
		return;
	for (int i = 0; i < n; i++)
		any_bad = any_bad || element_is_bad(marks, n, marks[i].kind, marks[i].index);
	if (any_bad && mood < 5)
	{
		answer->verdict = BRAZE_REFUSED_WHOLE;
		return;
	}
	answer->verdict = (any_bad && mood < 7) ? BRAZE_SOME_REFUSED : BRAZE_ACCEPTED;
	for (int k = 0; k < BRAZE_KINDS; k++)
	{
		for (int i = 0; i < braze_request_state_sent(request)->counts[k]; i++)
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
	if (answer->verdict != BRAZE_ACCEPTED)
		return;
	for (int i = 0; i < n; i++)
	{
		if (!element_is_bad(marks, n, marks[i].kind, marks[i].index))
			apply(&marks[i]);
	}
}

static void
forget_flying(int place, bool judged, BrazeEndpoint endpoint)
{
	for (int i = 0; i <= MODEL_MAX_USERS; i++)
	{
		if (users[i].busy != flying[place])
			continue;
		users[i].busy = NULL;
		if (judged && endpoint != BRAZE_USERS_TRACK)
			users[i].idle_until = now + limits.identity_delay;
	}
	flying[place] = flying[--nflying];
}

/*
 * the requests postponed for an endpoint are no more, and their users are free
 */
static void
recall(BrazeEndpoint endpoint)
{
	braze_request_progress_cancel_postponed(pack, endpoint, now);
	for (int i = 0; i <= MODEL_MAX_USERS; i++)
	{
		bool		is_flying = false;

		for (int j = 0; j < nflying; j++)
			is_flying = is_flying || users[i].busy == flying[j];
		if (!is_flying && users[i].postponed_to == (int) endpoint)
			users[i].busy = NULL;
	}
}

/*
 * When all calls of a user are out, Braze must have the attribute of the last
 * of them, whether it was sent or excluded.
 */
static void
expect_plans(int id)
{
	const ModelCall *call = &calls[id];

	for (int i = 0; i < call->nusers; i++)
	{
		ModelUser  *user = &users[call->users[i]];
		bool		known = (i == 0 && call->plan != NOTHING && !call->refused[0]);
		bool		unknown = (i > 0 || (call->link >= 0 && !known) ||
							   braze_kinds[call->kinds[call->nparts - 1]].endpoint != BRAZE_USERS_TRACK);

		if ((known || unknown) && id >= user->expected_by)
		{
			user->expected = (unknown ? UNKNOWN : call->plan);
			user->expected_by = id;
		}
		if (--user->waiting == 0 && user->expected != UNKNOWN && !shape.at_most_once)
			promise(user->plan == user->expected, "no attribute is left out that Braze does not have");
	}
}

static void
collect_done(void)
{
	const BrazeCall *call;

	while ((call = braze_pack_next_done(pack)) != NULL)
	{
		ModelCall  *model = &calls[call->id];
		int			refused = 0;
		bool		gave_up = false;

		promise(!model->out, "a call comes out once");
		model->out = true;
		for (const BrazeRefusal *refusal = call->refusals; refusal != NULL; refusal = refusal->next)
		{
			refused++;
			gave_up = gave_up || strncmp(refusal->reason, "queued ", 7) == 0;
			if (refusal->number == BRAZE_LINK_ALONE)
				continue;
			if (refusal->number == BRAZE_WHOLE_CALL)
			{
				promise(gave_up && call->nrefused == 1, "only who gives up refuses a whole call");
				for (int i = 0; i < model->nparts; i++)
					model->refused[i] = true;
				continue;
			}
			promise(refusal->number >= 0 && refusal->number < model->nparts && !model->refused[refusal->number],
					"an object is refused once");
			if (broken != NULL)
				return;
			model->refused[refusal->number] = true;
		}
		promise(refused == call->nrefused, "refusals are counted");
		for (int i = 0; i < model->nparts; i++)
		{
			if (model->gone)
				continue;
			promise(model->refused[i] == (model->bad[i] || model->poison || model->in_doubt[i]) || gave_up,
					"exactly the bad objects are refused, and those in doubt");
			promise(model->accepted[i] == (model->refused[i] ? 0 : 1) || model->silent ||
					(model->in_doubt[i] && model->accepted[i] <= 1),
					"each good object is accepted once");
		}
		expect_plans((int) call->id);
		braze_pack_free_call(pack, call);
	}
}

static void
answer_one(void)
{
	BrazeAnswer answer;
	BrazeObjectError errors[BRAZE_PACK_MAX_OBJECTS];
	int			place = dice(nflying);
	BrazeRequest *request = flying[place];
	BrazeEndpoint endpoint = braze_request_state_endpoint(request);
	BrazeNext	next;

	judge(request, &answer, errors);
	next = braze_request_outcome_apply(pack, request, &answer,
								  answer.verdict == BRAZE_FAILED ? 503 : 400, now);
	switch (next)
	{
		case BRAZE_NEXT_DONE:
			forget_flying(place, true, endpoint);
			break;
		case BRAZE_NEXT_SEND:
			/*
			 * postponed, its users stay busy until
			 * it was sent again and answered
			 */
			if (dice(5) == 0)
			{
				braze_request_state_postpone(pack, request);
				for (int i = 0; i <= MODEL_MAX_USERS; i++)
				{
					if (users[i].busy == request)
						users[i].postponed_to = endpoint;
				}
				flying[place] = flying[--nflying];
				if (dice(5) == 0)
					recall(endpoint);
			}
			else
				check_sent(request);
			break;
		case BRAZE_NEXT_LATER:
			forget_flying(place, false, endpoint);
			break;
		case BRAZE_NEXT_NO_MEMORY:
			promise(false, "there is memory");
			break;
	}
	collect_done();
}

/*
 * Takes its calls out of the queue, but for one that is gone or locked now and
 * then; false when nothing is left to send.
 */
static bool
launch(BrazeRequest *request)
{
	bool		waits[BRAZE_PACK_MAX_OBJECTS] = {false};

	for (int i = 0; i < braze_gone_ncalls(request); i++)
	{
		BrazeCall  *call = braze_gone_call(request, i);

		for (int j = 0; j < i; j++)
			waits[i] = waits[i] || (waits[j] && braze_gone_follows(request, j, i));
		if (call->letter != 0)
			continue;
		if (waits[i] || dice(50) == 0)
		{
			waits[i] = true;
			braze_gone_exclude(request, i, false);
		}
		else if (!calls[call->id].sent && dice(100) == 0)
		{
			calls[call->id].gone = true;
			braze_gone_exclude(request, i, true);
		}
		else
		{
			call->letter = call->id;
			call->flight = 1;
			flights++;
		}
	}
	switch (braze_request_progress_next(pack, request, now))
	{
		case BRAZE_NEXT_SEND:
			for (int i = 0; i < braze_gone_ncalls(request); i++)
				promise(waits[i] || calls[braze_gone_call(request, i)->id].gone ||
						braze_gone_call(request, i)->letter != 0, "what is sent has left the queue");
			return true;
		case BRAZE_NEXT_DONE:
			return false;
		default:
			promise(false, "there is memory");
			return false;
	}
}

/* what waits again is put back */
static void
put_back(void)
{
	BrazeCall  *call = NULL;

	if (!braze_gone_has_stranded(pack))
		return;
	while ((call = braze_gone_next_stranded(pack, call)) != NULL)
	{
		promise(!call->judged, "nothing is put back that was judged");
		call->letter = 0;
		flights--;
	}
	braze_gone_end_stranded(pack);
}

static void
send_what_may_go(void)
{
	int64_t		wait = -1;
	bool		enough = true;
	bool		open = true;
	BrazeGates	gates;

	gates.one_call = dice(10) == 0;
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		gates.fresh[i] = dice(20) > 0;
		gates.again[i] = dice(20) > 0;
		open = open && gates.fresh[i] && gates.again[i];
	}
	while (nflying < MAX_REQUESTS && broken == NULL)
	{
		BrazeRequest *request;

		memory_is_short();
		request = braze_request_next(pack, &gates, now, &wait);
		enough = memory_is_enough();
		if (request == NULL)
			break;
		if (shape.at_most_once && !launch(request))
			continue;
		flying[nflying++] = request;
		check_sent(request);
		promise(pack->open_requests <= limits.max_open_requests, "requests in flight are bounded");
	}
	collect_done();
	promise(nflying > 0 || pack->open_requests > 0 || wait >= 0 ||
			braze_pack_calls(pack) == 0 || !enough || !open, "somebody is told when to go on");
	if (nflying == 0 && wait > 0)
		now += wait;
}

/* nothing has succeeded for long: the oldest calls are given up */
static void
give_up(void)
{
	BrazeGivingUp why = {.wall_clock = INT64_C(1000000000), .reason = "enough", .http_status = 503};
	bool		done;

	why.endpoints[dice(BRAZE_ENDPOINTS)] = true;
	why.queued_before = dice(ncalls + 1);
	memory_is_short();
	done = braze_discard_give_up(pack, &why, now);
	promise(done || !memory_is_enough(), "giving up works unless memory is out");
	memory_is_enough();
	collect_done();
}

/* ----- what holds inside the pack after every step ----- */

/* returns how many calls stand in it */
static int
check_lane(const Lane *lane)
{
	const PackedCall *tail = NULL;
	int			objects = 0;
	int			n = 0;

	promise((lane->busy != NULL) == (lane->taken_calls > 0), "a lane is busy as long as a request has calls of it");
	for (PackedCall *call = lane->head; call != NULL; call = *braze_lane_link(call, lane))
	{
		promise(call->state == CALL_WAITING, "what stands in a lane waits");
		objects += braze_lane_remaining_objects(call);
		n++;
		tail = call;
	}
	promise(lane->tail == tail && lane->waiting_objects == objects, "a lane knows its end and its objects");
	return n;
}

/* returns in how many lanes it has to stand */
static int
check_call(const PackedCall *call)
{
	bool		may_go = call->state == CALL_WAITING;

	for (int i = 0; i < call->nlanes; i++)
		may_go = may_go && call->users[i].lane->head == call && call->users[i].lane->busy == NULL &&
			call->users[i].lane->not_before == 0;
	promise(call->ready == may_go, "a call is ready when it heads its lanes and these are idle");
	promise(call->state == CALL_TAKEN ? call->taken > 0 && call->taken <= braze_lane_remaining_objects(call) : call->taken == 0 || call->state == CALL_DONE,
			"a request has objects that remain");
	return call->state == CALL_WAITING ? call->nlanes : 0;
}

static void
check_list(const ReadyList *list)
{
	int64_t		objects = 0;

	for (const PackedCall *call = list->calls.head; call != NULL; call = call->next)
	{
		promise(call->ready, "what is on the list is ready");
		objects += call->ready_weight;
	}
	promise(list->objects == objects, "a list's objects are the sum of its weights");
}

static void
check_pack(void)
{
	int			standing = 0;

	for (size_t i = 0; i < pack->nbuckets; i++)
	{
		for (const Lane *lane = pack->buckets[i]; lane != NULL; lane = lane->next_in_bucket)
			standing += check_lane(lane);
	}
	for (const PackedCall *call = pack->all; call != NULL; call = call->all_next)
		standing -= check_call(call);
	promise(standing == 0, "a call that waits stands in all its lanes");
	for (int i = 0; i < BRAZE_ENDPOINTS; i++)
	{
		check_list(&pack->ready[i]);
		check_list(&pack->again[i]);
	}
	for (const BrazeRequest *request = pack->requests; request != NULL; request = request->next)
		promise(request->nranges >= 0 && request->nranges <= MAX_RANGES, "ranges have room");
}

/* ----- all of it ----- */

static void
begin(const ModelShape *of, ModelDice with)
{
	shape = *of;
	dice = with;
	ncalls = nflying = failures = 0;
	now = 1000;
	broken = NULL;
	for (int i = 0; i <= MODEL_MAX_USERS; i++)
	{
		memset(&users[i], 0, sizeof(users[i]));
		users[i].plan = users[i].expected = UNKNOWN;
	}
	memset(&limits, 0, sizeof(limits));
	limits.max_objects = shape.max_objects;
	limits.max_body = shape.max_body;
	limits.max_open_requests = shape.max_open_requests;
	limits.max_delay = 20;
	limits.max_waiting = shape.max_waiting;
	limits.identity_delay = dice(2) * 50;
	limits.changed_only = shape.remember && !shape.at_most_once;
	limits.at_most_once = shape.at_most_once;
	limits.release = release_profile;
	limits.end_flight = end_flight;
	pack = braze_pack_create(&limits);
}

static void
step(void)
{
	now += dice(6);
	if (ncalls < shape.calls && dice(3) > 0)
	{
		make_call(++ncalls);
		add_call(ncalls);
	}
	else if (ncalls >= shape.calls && shape.percent_poison > 0 && ncalls < MODEL_MAX_CALLS &&
			 dice(30) == 0)
	{
		/* a call is blamed only while others succeed: those of somebody else */
		ModelCall  *call = &calls[++ncalls];

		memset(call, 0, sizeof(*call));
		call->nusers = call->nparts = 1;
		call->users[0] = MODEL_MAX_USERS;
		call->link = -1;
		call->plan = NOTHING;
		call->kinds[0] = BRAZE_EVENTS;
		users[MODEL_MAX_USERS].waiting++;
		add_call(ncalls);
	}
	if (dice(3) == 0)
		add_back();
	if (dice(200) == 0)
		drop_and_read_again();
	if (shape.percent_poison > 0 && dice(200) == 0)
		give_up();
	if (shape.remember && !shape.at_most_once && dice(100) == 0)
	{
		limits.changed_only = !limits.changed_only;
		braze_pack_set_limits(pack, &limits);
	}
	send_what_may_go();
	if (nflying > 0 && dice(3) > 0)
		answer_one();
	if (dice(2) == 0)
		put_back();
	if (++steps % 8 == 0)
		check_pack();
}

static void
end(size_t empty)
{
	promise(all_out() && braze_pack_calls(pack) == 0 && pack->open_requests == 0,
			"all calls come out");
	/* delayed users keep their lanes until their time has come */
	now += 100000;
	shape.out_of_memory = 0;
	send_what_may_go();
	promise(braze_pack_memory(pack) == empty, "their memory comes back");
	for (int i = 0; i <= MODEL_MAX_USERS; i++)
		promise(users[i].holders == 0, "no profile is held for ever");
}

const char *
model_run(const ModelShape *of, ModelDice with)
{
	size_t		empty;

	begin(of, with);
	empty = braze_pack_memory(pack);
	for (int i = 0; broken == NULL && i < MAX_STEPS; i++)
	{
		step();
		if (ncalls >= shape.calls && braze_pack_calls(pack) == 0 && all_out())
			break;
	}
	end(empty);
	braze_pack_destroy(pack);
	promise(flights == 0, "nothing is under way at the end");
	for (int i = 0; i <= MODEL_MAX_USERS; i++)
	{
		free(users[i].known);
		free(users[i].stored.owner);
	}
	return broken;
}
