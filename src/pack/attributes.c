/*-------------------------------------------------------------------------
 *
 * attributes.c
 *	  Attributes objects as text: their fields, and folding several into one.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "braze/hash.h"
#include "pack/attribute_arrays.h"
#include "pack/attributes.h"
#include "pack/own_json.h"

typedef struct Literal
{
	const char *text;
	size_t		length;
} Literal;

#define LITERAL(text)	{text, sizeof(text) - 1}

/* strings with their quotes; the list ends with a literal without text */
typedef struct LiteralList
{
	const Literal *literals;
	uint64_t	marks;			/* of all of them, 0: not looked at yet */
} LiteralList;

/* one of 64, by the length and the first letter */
static inline uint64_t
mark_of(const char *text, size_t length)
{
	return UINT64_C(1) << ((length * 7 + (unsigned char) text[1]) % 64);
}

static bool
is_literal_of(const char *text, size_t length, LiteralList *list)
{
	if (list->marks == 0)
	{
		for (const Literal *literal = list->literals; literal->text != NULL; literal++)
			list->marks |= mark_of(literal->text, literal->length);
	}
	for (const Literal *literal = list->literals; literal->text != NULL; literal++)
	{
		if (length == literal->length && memcmp(text, literal->text, length) == 0)
			return true;
	}
	return false;
}

/* most texts have a mark that none of the list has */
static inline bool
is_one_of(const char *text, size_t length, LiteralList *list)
{
	return (list->marks == 0 || (list->marks & mark_of(text, length)) != 0) &&
		is_literal_of(text, length, list);
}

/* ----- what a field is ----- */

static const Literal control_literals[] = {
	LITERAL("\"external_id\""), LITERAL("\"user_alias\""), LITERAL("\"braze_id\""),
	LITERAL("\"_update_existing_only\""), LITERAL("\"_merge_objects\""),
	LITERAL("\"push_token_import\""),
	{NULL, 0}
};
static LiteralList control_names = {control_literals, 0};

/* the user's device, the SDK or Braze itself sets these too */
static const Literal volatile_literals[] = {
	LITERAL("\"email_subscribe\""), LITERAL("\"push_subscribe\""),
	LITERAL("\"subscription_groups\""), LITERAL("\"push_tokens\""),
	LITERAL("\"country\""), LITERAL("\"language\""), LITERAL("\"time_zone\""),
	LITERAL("\"current_location\""), LITERAL("\"date_of_first_session\""),
	LITERAL("\"date_of_last_session\""),
	{NULL, 0}
};
static LiteralList volatile_names = {volatile_literals, 0};

static const Literal operator_literals[] = {
	LITERAL("\"inc\""), LITERAL("\"add\""), LITERAL("\"remove\""),
	LITERAL("\"$add\""), LITERAL("\"$update\""), LITERAL("\"$remove\""),
	{NULL, 0}
};
static LiteralList operator_names = {operator_literals, 0};

/* Braze knows an operator by the keys of the object that is the value */
static bool
is_operator(const char *value, size_t length)
{
	const char *end = value + length;
	const char *p = value + 1;

	if (*value != '{')
		return false;
	for (p = pass_space(p, end); p < end && *p == '"'; p = pass_space(p, end))
	{
		const char *name = p;

		p = pass_string(p);
		if (is_one_of(name, p - name, &operator_names))
			return true;
		p = pass_value(pass_space(p, end), end);
	}
	return false;
}

/* Braze charges nothing for these */
static const Literal free_literals[] = {
	LITERAL("\"push_tokens\""), LITERAL("\"subscription_groups\""),
	LITERAL("\"email_subscribe\""), LITERAL("\"push_subscribe\""),
	{NULL, 0}
};
static LiteralList free_names = {free_literals, 0};

/* the elements of the arrays that an operator adds, removes or updates */
static int
count_elements(const char *value, size_t length)
{
	const char *end = value + length;
	const char *p = value;
	int			elements = 0;

	while (p < end && *p != '[')
		p = *p == '"' ? pass_string(p) : p + 1;
	for (p = pass_space(p + 1, end); p < end && *p != ']'; p = pass_space(p, end))
	{
		p = pass_value(p, end);
		elements++;
	}
	return elements > 0 ? elements : 1;
}

/* of an object, on whatever level they are; those in arrays do not count */
static int
count_keys(const char *value, size_t length)
{
	const char *end = value + length;
	const char *p = value + 1;
	int			keys = 0;

	while (p < end)
	{
		if (*p == '[')
			p = pass_value(p, end);
		else if (*p != '"')
			p++;
		else
		{
			p = pass_string(p);
			if (p < end && *p == ':')
				keys++;
		}
	}
	return keys > 0 ? keys : 1;
}

/* what a field costs: a nested object its keys, an array one */
static int
field_points(const BrazeAttribute *field, bool operator)
{
	bool		is_volatile = field->class == BRAZE_ATTRIBUTE_VOLATILE;

	/* what is free is volatile, and so is the location */
	if (field->class == BRAZE_ATTRIBUTE_CONTROL ||
		(is_volatile && is_one_of(field->name, field->name_length, &free_names)))
		return 0;
	if (operator)
		return count_elements(field->value, field->value_length);
	if (*field->value == '{' &&
		!(is_volatile && is_literal(field->name, field->name_length, "\"current_location\"")))
		return count_keys(field->value, field->value_length);
	return 1;
}

static uint16_t
limit_points(int points)
{
	return points > UINT16_MAX ? UINT16_MAX : points;
}

/* by the name alone */
static BrazeAttributeClass
name_class(const BrazeAttribute *field)
{
	if (is_one_of(field->name, field->name_length, &control_names))
		return BRAZE_ATTRIBUTE_CONTROL;
	if (is_one_of(field->name, field->name_length, &volatile_names))
		return BRAZE_ATTRIBUTE_VOLATILE;
	return BRAZE_ATTRIBUTE_VALUE;
}

static BrazeAttributeClass
attribute_class(const BrazeAttribute *field)
{
	BrazeAttributeClass class = name_class(field);

	return class == BRAZE_ATTRIBUTE_VALUE && is_operator(field->value, field->value_length) ?
		BRAZE_ATTRIBUTE_OPERATOR : class;
}

/* ----- fields ----- */

void
braze_attributes_init(BrazeAttributes *fields)
{
	memset(fields, 0, sizeof(*fields));
}

/* the texts that uniting has made; a field must not point to them any more */
static void
free_owned(BrazeAttributes *fields)
{
	while (fields->owned != NULL)
	{
		void	   *next = *(void **) fields->owned;

		free(fields->owned);
		fields->owned = next;
	}
}

void
braze_attributes_free(BrazeAttributes *fields)
{
	free_owned(fields);
	free(fields->list);
	free(fields->places);
	free(fields->arrays);
	braze_attributes_init(fields);
}

/* appends a copy of the field; false: no memory */
static bool
add_field(BrazeAttributes *fields, const BrazeAttribute *field)
{
	if (fields->count == fields->max)
	{
		int			max = fields->max ? fields->max * 2 : 32;
		BrazeAttribute *list = realloc(fields->list, sizeof(BrazeAttribute) * max);

		if (list == NULL)
			return false;
		fields->list = list;
		fields->max = max;
	}
	fields->list[fields->count++] = *field;
	return true;
}

/* the name and the value of the field that begins here; returns its end */
static const char *
read_field(BrazeAttribute *field, const char *p, const char *end)
{
	field->name = p;
	p = pass_string(p);
	field->name_length = p - field->name;
	field->value = pass_space(p, end);
	p = pass_value(field->value, end);
	field->value_length = p - field->value;
	return p;
}

bool
braze_attributes_read(BrazeAttributes *fields, const char *json, size_t length)
{
	const char *end = json + length - 1;
	const char *p;

	free_owned(fields);
	fields->count = 0;
	fields->nplaces = 0;
	fields->narrays = 0;
	fields->merge_objects = false;
	fields->update_only = false;
	for (p = pass_space(json + 1, end); p < end; p = pass_space(p, end))
	{
		BrazeAttribute field;

		p = read_field(&field, p, end);
		field.overrides = false;
		field.next_array = -1;
		/* the identifier comes first, and may be an email or a phone */
		field.class = fields->count == 0 ? BRAZE_ATTRIBUTE_CONTROL : attribute_class(&field);
		if (is_literal(field.name, field.name_length, "\"_merge_objects\""))
			fields->merge_objects = is_literal(field.value, field.value_length, "true");
		if (is_literal(field.name, field.name_length, "\"_update_existing_only\""))
			fields->update_only = is_literal(field.value, field.value_length, "true");
		if (!add_field(fields, &field))
			return false;
	}
	return true;
}

/*
 * An operator or a merge depends on what is there before it, so that folding
 * it with others would change the result.
 */
bool
braze_attributes_stand_alone(const char *json, size_t length, uint16_t *points)
{
	const char *end = json + length - 1;
	const char *p;
	bool		alone = false;
	bool		first = true;
	int			sum = 0;

	for (p = pass_space(json + 1, end); p < end; p = pass_space(p, end))
	{
		BrazeAttribute field;
		bool		operator;

		p = read_field(&field, p, end);
		operator = is_operator(field.value, field.value_length);
		alone = alone || operator ||
			(*field.value == 't' && is_literal(field.name, field.name_length, "\"_merge_objects\""));

		/* the identifier comes first, and may be an email or a phone */
		if (!first)
		{
			field.class = name_class(&field);
			sum += field_points(&field, operator);
		}
		first = false;
	}
	*points = limit_points(sum);
	return alone;
}

uint16_t
braze_attributes_points(const BrazeAttributes *fields)
{
	int			sum = 0;

	for (int i = 0; i < fields->count; i++)
	{
		const BrazeAttribute *field = &fields->list[i];

		if (field->class != BRAZE_ATTRIBUTE_CONTROL)
			sum += field_points(field, field->class == BRAZE_ATTRIBUTE_OPERATOR);
	}
	return limit_points(sum);
}

const char *
braze_attributes_identifier(const char *json, size_t length, size_t *identifier_length)
{
	const char *end = json + length - 1;

	*identifier_length = pass_value(pass_space(pass_string(json + 1), end), end) - (json + 1);
	return json + 1;
}

/* ----- folding ----- */

/* where the name's number stands, or would have to */
static int *
place_of(const BrazeAttributes *fields, const BrazeAttribute *like)
{
	int			mask = fields->nplaces - 1;
	int			place = braze_hash(like->name, like->name_length) & mask;

	for (; fields->places[place] >= 0; place = (place + 1) & mask)
	{
		const BrazeAttribute *field = &fields->list[fields->places[place]];

		if (field->name_length == like->name_length &&
			memcmp(field->name, like->name, like->name_length) == 0)
			break;
	}
	return &fields->places[place];
}

/* room for so many names more */
static bool
fill_places(BrazeAttributes *fields, int more)
{
	int			nplaces = braze_attributes_places(fields->count + more);

	if (fields->nplaces >= nplaces)
		return true;
	if (fields->maxplaces < nplaces)
	{
		int		   *places = realloc(fields->places, sizeof(int) * nplaces);

		if (places == NULL)
			return false;
		fields->places = places;
		fields->maxplaces = nplaces;
	}
	fields->nplaces = nplaces;
	for (int i = 0; i < nplaces; i++)
		fields->places[i] = -1;
	for (int i = 0; i < fields->count; i++)
		*place_of(fields, &fields->list[i]) = i;
	return true;
}

bool
braze_attributes_fold(BrazeAttributes *fields, const BrazeAttributes *later)
{
	/* room first: places must not move while they are pointed to */
	if (!fill_places(fields, later->count))
		return false;
	for (int i = 0; i < later->count; i++)
	{
		const BrazeAttribute *field = &later->list[i];
		int		   *place = place_of(fields, field);
		BrazeAttribute *earlier;

		if (*place < 0)
		{
			if (!add_field(fields, field))
				return false;
			*place = fields->count - 1;
			continue;
		}
		earlier = &fields->list[*place];
		if (*field->value == '[' && braze_attribute_arrays_id(earlier) != NULL)
		{
			/*
			 * Braze unites these lists with what it has, so that the later
			 * one does not replace the earlier.  They are only noted here:
			 * uniting all at once takes linear time.
			 */
			if (!braze_attribute_arrays_append(fields, earlier, field))
				return false;
			continue;
		}
		if (earlier->value_length != field->value_length ||
			memcmp(earlier->value, field->value, field->value_length) != 0)
			earlier->overrides = true;

		/* a later value replaces all arrays before it */
		earlier->value = field->value;
		earlier->value_length = field->value_length;
		earlier->next_array = -1;
	}
	return true;
}

/* ----- writing ----- */

char	   *
braze_attributes_write(const BrazeAttributes *fields, char *to)
{
	*to++ = '{';
	for (int i = 0; i < fields->count; i++)
	{
		const BrazeAttribute *field = &fields->list[i];

		if (i > 0)
			*to++ = ',';
		memcpy(to, field->name, field->name_length);
		to += field->name_length;
		*to++ = ':';
		memcpy(to, field->value, field->value_length);
		to += field->value_length;
	}
	*to++ = '}';
	return to;
}
