/*-------------------------------------------------------------------------
 *
 * attributes.c
 *	  Attributes objects as text: their fields, and folding several into one.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "attributes.h"

/* folding compares names pairwise, so an object with more is left as it is */
#define MAX_FOLDED_FIELDS	512

/* ----- reading our own JSON ----- */

/* behind the string that begins here */
static const char *
skip_string(const char *p)
{
	for (p++; *p != '"'; p++)
	{
		if (*p == '\\')
			p++;
	}
	return p + 1;
}

/* behind the value that begins here */
static const char *
skip_value(const char *p, const char *end)
{
	int			depth = 0;

	if (*p == '"')
		return skip_string(p);
	while (p < end)
	{
		switch (*p)
		{
			case '"':
				p = skip_string(p);
				continue;
			case '{':
			case '[':
				depth++;
				break;
			case '}':
			case ']':
				if (depth == 0)
					return p;
				if (--depth == 0)
					return p + 1;
				break;
			case ',':
				if (depth == 0)
					return p;
				break;
		}
		p++;
	}
	return p;
}

static const char *
skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == ',' || *p == ':'))
		p++;
	return p;
}

typedef struct Literal
{
	const char *text;
	size_t		length;
} Literal;

#define LITERAL(text)	{text, sizeof(text) - 1}

static bool
is(const char *text, size_t length, const char *literal)
{
	return length == strlen(literal) && memcmp(text, literal, length) == 0;
}

/* the list ends with a literal without text */
static bool
is_one_of(const char *text, size_t length, const Literal *literals)
{
	for (; literals->text != NULL; literals++)
	{
		if (length == literals->length && memcmp(text, literals->text, length) == 0)
			return true;
	}
	return false;
}

/* ----- what a field is ----- */

static const Literal control_names[] = {
	LITERAL("\"external_id\""), LITERAL("\"user_alias\""), LITERAL("\"braze_id\""),
	LITERAL("\"_update_existing_only\""), LITERAL("\"_merge_objects\""),
	LITERAL("\"push_token_import\""),
	{NULL, 0}
};

/* the user's device, the SDK or Braze itself sets these too */
static const Literal volatile_names[] = {
	LITERAL("\"email_subscribe\""), LITERAL("\"push_subscribe\""),
	LITERAL("\"subscription_groups\""), LITERAL("\"push_tokens\""),
	LITERAL("\"country\""), LITERAL("\"language\""), LITERAL("\"time_zone\""),
	LITERAL("\"current_location\""), LITERAL("\"date_of_first_session\""),
	LITERAL("\"date_of_last_session\""), {NULL, 0}
};

static const Literal operator_names[] = {
	LITERAL("\"inc\""), LITERAL("\"add\""), LITERAL("\"remove\""),
	LITERAL("\"$add\""), LITERAL("\"$update\""), LITERAL("\"$remove\""),
	{NULL, 0}
};

/* Braze knows an operator by the keys of the object that is the value */
static bool
is_operator(const char *value, size_t length)
{
	const char *end = value + length;
	const char *p = value + 1;

	if (*value != '{')
		return false;
	for (p = skip_space(p, end); p < end && *p == '"'; p = skip_space(p, end))
	{
		const char *name = p;

		p = skip_string(p);
		if (is_one_of(name, p - name, operator_names))
			return true;
		p = skip_value(skip_space(p, end), end);
	}
	return false;
}

static BrazeFieldClass
classify(const BrazeField *field)
{
	if (is_one_of(field->name, field->name_length, control_names))
		return BRAZE_FIELD_CONTROL;
	if (is_one_of(field->name, field->name_length, volatile_names))
		return BRAZE_FIELD_VOLATILE;
	if (is_operator(field->value, field->value_length))
		return BRAZE_FIELD_OPERATOR;
	return BRAZE_FIELD_VALUE;
}

/* ----- fields ----- */

void
braze_fields_init(BrazeFields *fields)
{
	memset(fields, 0, sizeof(*fields));
}

static void
free_owned(BrazeFields *fields)
{
	while (fields->owned != NULL)
	{
		void	   *next = *(void **) fields->owned;

		free(fields->owned);
		fields->owned = next;
	}
}

void
braze_fields_free(BrazeFields *fields)
{
	free_owned(fields);
	free(fields->list);
	braze_fields_init(fields);
}

static bool
add_field(BrazeFields *fields, const BrazeField *field)
{
	if (fields->count == fields->max)
	{
		int			max = fields->max ? fields->max * 2 : 32;
		BrazeField *list = realloc(fields->list, sizeof(BrazeField) * max);

		if (list == NULL)
			return false;
		fields->list = list;
		fields->max = max;
	}
	fields->list[fields->count++] = *field;
	return true;
}

bool
braze_fields_read(BrazeFields *fields, const char *json, size_t length)
{
	const char *end = json + length - 1;
	const char *p;

	free_owned(fields);
	fields->count = 0;
	fields->merge_objects = false;
	fields->update_only = false;
	for (p = skip_space(json + 1, end); p < end; p = skip_space(p, end))
	{
		BrazeField	field;

		field.name = p;
		p = skip_string(p);
		field.name_length = p - field.name;
		field.value = skip_space(p, end);
		p = skip_value(field.value, end);
		field.value_length = p - field.value;
		field.overrides = false;
		/* the identifier comes first, and may be an email or a phone */
		field.class = fields->count == 0 ? BRAZE_FIELD_CONTROL : classify(&field);
		if (is(field.name, field.name_length, "\"_merge_objects\""))
			fields->merge_objects = is(field.value, field.value_length, "true");
		if (is(field.name, field.name_length, "\"_update_existing_only\""))
			fields->update_only = is(field.value, field.value_length, "true");
		if (!add_field(fields, &field))
			return false;
	}
	return true;
}

bool
braze_attributes_stand_alone(const char *json, size_t length)
{
	const char *end = json + length - 1;
	const char *p;
	int			count = 0;

	for (p = skip_space(json + 1, end); p < end; p = skip_space(p, end))
	{
		const char *name = p;
		const char *value;

		p = skip_string(p);
		value = skip_space(p, end);
		if (is(name, p - name, "\"_merge_objects\"") && *value == 't')
			return true;
		p = skip_value(value, end);
		if (is_operator(value, p - value) || ++count > MAX_FOLDED_FIELDS)
			return true;
	}
	return false;
}

/* ----- uniting arrays ----- */

/* the text of a member of an object, or NULL */
static const char *
member(const char *object, const char *end, const char *name, size_t *length)
{
	const char *p;

	if (*object != '{')
		return NULL;
	for (p = skip_space(object + 1, end); p < end && *p == '"'; p = skip_space(p, end))
	{
		const char *key = p;
		const char *value;

		p = skip_string(p);
		value = skip_space(p, end);
		if (is(key, p - key, name))
		{
			*length = skip_value(value, end) - value;
			return value;
		}
		p = skip_value(value, end);
	}
	return NULL;
}

/* does an element of this array have that id? */
static bool
has_element(const char *array, size_t array_length, const char *id_name,
			const char *id, size_t id_length)
{
	const char *end = array + array_length - 1;
	const char *p;

	for (p = skip_space(array + 1, end); p < end; p = skip_space(p, end))
	{
		const char *element = p;
		const char *other;
		size_t		other_length;

		p = skip_value(p, end);
		other = member(element, p, id_name, &other_length);
		if (other != NULL && other_length == id_length &&
			memcmp(other, id, id_length) == 0)
			return true;
	}
	return false;
}

/*
 * The elements of the earlier array that the later one does not replace, then
 * all of the later one.
 */
static bool
unite(BrazeFields *fields, BrazeField *earlier, const BrazeField *later,
	  const char *id_name)
{
	char	   *block = malloc(sizeof(void *) + earlier->value_length +
							   later->value_length + 2);
	const char *end = earlier->value + earlier->value_length - 1;
	const char *p;
	char	   *text;
	char	   *to;

	if (block == NULL)
		return false;
	*(void **) block = fields->owned;
	fields->owned = block;
	to = text = block + sizeof(void *);
	*to++ = '[';
	for (p = skip_space(earlier->value + 1, end); p < end; p = skip_space(p, end))
	{
		const char *element = p;
		const char *id;
		size_t		id_length;

		p = skip_value(p, end);
		id = member(element, p, id_name, &id_length);
		if (id != NULL && has_element(later->value, later->value_length, id_name,
									  id, id_length))
			continue;
		memcpy(to, element, p - element);
		to += p - element;
		*to++ = ',';
	}
	memcpy(to, later->value + 1, later->value_length - 1);
	to += later->value_length - 1;

	/* an empty later array leaves a comma in front of the bracket */
	if (to - text >= 2 && to[-2] == ',')
	{
		to[-2] = ']';
		to--;
	}
	earlier->value = text;
	earlier->value_length = to - text;
	return true;
}

/* ----- folding ----- */

static BrazeField *
find_field(BrazeFields *fields, const BrazeField *like)
{
	for (int i = 0; i < fields->count; i++)
	{
		BrazeField *field = &fields->list[i];

		if (field->name_length == like->name_length &&
			memcmp(field->name, like->name, like->name_length) == 0)
			return field;
	}
	return NULL;
}

bool
braze_fields_fold(BrazeFields *fields, const BrazeFields *later)
{
	for (int i = 0; i < later->count; i++)
	{
		const BrazeField *field = &later->list[i];
		BrazeField *earlier = find_field(fields, field);

		if (earlier == NULL)
		{
			if (!add_field(fields, field))
				return false;
		}
		else if (*field->value == '[' && *earlier->value == '[' &&
				 is(field->name, field->name_length, "\"subscription_groups\""))
		{
			if (!unite(fields, earlier, field, "\"subscription_group_id\""))
				return false;
		}
		else if (*field->value == '[' && *earlier->value == '[' &&
				 is(field->name, field->name_length, "\"push_tokens\""))
		{
			if (!unite(fields, earlier, field, "\"token\""))
				return false;
		}
		else
		{
			if (earlier->value_length != field->value_length ||
				memcmp(earlier->value, field->value, field->value_length) != 0)
				earlier->overrides = true;
			earlier->value = field->value;
			earlier->value_length = field->value_length;
		}
	}
	return true;
}

/* ----- writing ----- */

size_t
braze_fields_size(const BrazeFields *fields)
{
	size_t		size = 2;

	for (int i = 0; i < fields->count; i++)
		size += fields->list[i].name_length + fields->list[i].value_length + 2;
	return size;
}

char *
braze_fields_write(const BrazeFields *fields, char *to)
{
	*to++ = '{';
	for (int i = 0; i < fields->count; i++)
	{
		const BrazeField *field = &fields->list[i];

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
