/*
 * Reading, folding and filtering attributes objects.
 *
 * link: ../../src/pack/attributes.c ../../src/pack/attribute_arrays.c ../../src/pack/profile_cache.c ../../src/braze/hash.c
 */
#include "tap.h"

#include <stdlib.h>

#include "collide.h"
#include "pack/attribute_arrays.h"
#include "pack/profile_cache.h"

static char *
written(const BrazeAttributes *fields)
{
	static char text[10000];

	*braze_attributes_write(fields, text) = '\0';
	return text;
}

/* the last is what comes out, NULL ends the list */
static void
fold_all(const char *first,...)
{
	BrazeAttributes all;
	BrazeAttributes later;
	const char *next = NULL;
	const char *json;
	va_list		args;

	braze_attributes_init(&all);
	braze_attributes_init(&later);
	braze_attributes_read(&all, first, strlen(first));
	va_start(args, first);
	for (json = va_arg(args, const char *); (next = va_arg(args, const char *)) != NULL; json = next)
	{
		braze_attributes_read(&later, json, strlen(json));
		braze_attributes_fold(&all, &later);
	}
	va_end(args);
	braze_attribute_arrays_unite(&all);
	is_text(written(&all), json, "fold");
	braze_attributes_free(&all);
	braze_attributes_free(&later);
}

#define folds(first, second, expected)	fold_all(first, second, expected, NULL)

static void
stands_alone(const char *json, bool expected)
{
	uint16_t	points;

	ok(braze_attributes_stand_alone(json, strlen(json), &points) == expected,
	   "%s %s", expected ? "stands alone:" : "may be folded:", json);
}

static BrazeProfile profile;

static bool
accepted_within(const char *json, uint32_t hour, uint32_t max_age)
{
	BrazeAttributes fields;
	bool		fine;

	braze_attributes_init(&fields);
	braze_attributes_read(&fields, json, strlen(json));
	fine = braze_profile_cache_accepted(&profile, &fields, hour, max_age);
	braze_attributes_free(&fields);
	return fine;
}

static bool
accepted(const char *json, uint32_t hour)
{
	return accepted_within(json, hour, 0);
}

static void
filters(const char *json, uint32_t hour, uint32_t max_age, const char *expected)
{
	BrazeAttributes fields;

	braze_attributes_init(&fields);
	braze_attributes_read(&fields, json, strlen(json));
	braze_profile_cache_filter(&profile, &fields, hour, max_age);
	is_text(written(&fields), expected, "filter");
	braze_attributes_free(&fields);
}

/* how many attributes Braze has, which is all; 0: it has to be filtered */
static int
known_in(const char *json, uint32_t hour, uint32_t max_age)
{
	return braze_profile_cache_knows_text(&profile, json, strlen(json), hour, max_age);
}

/* a text that was looked at before is known until something else may be */
static void
same_texts(void)
{
	static const char json[] = "{\"external_id\":\"u\",\"a\":1,\"b\":\"x\"}";
	char		bytes[200];
	size_t		size;

	accepted(json, 10);
	is_int(known_in(json, 10, 5), 0, "a text that nobody has noted has to be filtered");
	braze_profile_cache_note_text(&profile, json, strlen(json), 10, 5, 2);
	is_int(known_in(json, 10, 5), 2, "one that was noted need not be");
	is_int(known_in("{\"external_id\":\"u\",\"a\":1,\"b\":\"y\"}", 10, 5), 0, "but another one");
	is_int(known_in(json, 11, 5), 0, "and the same an hour later");
	is_int(known_in(json, 10, 4), 0, "and with another age");
	accepted("{\"external_id\":\"u\",\"c\":1}", 10);
	is_int(known_in(json, 10, 5), 0, "and after Braze has accepted something");

	braze_profile_cache_note_text(&profile, json, strlen(json), 10, 5, 2);
	size = braze_profile_cache_size(&profile);
	braze_profile_cache_write(&profile, bytes);
	braze_profile_cache_read(&profile, bytes, size);
	is_int(known_in(json, 10, 5), 0, "and after what is known was read");
	braze_profile_cache_note_text(&profile, json, strlen(json), 10, 5, 2);
	braze_profile_cache_reset(&profile);
	is_int(known_in(json, 10, 5), 0, "and when nothing is known");
	braze_profile_cache_note_text(&profile, json, strlen(json), 10, 5, 2);
	braze_profile_cache_clear(&profile);
	is_int(known_in(json, 10, 5), 0, "and after a deletion");
}

/* the objects become one before what is known is taken out of it */
static void
filters_folded(const char *first, const char *second, const char *third,
			   const char *expected)
{
	BrazeAttributes all;
	BrazeAttributes later;

	braze_attributes_init(&all);
	braze_attributes_init(&later);
	braze_attributes_read(&all, first, strlen(first));
	braze_attributes_read(&later, second, strlen(second));
	braze_attributes_fold(&all, &later);
	braze_attributes_read(&later, third, strlen(third));
	braze_attributes_fold(&all, &later);
	braze_profile_cache_filter(&profile, &all, 10, 0);
	is_text(written(&all), expected, "filter what was folded");
	braze_attributes_free(&all);
	braze_attributes_free(&later);
}

/* more than are remembered: the others are sent whenever they come */
static void
many_attributes(void)
{
	static char json[BRAZE_MAX_ATTRIBUTE_HASHES * 4 * 24];
	char	   *to = json;

	to += sprintf(to, "{\"external_id\":\"u\"");
	for (int i = 0; i < BRAZE_MAX_ATTRIBUTE_HASHES * 2; i++)
		to += sprintf(to, ",\"a%d\":1", i);
	strcpy(to, "}");
	accepted(json, 10);
	is_int(profile.nhashes, BRAZE_MAX_ATTRIBUTE_HASHES, "no more attributes are remembered than a row may hold");
	accepted(json, 11);
	is_int(profile.nhashes, BRAZE_MAX_ATTRIBUTE_HASHES, "and no more after that");
	braze_profile_cache_reset(&profile);
}

/* values that anybody could make: a changed one must never look unchanged */
static void
collide_values(void)
{
	char		first[] = "{\"external_id\":\"u\",\"plan\":\"aaaaaaaAAAAAAAA\"}";
	char		second[] = "{\"external_id\":\"u\",\"plan\":\"bbbbbbbAAAAAAAA\"}";
	size_t		at = strstr(first, "\"aa") - first;

	make_collide(first + at, 8, 17);
	make_collide(second + at, 8, 17);
	ok(weak_hash(first + at, 17, 17) == weak_hash(second + at, 17, 17), "two values collide without a key");
	accepted(first, 10);
	filters(first, 10, 0, "{\"external_id\":\"u\"}");
	filters(second, 10, 0, second);
}

static void
is_owned(void)
{
	ok(!braze_profile_cache_is_owner(&profile, "", 0), "nobody owns it");
	braze_profile_cache_set_owner(&profile, "u1", 2);
	ok(braze_profile_cache_is_owner(&profile, "u1", 2) && !braze_profile_cache_is_owner(&profile, "u2", 2) &&
	   !braze_profile_cache_is_owner(&profile, "u1x", 3), "somebody does");
	braze_profile_cache_set_owner(&profile, NULL, 0);
	ok(!braze_profile_cache_is_owner(&profile, "u1", 2), "and does no longer");
}

int
main(void)
{
	char		bytes[2000];
	BrazeProfile copy;

	folds("{\"external_id\":\"u\",\"a\":1,\"b\":2}", "{\"external_id\":\"u\",\"b\":3,\"c\":4}",
		  "{\"external_id\":\"u\",\"a\":1,\"b\":3,\"c\":4}");
	folds("{\"external_id\":\"u\",\"a\":[1,2]}", "{\"external_id\":\"u\",\"a\":null}",
		  "{\"external_id\":\"u\",\"a\":null}");
	folds("{\"external_id\":\"a\\\"},{\",\"x\":\"]}\\\\\"}", "{\"external_id\":\"a\\\"},{\",\"y\":{\"z\":[{}]}}",
		  "{\"external_id\":\"a\\\"},{\",\"x\":\"]}\\\\\",\"y\":{\"z\":[{}]}}");
	folds("{\"external_id\":\"u\\\\\",\"x\":\"\\\\\\\\\",\"y\":\"\\\\\\\"\",\"z\":1}", "{\"external_id\":\"u\\\\\",\"y\":2,\"z\":\"\\\\\"}",
		  "{\"external_id\":\"u\\\\\",\"x\":\"\\\\\\\\\",\"y\":2,\"z\":\"\\\\\"}");
	folds("{\"external_id\":\"u\",\"subscription_groups\":[{\"subscription_group_id\":\"1\",\"subscription_state\":\"subscribed\"},{\"subscription_group_id\":\"2\",\"subscription_state\":\"subscribed\"}]}",
		  "{\"external_id\":\"u\",\"subscription_groups\":[{\"subscription_group_id\":\"1\",\"subscription_state\":\"unsubscribed\"}]}",
		  "{\"external_id\":\"u\",\"subscription_groups\":[{\"subscription_group_id\":\"2\",\"subscription_state\":\"subscribed\"},{\"subscription_group_id\":\"1\",\"subscription_state\":\"unsubscribed\"}]}");
	folds("{\"external_id\":\"u\",\"push_tokens\":[{\"app_id\":\"x\",\"token\":\"t1\"}]}",
		  "{\"external_id\":\"u\",\"push_tokens\":[{\"app_id\":\"x\",\"token\":\"t2\"}]}",
		  "{\"external_id\":\"u\",\"push_tokens\":[{\"app_id\":\"x\",\"token\":\"t1\"},{\"app_id\":\"x\",\"token\":\"t2\"}]}");
	folds("{\"external_id\":\"u\",\"push_tokens\":[{\"app_id\":\"x\",\"token\":\"t1\"}]}",
		  "{\"external_id\":\"u\",\"push_tokens\":[]}",
		  "{\"external_id\":\"u\",\"push_tokens\":[{\"app_id\":\"x\",\"token\":\"t1\"}]}");
	folds("{\"external_id\":\"u\"}", "{\"external_id\":\"u\",\"a\":1}", "{\"external_id\":\"u\",\"a\":1}");

	/* of several arrays: each element as the latest of them has it */
	fold_all("{\"external_id\":\"u\",\"push_tokens\":[{\"token\":\"t1\"},{\"token\":\"t1\"},7,{\"token\":\"t2\",\"a\":1}]}",
			 "{\"external_id\":\"u\",\"push_tokens\":[{\"a\":2,\"token\":\"t2\"}]}",
			 "{\"external_id\":\"u\",\"push_tokens\":[]}",
			 "{\"external_id\":\"u\",\"push_tokens\":[{\"token\":\"t3\"},{\"token\":\"t2\",\"a\":3}]}",
			 "{\"external_id\":\"u\",\"push_tokens\":[{\"token\":\"t1\"},{\"token\":\"t1\"},7,{\"token\":\"t3\"},{\"token\":\"t2\",\"a\":3}]}", NULL);
	fold_all("{\"external_id\":\"u\",\"push_tokens\":[{\"token\":\"t1\"}]}",
			 "{\"external_id\":\"u\",\"push_tokens\":[{\"token\":\"t2\"}]}",
			 "{\"external_id\":\"u\",\"push_tokens\":null}",
			 "{\"external_id\":\"u\",\"push_tokens\":null}", NULL);
	fold_all("{\"external_id\":\"u\",\"push_tokens\":null}",
			 "{\"external_id\":\"u\",\"push_tokens\":[{\"token\":\"t1\"}]}",
			 "{\"external_id\":\"u\",\"push_tokens\":[{\"token\":\"t2\"}]}",
			 "{\"external_id\":\"u\",\"push_tokens\":[{\"token\":\"t1\"},{\"token\":\"t2\"}]}", NULL);

	stands_alone("{\"external_id\":\"u\",\"a\":1}", false);
	stands_alone("{\"external_id\":\"u\",\"a\":{\"inc\":1}}", true);
	stands_alone("{\"external_id\":\"u\",\"a\":{\"b\":1,\"$add\":[]}}", true);
	stands_alone("{\"external_id\":\"u\",\"a\":{\"b\":{\"inc\":1}}}", false);
	stands_alone("{\"external_id\":\"u\",\"a\":{\"increase\":1}}", false);
	stands_alone("{\"external_id\":\"u\",\"a\":\"{\\\"inc\\\":1}\"}", false);
	stands_alone("{\"external_id\":\"u\",\"_merge_objects\":true,\"a\":{}}", true);
	stands_alone("{\"external_id\":\"u\",\"_merge_objects\":false,\"a\":{}}", false);

	filters("{\"external_id\":\"u\",\"a\":1}", 10, 0, "{\"external_id\":\"u\",\"a\":1}");
	accepted("{\"external_id\":\"u\",\"a\":1,\"b\":\"x\",\"language\":\"en\"}", 10);
	ok(profile.dirty, "what was accepted makes the profile dirty");
	filters("{\"external_id\":\"u\",\"a\":1,\"b\":\"y\",\"language\":\"en\"}", 10, 0,
			"{\"external_id\":\"u\",\"b\":\"y\",\"language\":\"en\"}");
	filters("{\"external_id\":\"u\",\"a\":1.0}", 10, 0, "{\"external_id\":\"u\",\"a\":1.0}");
	filters("{\"external_id\":\"u\",\"a\":1}", 30, 20, "{\"external_id\":\"u\",\"a\":1}");
	filters("{\"external_id\":\"u\",\"a\":1}", 29, 20, "{\"external_id\":\"u\"}");

	/* the clock was set back */
	filters("{\"external_id\":\"u\",\"a\":1}", 2, 5, "{\"external_id\":\"u\"}");
	filters("{\"external_id\":\"u\",\"_update_existing_only\":true,\"a\":1}", 10, 0,
			"{\"external_id\":\"u\",\"_update_existing_only\":true,\"a\":1}");
	/* the identifier itself is never left out, whatever is known of it */
	accepted("{\"external_id\":\"u\",\"email\":\"a@b.co\"}", 10);
	filters("{\"email\":\"a@b.co\",\"a\":1}", 10, 0, "{\"email\":\"a@b.co\"}");
	accepted("{\"external_id\":\"u\",\"a\":{\"inc\":1}}", 10);
	filters("{\"external_id\":\"u\",\"a\":1,\"b\":\"x\"}", 10, 0, "{\"external_id\":\"u\",\"a\":1}");
	accepted("{\"external_id\":\"u\",\"_update_existing_only\":true,\"b\":\"z\"}", 10);
	filters("{\"external_id\":\"u\",\"b\":\"x\"}", 10, 0, "{\"external_id\":\"u\",\"b\":\"x\"}");

	/*
	 * An earlier one of them may have reached Braze already, by a request that
	 * was not settled: then the last value is news, though it is known.
	 */
	accepted("{\"external_id\":\"u\",\"c\":1}", 10);
	filters_folded("{\"external_id\":\"u\",\"c\":1}", "{\"external_id\":\"u\",\"c\":1}", "{\"external_id\":\"u\",\"c\":1}",
				   "{\"external_id\":\"u\"}");
	filters_folded("{\"external_id\":\"u\",\"c\":2}", "{\"external_id\":\"u\",\"c\":1}", "{\"external_id\":\"u\",\"c\":1}",
				   "{\"external_id\":\"u\",\"c\":1}");
	filters_folded("{\"external_id\":\"u\"}", "{\"external_id\":\"u\",\"c\":2}", "{\"external_id\":\"u\",\"c\":1}",
				   "{\"external_id\":\"u\",\"c\":1}");

	accepted("{\"external_id\":\"u\",\"n1\":1,\"n2\":2,\"n3\":3,\"n4\":4,\"n5\":5,\"n6\":6,\"n7\":7,\"n8\":8,\"n9\":9}", 7);
	memset(&copy, 0, sizeof(copy));
	braze_profile_cache_write(&profile, bytes);
	braze_profile_cache_read(&copy, bytes, braze_profile_cache_size(&profile));
	is_int(copy.nhashes, profile.nhashes, "as many attributes come back as were written");
	ok(!copy.dirty, "and what was read is not dirty");
	braze_profile_cache_free(&profile);
	profile = copy;
	filters("{\"external_id\":\"u\",\"n9\":9,\"n1\":2}", 8, 0, "{\"external_id\":\"u\",\"n1\":2}");
	braze_profile_cache_reset(&profile);
	filters("{\"external_id\":\"u\",\"n9\":9}", 8, 0, "{\"external_id\":\"u\",\"n9\":9}");

	/* what was not sent again does not look as if it had been */
	accepted_within("{\"external_id\":\"u\",\"a\":1,\"b\":1}", 100, 50);
	profile.dirty = false;
	accepted_within("{\"external_id\":\"u\",\"a\":1,\"b\":1}", 120, 50);
	ok(!profile.dirty, "what changes nothing is not written");
	accepted_within("{\"external_id\":\"u\",\"a\":1,\"b\":2}", 140, 50);
	ok(profile.dirty, "and what does is");
	filters("{\"external_id\":\"u\",\"a\":1,\"b\":2}", 160, 50, "{\"external_id\":\"u\",\"a\":1}");

	/* the clock was wrong by far more than anybody sets it back */
	accepted("{\"external_id\":\"u\",\"z\":1}", 1000);
	filters("{\"external_id\":\"u\",\"z\":1}", 500, 50, "{\"external_id\":\"u\",\"z\":1}");

	braze_profile_cache_reset(&profile);
	same_texts();
	many_attributes();
	collide_values();
	is_owned();
	braze_profile_cache_free(&profile);
	return done();
}
