/*-------------------------------------------------------------------------
 *
 * jsonb_walk.h
 *	  Walks over the pairs of an object or the elements of an array in jsonb.
 *
 * What JsonbIterator does, without an allocation per container and without a
 * state machine: the mapping walks several containers per call.  The layout is
 * the one that utils/jsonb.h declares.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_JSONB_WALK_H
#define BRAZE_JSONB_WALK_H

#include <string.h>

#include "utils/jsonb.h"

/* a run of bytes, not terminated, that lives in the jsonb */
typedef struct BrazeString
{
	const char *data;
	int			length;
} BrazeString;

/* of a C string, which is not copied */
static inline BrazeString
braze_string(const char *text)
{
	BrazeString string = {.data = text, .length = strlen(text)};

	return string;
}

/* by ASCII, whatever the locale */
static inline bool
braze_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* without the white space around it */
static inline BrazeString
braze_trim(BrazeString string)
{
	while (string.length > 0 && braze_is_space(string.data[0]))
	{
		string.data++;
		string.length--;
	}
	while (string.length > 0 && braze_is_space(string.data[string.length - 1]))
		string.length--;
	return string;
}

typedef struct BrazeWalk
{
	JsonbContainer *container;
	char	   *base;			/* where the children's data begin */
	int			count;			/* pairs or elements */
	int			next;
	uint32		key_offset;
	uint32		value_offset;
} BrazeWalk;

/* most names of a list differ in the first letter, and strlen is a call */
static inline bool
braze_string_is(BrazeString string, const char *literal)
{
	if (string.length > 0 && string.data[0] != literal[0])
		return false;
	return string.length == (int) strlen(literal) &&
		memcmp(string.data, literal, string.length) == 0;
}

/*
 * The order in which jsonb keeps keys, shorter ones first.  Tables of names
 * that are searched with it are sorted by it.
 */
static inline int
braze_string_compare(const char *a, int alength, const char *b, int blength)
{
	if (alength != blength)
		return alength < blength ? -1 : 1;
	if (alength > 0 && a[0] != b[0])
		return (unsigned char) a[0] < (unsigned char) b[0] ? -1 : 1;
	return memcmp(a, b, alength);
}

static inline uint32
braze_walk_length(JEntry entry, uint32 offset)
{
	return JBE_HAS_OFF(entry) ? JBE_OFFLENFLD(entry) - offset : JBE_OFFLENFLD(entry);
}

static inline void
braze_walk_value(const BrazeWalk *walk, int child, uint32 offset, JsonbValue *value)
{
	JEntry		entry = walk->container->children[child];

	if (JBE_ISSTRING(entry))
	{
		value->type = jbvString;
		value->val.string.val = walk->base + offset;
		value->val.string.len = braze_walk_length(entry, offset);
	}
	else if (JBE_ISNUMERIC(entry))
	{
		value->type = jbvNumeric;
		value->val.numeric = (Numeric) (walk->base + INTALIGN(offset));
	}
	else if (JBE_ISCONTAINER(entry))
	{
		value->type = jbvBinary;
		value->val.binary.data = (JsonbContainer *) (walk->base + INTALIGN(offset));
		value->val.binary.len = braze_walk_length(entry, offset) -
			(INTALIGN(offset) - offset);
	}
	else if (JBE_ISNULL(entry))
		value->type = jbvNull;
	else
	{
		value->type = jbvBool;
		value->val.boolean = JBE_ISBOOL_TRUE(entry);
	}
}

static inline void
braze_walk_object(BrazeWalk *walk, JsonbContainer *container)
{
	walk->container = container;
	walk->count = JsonContainerSize(container);
	walk->base = (char *) &container->children[walk->count * 2];
	walk->next = 0;
	walk->key_offset = 0;
	walk->value_offset = walk->count > 0 ? getJsonbOffset(container, walk->count) : 0;
}

static inline bool
braze_walk_pair(BrazeWalk *walk, BrazeString *key, JsonbValue *value)
{
	JEntry		entry;

	if (walk->next >= walk->count)
		return false;

	entry = walk->container->children[walk->next];
	key->data = walk->base + walk->key_offset;
	key->length = braze_walk_length(entry, walk->key_offset);
	walk->key_offset += key->length;

	braze_walk_value(walk, walk->next + walk->count, walk->value_offset, value);
	JBE_ADVANCE_OFFSET(walk->value_offset,
					   walk->container->children[walk->next + walk->count]);
	walk->next++;
	return true;
}

static inline void
braze_walk_array(BrazeWalk *walk, JsonbContainer *container)
{
	walk->container = container;
	walk->count = JsonContainerSize(container);
	walk->base = (char *) &container->children[walk->count];
	walk->next = 0;
	walk->key_offset = 0;
	walk->value_offset = 0;
}

static inline bool
braze_walk_element(BrazeWalk *walk, JsonbValue *value)
{
	if (walk->next >= walk->count)
		return false;

	braze_walk_value(walk, walk->next, walk->value_offset, value);
	JBE_ADVANCE_OFFSET(walk->value_offset, walk->container->children[walk->next]);
	walk->next++;
	return true;
}

static inline bool
braze_is_object(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data);
}

static inline bool
braze_is_array(const JsonbValue *value)
{
	return value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data);
}

static inline bool
braze_is_string(const JsonbValue *value)
{
	return value->type == jbvString;
}

static inline bool
braze_is_scalar(const JsonbValue *value)
{
	return value->type != jbvBinary;
}

/* the object that a value is, or NULL */
static inline JsonbContainer *
braze_object(const JsonbValue *value)
{
	return braze_is_object(value) ? value->val.binary.data : NULL;
}

/* the value of a key; false where there is none (a null is there) */
static inline bool
braze_lookup_key(JsonbContainer *object, const char *key, int length, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(object, key, length, value) != NULL;
}

static inline bool
braze_lookup(JsonbContainer *object, const char *key, JsonbValue *value)
{
	return braze_lookup_key(object, key, strlen(key), value);
}

#endif							/* BRAZE_JSONB_WALK_H */
