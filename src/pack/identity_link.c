/*-------------------------------------------------------------------------
 *
 * identity_link.c
 *	  Identity objects in front of a call's own: two identifiers of one person
 *	  become one user at Braze.
 *
 * Whether that is needed is known only when everything earlier of both is
 * answered, so it is decided when the call is ready to start.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <string.h>

#include "pack/pack.h"
#include "pack/pack_internal.h"

/*
 * an identity object's text: what stands before, between and behind the keys
 */
typedef struct LinkShape
{
	const char *before;
	const char *between;
	const char *behind;
	bool		main_first;
} LinkShape;

static const LinkShape identify_shape = {"{", ",", "}", true};
static const LinkShape address_shape = {"{", ",", BRAZE_PRIORITIZATION "}", true};
static const LinkShape merge_shape = {
	"{\"identifier_to_merge\":{", "},\"identifier_to_keep\":{", "}}", false
};

static char *
copy_part(char *to, const char *from, size_t length)
{
	memcpy(to, from, length);
	return to + length;
}

/* the identity object that makes these two one user; NULL: no memory */
static char *
link_text(const LinkShape *shape, const Lane *user, const Lane *other, size_t *length)
{
	const Lane *first = shape->main_first ? user : other;
	const Lane *second = shape->main_first ? other : user;
	char	   *text;
	char	   *to;

	*length = strlen(shape->before) + first->key_length + strlen(shape->between) +
		second->key_length + strlen(shape->behind);
	text = to = malloc(*length);
	if (text == NULL)
		return NULL;
	to = copy_part(to, shape->before, strlen(shape->before));
	to = copy_part(to, first->key, first->key_length);
	to = copy_part(to, shape->between, strlen(shape->between));
	to = copy_part(to, second->key, second->key_length);
	(void) copy_part(to, shape->behind, strlen(shape->behind));
	return text;
}

/* to somebody else than the call's user */
static bool
is_given_away(const PackedCall *call, int lane)
{
	const BrazeProfile *other = call->users[lane].profile;

	return other->owner != NULL &&
		!braze_profile_cache_is_owner(other, call->users[0].lane->key, call->users[0].lane->key_length);
}

/*
 * Is it the alias that Braze keeps of the call's user?  What is sent under that
 * is the user's at once.  Of one that was merged Braze makes a new profile.
 */
static bool
is_users_own(const PackedCall *call, int lane)
{
	const BrazeProfile *user = call->users[0].profile;
	const BrazeProfile *other = call->users[lane].profile;

	return other->has_alias && user->has_alias && other->owner != NULL && !is_given_away(call, lane);
}

/*
 * Braze keeps one alias per label and silently ignores a second, so further
 * ones are merged.  An alias of somebody else is never given again, and an
 * address is linked once per pair.
 */
static int
link_kind(const PackedCall *call, int lane)
{
	const BrazeProfile *user = call->users[0].profile;
	const BrazeProfile *other = call->users[lane].profile;

	if (call->users[lane].link < 0 || user == NULL || other == NULL || !other->sent ||
		is_given_away(call, lane) || is_users_own(call, lane))
		return -1;
	if (call->users[lane].link != BRAZE_ALIASES_TO_IDENTIFY)
		return other->owner != NULL ? -1 : call->users[lane].link;
	return user->has_alias ? BRAZE_MERGE_UPDATES : BRAZE_ALIASES_TO_IDENTIFY;
}

/* without memory the link is left for the user's next call */
static void
fill_link(BrazePack *pack, PackedCall *call, int lane)
{
	PackedObject *object = &call->objects[lane - 1];
	int			kind = link_kind(call, lane);
	const LinkShape *shape = kind == BRAZE_MERGE_UPDATES ? &merge_shape
	: kind == BRAZE_ALIASES_TO_IDENTIFY ? &identify_shape : &address_shape;
	size_t		length;

	/* it needs no sending, unless all of what follows succeeds */
	object->state = OBJECT_ACCEPTED;
	if (kind < 0)
	{
		const BrazeProfile *other = call->users[lane].profile;

		if (other != NULL && other->sent && is_given_away(call, lane))
			call->pub.withheld = true;
		return;
	}
	call->users[lane].link_text = link_text(shape, call->users[0].lane, call->users[lane].lane, &length);
	if (call->users[lane].link_text == NULL)
		return;
	call->size += 2 * length;
	pack->memory += 2 * length;
	object->json = call->users[lane].link_text;
	object->length = length;
	object->kind = kind;
	object->state = OBJECT_PENDING;
}

/*
 * An alias call's own object: of a user who has an alias of this label Braze
 * would ignore it, so the two are merged.  Without memory it goes as it is.  An
 * alias that was given away stands for the whole profile of its owner, which
 * would become part of this user's and be no more.
 */
static void
decide_own_link(BrazePack *pack, PackedCall *call)
{
	PackedObject *object = &call->objects[call->nlinks];
	const BrazeProfile *user = call->nlanes > 1 ? call->users[0].profile : NULL;
	const BrazeProfile *other = call->nlanes > 1 ? call->users[1].profile : NULL;
	size_t		length;

	if (object->kind != BRAZE_ALIASES_TO_IDENTIFY || user == NULL || other == NULL)
		return;
	call->pub.withheld = is_given_away(call, 1);

	/* one that was joined, and has nothing since, needs no merge either */
	if (call->pub.withheld || !user->has_alias || is_users_own(call, 1) ||
		(other->owner != NULL && !other->sent))
		return;
	call->users[1].link_text = link_text(&merge_shape, call->users[0].lane, call->users[1].lane, &length);
	if (call->users[1].link_text == NULL)
		return;
	call->size += 2 * length;
	pack->memory += 2 * length;
	object->json = call->users[1].link_text;
	object->length = length;
	object->kind = BRAZE_MERGE_UPDATES;
}

/* an alias call's own object that is not to be sent */
bool
braze_identity_link_is_withheld(const PackedCall *call, const PackedObject *object)
{
	return call->pub.withheld && object->kind == BRAZE_ALIASES_TO_IDENTIFY &&
		object == &call->objects[call->nlinks];
}

/*
 * An alias that Braze keeps may have been written when its user was not: by the
 * settle of an earlier call, before a crash.
 */
static void
restore_has_alias(PackedCall *call)
{
	BrazeProfile *user = call->nlanes > 0 ? call->users[0].profile : NULL;

	for (int i = 1; i < call->nlanes && user != NULL && !user->has_alias; i++)
	{
		const BrazeProfile *other = call->users[i].profile;

		if (other != NULL && other->has_alias && !other->sent && other->owner != NULL &&
			!is_given_away(call, i))
			user->has_alias = user->dirty = true;
	}
}

/* skips the links that are not needed; the lanes count what remains */
void
braze_identity_link_decide(BrazePack *pack, PackedCall *call)
{
	int			remaining = braze_lane_remaining_objects(call);

	call->links_decided = true;
	restore_has_alias(call);
	for (int lane = 1; lane <= call->nlinks && lane < call->nlanes; lane++)
		fill_link(pack, call, lane);
	if (call->nlinks == 0 && call->pub.nobjects > 0)
		decide_own_link(pack, call);
	while (call->next_object < call->nlinks &&
		   call->objects[call->next_object].state == OBJECT_ACCEPTED)
		call->next_object++;
	for (int i = 0; i < call->nlanes; i++)
	{
		call->users[i].lane->waiting_objects += braze_lane_remaining_objects(call) - remaining;
		braze_deferred_lane_has_room(pack, call->users[i].lane);
	}
}

/*
 * Whoever the call deletes by an alias that Braze keeps of them is another of
 * its users: nothing of them is under way then, nor starts before the deletion
 * is settled.  Their calls that were deferred come after it.  False: there is
 * no such user, or no memory, or they were added before.
 */
bool
braze_identity_link_add_owner(BrazePack *pack, PackedCall *call)
{
	const BrazeProfile *alias = call->nlanes > 0 ? call->users[0].profile : NULL;
	BrazePackUser owner;
	Lane	   *lane;

	if (alias == NULL || alias->owner == NULL || !alias->has_alias || call->nlanes == BRAZE_PACK_USERS ||
		braze_kinds[call->objects[call->nlinks].kind].endpoint != BRAZE_USERS_DELETE)
		return false;
	owner.key = alias->owner;
	owner.length = alias->owner_length;
	lane = braze_lane_for(pack, &owner, braze_lane_hash(pack, &owner));
	for (int i = 0; i < call->nlanes; i++)
	{
		if (lane == NULL || call->users[i].lane == lane)
			return false;
	}
	lane->calls++;
	call->users[call->nlanes].link = -1;
	call->users[call->nlanes++].lane = lane;
	braze_lane_insert(lane, call);
	return true;
}

/* Braze has put two of these users together, and nobody knows how */
static void
reset_attributes(PackedCall *call)
{
	for (int i = 0; i < call->nlanes; i++)
	{
		if (call->users[i].profile != NULL)
			braze_profile_cache_reset(call->users[i].profile);
	}
}

/*
 * what Braze was told under an identifier it was told of whom this was given to
 */
static void
note_owner(PackedCall *call)
{
	const BrazeProfile *profile = call->nlanes > 0 ? call->users[0].profile : NULL;

	if (profile != NULL && profile->owner != NULL)
		call->pub.changes_owner = true;
}

/*
 * Braze has deleted the call's user, with what was theirs.  The call may name
 * an alias of somebody else, of which Braze has what it had.  The owner of an
 * alias is deleted with it, unless they were deleted before: then it was taken
 * back from them, and they may have begun anew.
 */
static void
note_deletion(PackedCall *call)
{
	const Lane *user = call->users[0].lane;
	const BrazeProfile *alias = call->users[0].profile;

	/* the first one last, since it says whose it is */
	for (int i = call->nlanes - 1; i >= 0; i--)
	{
		Lane	   *lane = call->users[i].lane;
		BrazeProfile *profile = call->users[i].profile;

		if (profile != NULL &&
			(i == 0 || braze_profile_cache_is_owner(profile, user->key, user->key_length)))
			braze_profile_cache_clear(profile);
		if (alias != NULL && braze_profile_cache_is_owner(alias, lane->key, lane->key_length))
		{
			call->pub.owner = lane->key;
			call->pub.owner_length = lane->key_length;
		}
		if (!call->pub.deleted)
			braze_lane_bar(lane);
	}
	call->pub.deleted = true;
}

/*
 * What comes under an alias after its owner was deleted makes a new visitor,
 * also under the alias that Braze had kept.
 */
static void
note_new_visitor(const BrazePack *pack, BrazeProfile *profile)
{
	if (profile->owner == NULL || !profile->has_alias ||
		!braze_lane_is_barred(pack, profile->owner, profile->owner_length))
		return;
	profile->has_alias = false;
	profile->dirty = true;
}

/* Braze has made this lane's user one with the call's; false: no memory */
static bool
keep_link(PackedCall *call, int lane, BrazeKind kind, bool is_alias)
{
	BrazeProfile *user = call->users[0].profile;
	BrazeProfile *other = call->users[lane].profile;
	bool		was_sent = other->sent;

	/* of an alias that Braze does not know it makes nothing */
	bool		is_own = kind == BRAZE_ALIASES_TO_IDENTIFY &&
	(is_users_own(call, lane) || (was_sent && !user->has_alias));

	if (!braze_profile_cache_set_owner(other, call->users[0].lane->key, call->users[0].lane->key_length))
		return false;
	other->sent = false;
	other->has_alias = is_own;

	/*
	 * Perhaps Braze does know it.  A further one is merged then, but not into
	 * a user whom Braze does not know either.
	 */
	if (is_alias && (was_sent || user->sent))
	{
		user->has_alias = true;
		user->dirty = true;
	}
	return true;
}

/*
 * an alias call, or one that merges two
 * users, has an identity object of its own
 */
static bool
keep_own_link(PackedCall *call, const PackedObject *object)
{
	BrazeProfile *user = call->nlanes > 1 ? call->users[0].profile : NULL;
	BrazeProfile *other = call->nlanes > 1 ? call->users[1].profile : NULL;

	if (user == NULL || other == NULL)
		return true;
	if (object->kind == BRAZE_ALIASES_TO_IDENTIFY || object->json == call->users[1].link_text)
		return keep_link(call, 1, object->kind, true);
	if (object->kind == BRAZE_MERGE_UPDATES && other->has_alias && !user->has_alias)
		user->has_alias = user->dirty = true;
	return true;
}

/* Braze has accepted this object: what is remembered of the users changes */
bool
braze_identity_link_accepted(BrazePack *pack, PackedCall *call, int number)
{
	PackedObject *object = &call->objects[number];
	BrazeProfile *profile = call->nlanes > 0 ? call->users[0].profile : NULL;

	if (number < call->nlinks ?
		!keep_link(call, number + 1, object->kind,
				   call->users[number + 1].link == BRAZE_ALIASES_TO_IDENTIFY) :
		!keep_own_link(call, object))
		return false;
	switch (braze_kinds[object->kind].endpoint)
	{
		case BRAZE_USERS_IDENTIFY:
		case BRAZE_USERS_MERGE:
			reset_attributes(call);
			return true;
		case BRAZE_USERS_DELETE:
			note_deletion(call);
			return true;
		case BRAZE_USERS_TRACK:
			break;
	}
	if (profile == NULL)
		return true;
	note_new_visitor(pack, profile);
	if (!profile->sent)
	{
		profile->sent = true;
		profile->dirty = true;
	}
	if (object->kind != BRAZE_ATTRIBUTES)
		return true;
	note_owner(call);
	if (!pack->limits.changed_only || profile->owner != NULL)
	{
		/*
		 * Not worth the reading, or the owner's, of whom later calls tell
		 * other things; but what is known may be so no longer.
		 */
		braze_profile_cache_reset(profile);
		return true;
	}
	return braze_attributes_read(&pack->fields, object->json, object->length) &&
		braze_profile_cache_accepted(profile, &pack->fields, current_hour_of(pack),
									 pack->limits.resend_after);
}

/*
 * Braze may have accepted it all the same, in an earlier request of which
 * nobody knows how it ended: so which attributes it has now is not known.
 */
void
braze_identity_link_refused(PackedCall *call, int number)
{
	BrazeKind	kind = call->objects[number].kind;

	if (kind == BRAZE_ATTRIBUTES)
		note_owner(call);
	if (kind == BRAZE_ATTRIBUTES || braze_kinds[kind].endpoint != BRAZE_USERS_TRACK)
		reset_attributes(call);
}

/*
 * a link to a user of whom Braze has nothing does no harm, a missing one does
 */
void
braze_identity_link_in_doubt(PackedCall *call, int number)
{
	BrazeProfile *profile = call->nlanes > 0 ? call->users[0].profile : NULL;

	braze_identity_link_refused(call, number);
	if (profile == NULL || profile->sent ||
		braze_kinds[call->objects[number].kind].endpoint != BRAZE_USERS_TRACK)
		return;
	profile->sent = true;
	profile->dirty = true;
}

/*
 * What is left of it is not sent, or not again.  It was sent before, perhaps by
 * a process that was killed, and Braze may have accepted it.
 */
void
braze_identity_link_given_up(PackedCall *call)
{
	bool		was_sent = call->started || call->pub.row.was_there;

	for (int i = call->next_object; was_sent && i < call->pub.nobjects; i++)
	{
		if (call->objects[i].state < OBJECT_ACCEPTED)
			braze_identity_link_in_doubt(call, i);
	}
	for (int i = 0; i < call->nlanes; i++)
	{
		if (call->users[i].profile != NULL)
			call->users[i].profile->unsettled = call->users[i].profile->dirty;
	}
}
