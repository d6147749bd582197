/*
 * The pack against a model of Braze, with bytes as the dice.
 *
 * The first six bytes choose the shape; when the rest is used up, a generator
 * that depends on nothing lets what is left come to its end.
 *
 * link: model.c -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
 * link: ../../src/pack/pack.c ../../src/pack/discard.c ../../src/pack/deferred.c ../../src/pack/lane.c ../../src/pack/packed_call.c ../../src/pack/ready_list.c ../../src/pack/isolate.c
 * link: ../../src/pack/request.c ../../src/pack/request_state.c ../../src/pack/start_delay.c ../../src/pack/request_progress.c
 * link: ../../src/pack/request_outcome.c ../../src/pack/request_body.c ../../src/pack/identity_link.c ../../src/pack/gone.c ../../src/pack/attributes.c ../../src/pack/attribute_arrays.c ../../src/pack/profile_cache.c ../../src/pack/object_limit.c ../../src/braze/hash.c ../../src/braze/endpoint.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "pack/pack.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *bytes;
static size_t left;
static uint32_t generator;

static int
next_dice(int sides)
{
	if (left > 0)
	{
		left--;
		return *bytes++ % sides;
	}
	generator = generator * 1664525 + 1013904223;
	return (int) ((generator >> 16) % sides);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int objects[] = {1, 2, 10, 75, 225};
	ModelShape	shape = {0};
	const char *broken;

	if (size < 6)
		return 0;
	/*
	 * a step takes some ten bytes, and as many calls are added by the generator
	 */
	shape.calls = (int) (size / 8) + 10;
	if (shape.calls > 300)
		shape.calls = 300;
	shape.users = 1 + data[0] % MODEL_MAX_USERS;
	shape.percent_bad = data[1] % 60;
	shape.percent_poison = data[1] >= 240 ? 3 : 0;
	shape.max_objects = objects[data[2] % 5];
	shape.max_open_requests = 1 + data[3] % 20;
	shape.max_waiting = data[5] < 128 ? 1 + data[5] / 4 : 600;
	shape.max_body = data[4] < 128 ? 700 + (size_t) data[4] * 8 : BRAZE_PACK_MAX_BODY;
	shape.remember = data[5] % 2 != 0;
	shape.at_most_once = data[1] % 3 == 0;
	shape.out_of_memory = data[5] % 8 < 2 ? 20 : 0;
	bytes = data + 6;
	left = size - 6;
	generator = 1;

	broken = model_run(&shape, next_dice);
	if (broken != NULL)
	{
		fprintf(stderr, "broken promise: %s\n", broken);
		abort();
	}
	return 0;
}
