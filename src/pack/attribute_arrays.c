/*-------------------------------------------------------------------------
 *
 * attribute_arrays.c
 *	  Arrays of attributes that Braze unites with what it has.
 *
 * Of several objects of one user that become one, the later value of a field
 * wins.  The entries of subscription groups and push tokens are all meant: they
 * become one array, in which the later one of the same group or token wins.
 *
 *-------------------------------------------------------------------------
 */
#include "pack/attribute_arrays.h"

#include <stdlib.h>
#include <string.h>

#include "braze/hash.h"
#include "pack/own_json.h"

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

/* an element is replaced by one of the same id in any later array */
static bool
find_replaced(Elements *elements)
{
	int			nplaces = braze_attributes_places(elements->count);
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

const char *
braze_attribute_arrays_id(const BrazeAttribute *field)
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
	const char *id_name = braze_attribute_arrays_id(field);
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
braze_attribute_arrays_unite(BrazeAttributes *fields)
{
	for (int i = 0; i < fields->count; i++)
	{
		if (fields->list[i].next_array >= 0 && !unite_field(fields, &fields->list[i]))
			return false;
	}
	return true;
}

bool
braze_attribute_arrays_append(BrazeAttributes *fields, BrazeAttribute *earlier, const BrazeAttribute *field)
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
