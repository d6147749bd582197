/*-------------------------------------------------------------------------
 *
 * request_body.c
 *	  Writing the body of a request: folding attributes, leaving out what Braze
 *	  has.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "pack/attribute_arrays.h"
#include "pack/pack.h"
#include "pack/pack_internal.h"

static char *
put_text(char *to, const char *from, size_t length)
{
	memcpy(to, from, length);
	return to + length;
}

/*
 * where the next byte of the body goes, and what it has of the current array
 */
typedef struct Body
{
	char	   *to;
	int			kind;
	bool		any_array;
} Body;

/* puts what stands in front of an element */
static void
begin_element(BrazeRequest *request, Body *body, int position)
{
	int			kind = braze_object_at(request, position)->kind;
	const char *array = braze_kinds[kind].array;

	if (request->sent.counts[kind]++ > 0)
		body->to = put_text(body->to, ",", 1);
	else
	{
		if (body->any_array)
			body->to = put_text(body->to, "],", 2);
		body->any_array = true;
		request->first_of_kind[kind] = request->norder;
		body->to = put_text(body->to, "\"", 1);
		body->to = put_text(body->to, array, strlen(array));
		body->to = put_text(body->to, "\":[", 3);
	}
	request->order[request->norder++] = position;
}

/*
 * Several attributes objects of one user become one; here it is only decided
 * which: those of calls about the user alone that may be folded at all.
 */
static void
plan_folding(BrazePack *pack, BrazeRequest *request, Range range)
{
	uint64_t	mark = ++pack->fold_mark;

	for (int i = range.low; i < range.high; i++)
	{
		PackedObject *object = braze_object_at(request, i);
		PackedCall *call = request->objects[i].call;
		Lane	   *lane;

		object->folded = false;
		object->fold_next = -1;
		if (object->kind != BRAZE_ATTRIBUTES || object->state != OBJECT_PENDING ||
			object->alone || object->unfolded || call->nlanes != 1)
			continue;
		lane = call->users[0].lane;
		if (lane->fold_mark == mark)
		{
			braze_object_at(request, lane->fold_last)->fold_next = i;
			object->folded = true;
		}
		lane->fold_mark = mark;
		lane->fold_last = i;
	}
}

/* Braze has this object and all that are folded into it */
static void
need_no_sending(BrazeRequest *request, int position)
{
	for (; position >= 0; position = braze_object_at(request, position)->fold_next)
		braze_object_at(request, position)->state = OBJECT_ACCEPTED;
}

/* does Braze have all of this object, of which nothing is read then? */
static bool
is_known_text(BrazePack *pack, const BrazeProfile *profile, PackedObject *object,
			  uint32_t hour)
{
	int			filtered = braze_profile_cache_knows_text(profile, object->json, object->length,
														  hour, pack->limits.resend_after);

	if (filtered == 0)
		return false;
	pack->unchanged += filtered;
	object->attributes.saved = object->attributes.points;
	return true;
}

/* takes out what Braze has; false when nothing is left to send */
static bool
filter_attributes(BrazePack *pack, BrazeProfile *profile, PackedObject *object,
				  uint32_t hour)
{
	bool		said_something = braze_profile_cache_says_something(&pack->fields);
	uint16_t	points = braze_attributes_points(&pack->fields);
	int			filtered = braze_profile_cache_filter(profile, &pack->fields, hour,
													  pack->limits.resend_after);

	pack->unchanged += filtered;
	object->attributes.saved = points - braze_attributes_points(&pack->fields);
	if (braze_profile_cache_says_something(&pack->fields))
		return true;
	if (object->fold_next < 0)
		braze_profile_cache_note_text(profile, object->json, object->length, hour,
									  pack->limits.resend_after, filtered);

	/* an identifier alone creates a profile: once is enough */
	return !said_something && !profile->sent;
}

/*
 * One element for this object and all that are folded into it; false: no
 * memory.
 */
static bool
write_attributes(BrazePack *pack, BrazeRequest *request, Body *body, int position)
{
	PackedObject *object = braze_object_at(request, position);
	const PackedCall *call = request->objects[position].call;
	BrazeProfile *profile = NULL;
	uint32_t	hour;

	object->attributes.sent = object->attributes.points;
	object->attributes.saved = 0;
	if (pack->limits.changed_only && call->nlanes > 0)
		profile = call->users[0].profile;

	/* nothing to change: the text goes as the mapping wrote it */
	if (object->fold_next < 0 && profile == NULL)
	{
		begin_element(request, body, position);
		body->to = put_text(body->to, object->json, object->length);
		return true;
	}
	hour = current_hour_of(pack);
	if (object->fold_next < 0 && is_known_text(pack, profile, object, hour))
	{
		object->attributes.sent = 0;
		need_no_sending(request, position);
		return true;
	}

	if (!braze_attributes_read(&pack->fields, object->json, object->length))
		return false;
	for (int i = object->fold_next; i >= 0;)
	{
		PackedObject *later = braze_object_at(request, i);

		later->attributes.sent = later->attributes.saved = 0;
		if (!braze_attributes_read(&pack->more_fields, later->json, later->length) ||
			!braze_attributes_fold(&pack->fields, &pack->more_fields))
			return false;
		i = later->fold_next;
	}
	if (!braze_attribute_arrays_unite(&pack->fields))
		return false;

	/* only the united object shows whether anything is left to be sent */
	if (profile != NULL && !filter_attributes(pack, profile, object, hour))
	{
		object->attributes.sent = 0;
		need_no_sending(request, position);
		return true;
	}
	object->attributes.sent = braze_attributes_points(&pack->fields);
	begin_element(request, body, position);
	body->to = braze_attributes_write(&pack->fields, body->to);
	return true;
}

/* one array of the body */
static bool
write_kind(BrazePack *pack, BrazeRequest *request, Range range, Body *body)
{
	for (int i = range.low; i < range.high; i++)
	{
		const PackedObject *object = braze_object_at(request, i);

		if (object->kind != body->kind || object->state != OBJECT_PENDING ||
			object->folded)
			continue;
		if (object->kind == BRAZE_ATTRIBUTES)
		{
			if (!write_attributes(pack, request, body, i))
				return false;
		}
		else if (braze_identity_link_is_withheld(request->objects[i].call, object))
			need_no_sending(request, i);
		else
		{
			begin_element(request, body, i);
			body->to = put_text(body->to, object->json, object->length);
		}
	}
	return true;
}

/* writes what is still pending of the range under way */
bool
braze_request_body_write(BrazePack *pack, BrazeRequest *request)
{
	Range		range = request->ranges[request->nranges - 1];
	size_t		size = BRAZE_BODY_OVERHEAD;
	Body		body = {NULL, 0, false};

	for (int i = range.low; i < range.high; i++)
		size += braze_object_at(request, i)->length + 1;
	free(request->body);
	request->body_length = 0;
	request->body = body.to = malloc(size);
	if (body.to == NULL)
		return false;

	memset(&request->sent, 0, sizeof(request->sent));
	request->sent.endpoint = request->endpoint;
	request->norder = 0;
	plan_folding(pack, request, range);
	body.to = put_text(body.to, "{", 1);
	for (; body.kind < BRAZE_KINDS; body.kind++)
	{
		if (!write_kind(pack, request, range, &body))
			return false;
	}
	body.to = put_text(body.to, "]}", 2);
	request->body_length = body.to - request->body;
	return true;
}
