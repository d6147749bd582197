/*
 * How far the estimate of users is off, and that sketches merge.
 *
 * link: ../../src/braze/sketch.c ../../src/braze/hash.c -lm
 */
#include "tap.h"

#include <math.h>

#include "braze/sketch.h"

static void
add_users(BrazeSketch *sketch, int crowd, int from, int to)
{
	for (int i = from; i < to; i++)
	{
		char		key[60];
		int			length = snprintf(key, sizeof(key), "\"external_id\":\"crowd %d user %d\"", crowd, i);

		braze_sketch_add(sketch, key, length);
	}
}

/* relative error over many crowds of a size: the mean, and its deviation */
static void
estimates(int users, int crowds, double most)
{
	double		sum = 0;
	double		squares = 0;

	for (int crowd = 0; crowd < crowds; crowd++)
	{
		BrazeSketch sketch;
		double		error;

		braze_sketch_init(&sketch);
		add_users(&sketch, crowd, 0, users);
		error = braze_sketch_estimate(&sketch) / users - 1;
		sum += error;
		squares += error * error;
	}
	ok(fabs(sum / crowds) < 3 * most / sqrt(crowds) && sqrt(squares / crowds) < 1.25 * most,
	   "%d users: off by %.2f %% (deviation), %.2f %% (mean) over %d crowds", users,
	   100 * sqrt(squares / crowds), 100 * sum / crowds, crowds);
}

static bool
is_same(const BrazeSketch *a, const BrazeSketch *b)
{
	return memcmp(a->registers, b->registers, sizeof(a->registers)) == 0;
}

static void
merges(int users)
{
	char		bytes[BRAZE_SKETCH_SIZE];
	BrazeSketch all;
	BrazeSketch half;
	BrazeSketch merged;
	size_t		length;

	braze_sketch_init(&all);
	braze_sketch_init(&half);
	braze_sketch_init(&merged);
	add_users(&all, 0, 0, users);
	add_users(&half, 0, 0, users * 2 / 3);
	length = braze_sketch_write(&half, bytes);
	ok(length <= BRAZE_SKETCH_SIZE && braze_sketch_merge(&merged, bytes, length) && is_same(&merged, &half),
	   "%d users: what is written is read (%zu bytes)", users, length);
	braze_sketch_init(&half);
	add_users(&half, 0, users / 3, users);
	length = braze_sketch_write(&half, bytes);
	ok(braze_sketch_merge(&merged, bytes, length) && is_same(&merged, &all),
	   "who is in both counts once");
}

/* what was raised since, added to what was written before, is all of it */
static void
writes_raised(void)
{
	char		bytes[BRAZE_SKETCH_SIZE];
	BrazeSketch sketch;
	BrazeSketch stored;
	size_t		length;

	braze_sketch_init(&sketch);
	braze_sketch_init(&stored);
	for (int i = 0; i < 20; i++)
	{
		add_users(&sketch, 0, i * i * 20, (i + 1) * (i + 1) * 20);
		length = braze_sketch_write_raised(&sketch, bytes);
		braze_sketch_merge(&stored, bytes, length);
		braze_sketch_clear_raised(&sketch);
	}
	ok(is_same(&sketch, &stored), "what was raised adds up to all");
	add_users(&sketch, 0, 0, 8000);
	ok(sketch.nraised == 0 && braze_sketch_write_raised(&sketch, bytes) == 1,
	   "users who are known raise nothing");
}

static void
refuses(const char *bytes, size_t length, const char *what)
{
	BrazeSketch sketch;

	braze_sketch_init(&sketch);
	ok(!braze_sketch_merge(&sketch, bytes, length), "no sketch: %s", what);
}

int
main(void)
{
	BrazeSketch sketch;
	char		full[BRAZE_SKETCH_SIZE];

	braze_sketch_init(&sketch);
	ok(braze_sketch_estimate(&sketch) == 0, "nobody");
	estimates(1, 200, 0.01);
	estimates(10, 200, 0.02);
	estimates(100, 200, 0.033);
	estimates(1000, 200, 0.033);
	estimates(3000, 200, 0.033);
	estimates(10000, 100, 0.033);
	estimates(200000, 30, 0.033);
	merges(30);
	merges(3000);
	writes_raised();
	refuses("", 0, "nothing");
	refuses("\1\1", 2, "half a pair");
	refuses("\3\1\1", 3, "of another kind");
	refuses("\1\0\77", 3, "a value that no hash has");
	memset(full, 2, sizeof(full));
	refuses(full, sizeof(full) - 1, "a register too few");
	full[500] = 60;
	refuses(full, sizeof(full), "a register too high");
	memset(full + 1, 55, sizeof(full) - 1);
	ok(braze_sketch_merge(&sketch, full, sizeof(full)) && braze_sketch_estimate(&sketch) > 1e15, "more than there are");
	return done();
}
