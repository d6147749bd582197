/*-------------------------------------------------------------------------
 *
 * packed_call.c
 *	  One call of the pack: its objects, its refusals, the lists it stands in.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/* ----- lists ----- */

/* at the end of a list; a call is in one list at most */
void
braze_packed_call_append(CallList *list, PackedCall *call)
{
	call->next = NULL;
	if (list->tail != NULL)
		list->tail->next = call;
	else
		list->head = call;
	list->tail = call;
}

/* takes out the first call of a list, NULL when it is empty */
PackedCall *
braze_packed_call_pop(CallList *list)
{
	PackedCall *call = list->head;

	if (call != NULL)
	{
		list->head = call->next;
		if (list->head == NULL)
			list->tail = NULL;
		else
			braze_packed_call_prefetch(list->head);
		call->next = NULL;
	}
	return call;
}

/* ----- its life ----- */

/* the call holds so many bytes more */
static void
add_to_size(BrazePack *pack, PackedCall *call, size_t bytes)
{
	call->size += bytes;
	pack->memory += bytes;
}

/*
 * The text counts twice: a body that is written has it once more, and what is
 * taken in is to leave room for that.
 */
PackedCall *
braze_packed_call_create(int nusers, int nlinks, int nobjects,
						 const BrazePackObject *objects, size_t *size)
{
	size_t		users = nusers * sizeof(CallUser);
	size_t		profiles = nusers * sizeof(BrazeProfile *);
	size_t		header = sizeof(PackedCall) + users + profiles +
	(nlinks + nobjects) * sizeof(PackedObject);
	size_t		text = 0;
	PackedCall *call;
	char	   *to;

	for (int i = 0; i < nobjects; i++)
		text += objects[i].length;

	/* the body of the request that it goes into holds the text once more */
	*size = header + 2 * text;
	call = malloc(header + text);
	if (call == NULL)
		return NULL;
	memset(call, 0, header);
	call->pub.profiles = (BrazeProfile **) ((char *) call->users + users);
	call->objects = (PackedObject *) ((char *) call->pub.profiles + profiles);
	call->nlinks = nlinks;
	call->links_decided = (nlinks == 0 &&
						   !(nobjects > 0 && objects[0].kind == BRAZE_ALIASES_TO_IDENTIFY));
	call->pub.nobjects = nlinks + nobjects;
	for (int i = 0; i < nlinks; i++)
		call->objects[i].number = BRAZE_LINK_ALONE;
	to = (char *) call + header;
	for (int i = 0; i < nobjects; i++)
	{
		PackedObject *object = &call->objects[nlinks + i];

		memcpy(to, objects[i].json, objects[i].length);
		object->json = to;
		object->length = objects[i].length;
		object->number = objects[i].number;
		object->kind = objects[i].kind;
		object->state = OBJECT_PENDING;
		if (object->kind == BRAZE_ATTRIBUTES)
			object->alone = braze_attributes_stand_alone(object->json, object->length,
														 &object->attributes.points);
		else if (objects[i].name + objects[i].name_length <= UINT16_MAX)
		{
			object->name.start = objects[i].name;
			object->name.length = objects[i].name_length;
		}
		to += objects[i].length;
	}
	return call;
}

/* from here on the pack holds it, and counts its bytes */
void
braze_packed_call_enter(BrazePack *pack, PackedCall *call, size_t size)
{
	call->all_next = pack->all;
	if (pack->all != NULL)
		pack->all->all_prev = call;
	pack->all = call;
	pack->ncalls++;
	add_to_size(pack, call, size);
}

/* each of its profiles goes back to its keeper once */
void
braze_packed_call_release_profiles(BrazePack *pack, PackedCall *call)
{
	for (int i = 0; i < call->pub.nprofiles; i++)
		pack->limits.release(call->pub.profiles[i]);
	call->pub.nprofiles = 0;
}

/* frees a call that knows its lanes, but was not entered */
void
braze_packed_call_discard(BrazePack *pack, PackedCall *call)
{
	for (int i = 0; i < call->nlanes; i++)
		braze_lane_unref(pack, call->users[i].lane);
	free(call);
}

/*
 * it leaves its lanes, in which it waits no more, and its users are still known
 */
void
braze_packed_call_done(BrazePack *pack, PackedCall *call, int64_t now)
{
	for (int i = 0; i < call->nlanes; i++)
	{
		uint64_t	hash = call->users[i].lane->hash;

		braze_lane_unref(pack, call->users[i].lane);
		call->users[i].hash = hash;
	}
	call->nusers = call->nlanes;
	call->nlanes = 0;
	call->state = CALL_DONE;
	call->ready_since = now;
	braze_packed_call_append(&pack->done, call);
}

/* takes the call out of the pack and frees it; it stands in no lane or list */
void
braze_packed_call_free(BrazePack *pack, PackedCall *call)
{
	for (int i = 0; i < call->nlanes; i++)
		braze_lane_unref(pack, call->users[i].lane);
	for (int i = 0; i < call->nlanes + call->nusers && call->pub.deleted; i++)
		braze_lane_unbar(pack, call->users[i].lane);
	if (call->all_prev != NULL)
		call->all_prev->all_next = call->all_next;
	else
		pack->all = call->all_next;
	if (call->all_next != NULL)
		call->all_next->all_prev = call->all_prev;
	pack->ncalls--;
	pack->memory -= call->size;
	for (int i = 0; i < call->nlanes + call->nusers; i++)
		free(call->users[i].link_text);
	braze_packed_call_release_profiles(pack, call);
	if (call->pub.letter != 0)
		pack->limits.end_flight(pack->limits.owner, call->pub.flight);
	while (call->pub.refusals != NULL)
	{
		BrazeRefusal *refusal = call->pub.refusals;

		call->pub.refusals = refusal->next;
		free(refusal);
	}
	free(call);
}

/* ----- what becomes of it ----- */

/* where its next object goes */
BrazeEndpoint
braze_packed_call_endpoint(const PackedCall *call)
{
	return braze_kinds[call->objects[call->next_object].kind].endpoint;
}

/*
 * keeps the refusals in the order of their objects' numbers; false: no memory
 */
bool
braze_packed_call_add_refusal(BrazePack *pack, PackedCall *call, int number,
							  int http_status, bool in_doubt, const char *reason)
{
	size_t		length = strlen(reason) + 1;
	BrazeRefusal *refusal = malloc(sizeof(BrazeRefusal) + length);
	BrazeRefusal **link = &call->pub.refusals;

	if (refusal == NULL)
		return false;
	refusal->number = number;
	refusal->http_status = http_status;
	refusal->in_doubt = in_doubt;
	memcpy(refusal->reason, reason, length);

	/* they mostly come in order, so the last one saves walking the list */
	if (call->last_refusal != NULL && call->last_refusal->number <= number)
		link = &call->last_refusal->next;
	while (*link != NULL && (*link)->number < number)
		link = &(*link)->next;
	refusal->next = *link;
	*link = refusal;
	if (refusal->next == NULL)
		call->last_refusal = refusal;
	call->pub.nrefused++;
	add_to_size(pack, call, sizeof(BrazeRefusal) + length);
	return true;
}

int64_t
braze_packed_call_oldest(const BrazePack *pack, int64_t *queued_at)
{
	const PackedCall *oldest = NULL;

	for (const PackedCall *call = pack->all; call != NULL; call = call->all_next)
	{
		if (call->state != CALL_DONE && (oldest == NULL || call->pub.id < oldest->pub.id))
			oldest = call;
	}
	if (oldest == NULL)
		return 0;
	*queued_at = oldest->pub.row.queued_at;
	return oldest->pub.id;
}

int
braze_packed_call_count_accepted(const BrazeCall *pub, int64_t *counts)
{
	const PackedCall *call = (const PackedCall *) pub;
	int			accepted = 0;

	for (int i = 0; i < pub->nobjects; i++)
	{
		if (!call->objects[i].delivered)
			continue;
		counts[call->objects[i].kind]++;
		accepted++;
	}
	return accepted;
}

int64_t
braze_packed_call_done_since(const BrazeCall *pub, int64_t now)
{
	const PackedCall *call = (const PackedCall *) pub;

	return call->ready_since > 0 && call->ready_since < now ? now - call->ready_since : 0;
}
