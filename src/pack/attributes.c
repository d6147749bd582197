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
#include "pack/attributes.h"
#include "pack/own_json.h"

typedef struct Literal
{
	const char *text;
	size_t		length;
} Literal;

#define LITERAL(text)	{text, sizeof(text) - 1}

static bool
is_literal(const char *text, size_t length, const char *literal)
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
	for (p = pass_space(p, end); p < end && *p == '"'; p = pass_space(p, end))
	{
		const char *name = p;

		p = pass_string(p);
		if (is_one_of(name, p - name, operator_names))
			return true;
		p = pass_value(pass_space(p, end), end);
	}
	return false;
}

/* Braze charges nothing for these */
static const Literal free_names[] = {
	LITERAL("\"push_tokens\""), LITERAL("\"subscription_groups\""),
	LITERAL("\"email_subscribe\""), LITERAL("\"push_subscribe\""),
	{NULL, 0}
};

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
field_points(const char *name, size_t name_length, const char *value, size_t length,
			 bool operator)
{
	if (is_one_of(name, name_length, control_names) || is_one_of(name, name_length, free_names))
		return 0;
	if (operator)
		return count_elements(value, length);
	if (*value == '{' && !is_literal(name, name_length, "\"current_location\""))
		return count_keys(value, length);
	return 1;
}

static uint16_t
limit_points(int points)
{
	return points > UINT16_MAX ? UINT16_MAX : points;
}

static BrazeAttributeClass
attribute_class(const BrazeAttribute *field)
{
	if (is_one_of(field->name, field->name_length, control_names))
		return BRAZE_ATTRIBUTE_CONTROL;
	if (is_one_of(field->name, field->name_length, volatile_names))
		return BRAZE_ATTRIBUTE_VOLATILE;
	if (is_operator(field->value, field->value_length))
		return BRAZE_ATTRIBUTE_OPERATOR;
	return BRAZE_ATTRIBUTE_VALUE;
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

		field.name = p;
		p = pass_string(p);
		field.name_length = p - field.name;
		field.value = pass_space(p, end);
		p = pass_value(field.value, end);
		field.value_length = p - field.value;
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
		const char *name = p;
		const char *value;
		size_t		name_length;
		bool		operator;

		p = pass_string(p);
		name_length = p - name;
		value = pass_space(p, end);
		if (is_literal(name, name_length, "\"_merge_objects\"") && *value == 't')
			alone = true;
		p = pass_value(value, end);
		operator = is_operator(value, p - value);
		alone = alone || operator;

		/* the identifier comes first, and may be an email or a phone */
		if (!first)
			sum += field_points(name, name_length, value, p - value, operator);
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
			sum += field_points(field->name, field->name_length, field->value,
								field->value_length, field->class == BRAZE_ATTRIBUTE_OPERATOR);
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

/* ----- uniting arrays ----- */

/* the text of a member of an object, or NULL */
static const char *
object_member(const char *object, const char *end, const char *name, size_t *length)
{
	const char *p;

	if (*object != '{')
		return NULL;
	for (p = pass_space(object + 1, end); p < end && *p == '"'; p = pass_space(p, end))
	{
		const char *key = p;
		const char *value;

		p = pass_string(p);
		value = pass_space(p, end);
		if (is_literal(key, p - key, name))
		{
			*length = pass_value(value, end) - value;
			return value;
		}
		p = pass_value(value, end);
	}
	return NULL;
}

typedef struct Element
{
	const char *text;
	size_t		length;
	const char *id;				/* NULL: it has none */
	size_t		id_length;
	int			array;			/* which one it stands in */
	bool		replaced;		/* by one of a later array */
} Element;

typedef struct Elements
{
	Element    *list;
	int			count;
	int			max;
} Elements;

/* appends the elements of one array; false: no memory */
static bool
add_elements(Elements *elements, const char *array, size_t length, int number,
			 const char *id_name)
{
	const char *end = array + length - 1;
	const char *p;

	for (p = pass_space(array + 1, end); p < end; p = pass_space(p, end))
	{
		Element    *element;

		if (elements->count == elements->max)
		{
			int			max = elements->max ? elements->max * 2 : 32;
			Element    *list = realloc(elements->list, sizeof(Element) * max);

			if (list == NULL)
				return false;
			elements->list = list;
			elements->max = max;
		}
		element = &elements->list[elements->count++];
		element->text = p;
		p = pass_value(p, end);
		element->length = p - element->text;
		element->id = object_member(element->text, p, id_name, &element->id_length);
		element->array = number;
		element->replaced = false;
	}
	return true;
}

/* a power of two that leaves half of the places empty */
static int
places_for(int count)
{
	int			places = 16;

	while (places < count * 2)
		places *= 2;
	return places;
}

/* an element is replaced by one of the same id in any later array */
static bool
find_replaced(Elements *elements)
{
	int			nplaces = places_for(elements->count);
	int		   *places = malloc(sizeof(int) * nplaces);

	if (places == NULL)
		return false;
	for (int i = 0; i < nplaces; i++)
		places[i] = -1;

	/*
	 * From the last one on, so that each id is first met where it is to stay.
	 * Two of one id in the same array both stay, as Braze would get them
	 * without folding.
	 */
	for (int i = elements->count - 1; i >= 0; i--)
	{
		Element    *element = &elements->list[i];
		int			place;

		if (element->id == NULL)
			continue;
		place = braze_hash(element->id, element->id_length) & (nplaces - 1);
		for (; places[place] >= 0; place = (place + 1) & (nplaces - 1))
		{
			const Element *other = &elements->list[places[place]];

			if (other->id_length == element->id_length &&
				memcmp(other->id, element->id, element->id_length) == 0)
				break;
		}
		if (places[place] < 0)
			places[place] = i;
		else
			element->replaced = elements->list[places[place]].array > element->array;
	}
	free(places);
	return true;
}

/* the elements that are left become the field's value */
static bool
write_united(BrazeAttributes *fields, BrazeAttribute *field, const Elements *elements)
{
	size_t		size = 2;
	char	   *block;
	char	   *to;

	for (int i = 0; i < elements->count; i++)
		size += elements->list[i].replaced ? 0 : elements->list[i].length + 1;
	block = malloc(sizeof(void *) + size);
	if (block == NULL)
		return false;

	/*
	 * blocks are a list by their first bytes, and are freed with the next
	 * read
	 */
	*(void **) block = fields->owned;
	fields->owned = block;
	field->value = to = block + sizeof(void *);
	*to++ = '[';
	for (int i = 0; i < elements->count; i++)
	{
		if (elements->list[i].replaced)
			continue;
		if (to - field->value > 1)
			*to++ = ',';
		memcpy(to, elements->list[i].text, elements->list[i].length);
		to += elements->list[i].length;
	}
	*to++ = ']';
	field->value_length = to - field->value;
	return true;
}

/*
 * the name of what tells one element from another, NULL if arrays do not unite
 */
static const char *
uniting_id(const BrazeAttribute *field)
{
	if (*field->value != '[')
		return NULL;
	if (is_literal(field->name, field->name_length, "\"subscription_groups\""))
		return "\"subscription_group_id\"";
	if (is_literal(field->name, field->name_length, "\"push_tokens\""))
		return "\"token\"";
	return NULL;
}

/* the arrays of this field become one, in the order in which they came */
static bool
unite_field(BrazeAttributes *fields, BrazeAttribute *field)
{
	const char *id_name = uniting_id(field);
	Elements	elements = {NULL, 0, 0};
	int			number = 0;
	bool		fine = add_elements(&elements, field->value, field->value_length, number, id_name);

	for (int i = field->next_array; fine && i >= 0; i = fields->arrays[i].next)
		fine = add_elements(&elements, fields->arrays[i].text, fields->arrays[i].length,
							++number, id_name);
	fine = fine && find_replaced(&elements) && write_united(fields, field, &elements);
	free(elements.list);
	if (fine)
		field->next_array = -1;
	return fine;
}

bool
braze_attributes_unite(BrazeAttributes *fields)
{
	for (int i = 0; i < fields->count; i++)
	{
		if (fields->list[i].next_array >= 0 && !unite_field(fields, &fields->list[i]))
			return false;
	}
	return true;
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
	int			nplaces = places_for(fields->count + more);

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

/* notes an array of a later object that is to be united with this field */
static bool
append_array(BrazeAttributes *fields, BrazeAttribute *earlier, const BrazeAttribute *field)
{
	BrazeArray *array;

	if (fields->narrays == fields->maxarrays)
	{
		int			max = fields->maxarrays ? fields->maxarrays * 2 : 8;
		BrazeArray *arrays = realloc(fields->arrays, sizeof(BrazeArray) * max);

		if (arrays == NULL)
			return false;
		fields->arrays = arrays;
		fields->maxarrays = max;
	}
	array = &fields->arrays[fields->narrays];
	array->text = field->value;
	array->length = field->value_length;
	array->next = -1;
	if (earlier->next_array < 0)
		earlier->next_array = fields->narrays;
	else
		fields->arrays[earlier->last_array].next = fields->narrays;
	earlier->last_array = fields->narrays++;
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
		if (*field->value == '[' && uniting_id(earlier) != NULL)
		{
			/*
			 * Braze unites these lists with what it has, so that the later
			 * one does not replace the earlier.  They are only noted here:
			 * uniting all at once takes linear time.
			 */
			if (!append_array(fields, earlier, field))
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
