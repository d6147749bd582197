/*-------------------------------------------------------------------------
 *
 * subscription.c
 *	  Subscription states: whether a user wants to hear from us.
 *
 * An opt-out that is not understood is worse than any other loss, so a state
 * is read in every spelling that can mean one thing only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "map/traits.h"

/* of a group's state, in traits and in entries of a list */
static const char *const state_keys[] = {
	"subscription_state", "subscriptionState", "subscription_group_state",
	"subscription_state_id"
};

const char *
braze_subscription_state(const JsonbValue *value)
{
	static const char *const states[] = {"opted_in", "subscribed", "unsubscribed"};
	BrazeString text;

	if (value->type == jbvBool)
		return value->val.boolean ? NULL : "unsubscribed";
	if (value->type != jbvString || !braze_solid_text(value, &text))
		return NULL;
	for (int i = 0; i < lengthof(states); i++)
	{
		const char *state = states[i];
		int			length = 0;

		/* any case; a dash or a blank is as good as the underscore */
		while (length < text.length && state[length] != '\0' &&
			   (pg_ascii_tolower((unsigned char) text.data[length]) == state[length] ||
				(state[length] == '_' && strchr("- ", text.data[length]) != NULL)))
			length++;
		if (length == text.length && state[length] == '\0')
			return state;
	}
	return NULL;
}

bool
braze_subscription_group_state(JsonbContainer *object, const char **state)
{
	bool		found = false;
	JsonbValue	value;

	*state = NULL;
	for (int i = 0; i < lengthof(state_keys); i++)
	{
		const char *one;

		if (!braze_lookup(object, state_keys[i], &value))
			continue;
		found = true;
		if (value.type == jbvBool && value.val.boolean)
			one = "subscribed";
		else
			one = braze_subscription_state(&value);

		/*
		 * a group knows no third state; where names disagree, the user is out
		 */
		if (one != NULL && strcmp(one, "opted_in") != 0 &&
			(*state == NULL || strcmp(one, "unsubscribed") == 0))
			*state = one;
	}
	return found;
}

bool
braze_subscription_is_key(BrazeString key)
{
	for (int i = 0; i < lengthof(state_keys); i++)
	{
		if (braze_string_is(key, state_keys[i]))
			return true;
	}
	return false;
}
