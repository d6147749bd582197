/*-------------------------------------------------------------------------
 *
 * deleted_users.c
 *	  Dead letters of users whom a call has deleted are deleted, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "base/catalog.h"
#include "base/statement.h"
#include "json/jsonb_walk.h"
#include "json/value.h"
#include "store/claims_bound.h"
#include "store/deleted_users.h"

/*
 * Users who were deleted, in order, and the letters that came into being among
 * them: after so many of these users.
 */
typedef struct BrazeDeletedUsers
{
	int			nusers;
	ArrayBuildState *destinations;
	ArrayBuildState *users;
	ArrayBuildState *letters;
	ArrayBuildState *after;
} BrazeDeletedUsers;

/* the user that the call names, in either spelling; false: it names none */
static bool
user_of(Datum call, BrazeString *user)
{
	Jsonb	   *jsonb = DatumGetJsonbP(call);
	JsonbValue	value;

	return JB_ROOT_IS_OBJECT(jsonb) &&
		(braze_lookup(&jsonb->root, "userId", &value) ||
		 braze_lookup(&jsonb->root, "user_id", &value)) &&
		braze_scalar_text(&value, user);
}

static void
append_value(BrazeSettler *settler, ArrayBuildState **array, Datum value, Oid type)
{
	*array = accumArrayResult(*array, value, false, type, settler->context);
}

static Datum
array_of(ArrayBuildState *array, Oid type)
{
	return array == NULL ? PointerGetDatum(construct_empty_array(type)) :
		makeArrayResult(array, CurrentMemoryContext);
}

bool
braze_deleted_users_add(BrazeSettler *settler, const BrazeSettleRow *row)
{
	int64		id;
	BrazeSettleTable *table = braze_settler_table_of(settler, row, &id);
	bool		is_letter = (table == &settler->letters);
	int			call = (is_letter ? BRAZE_DEAD_CALL : BRAZE_QUEUE_CALL) - 1;
	int			destination = (is_letter ? BRAZE_DEAD_DESTINATION : BRAZE_QUEUE_DESTINATION) - 1;
	BrazeString user;

	/*
	 * the letters are deleted at the end of the round: too late to say not
	 * now
	 */
	if (table == NULL || !braze_settler_open_letters(settler))
		return false;
	if (braze_settler_fetch(table, id, row) &&
		!table->slot->tts_isnull[call] && !table->slot->tts_isnull[destination] &&
		user_of(table->slot->tts_values[call], &user))
	{
		BrazeDeletedUsers *deleted_users = settler->deleted_users;

		if (deleted_users == NULL)
			deleted_users = settler->deleted_users =
				MemoryContextAllocZero(settler->context, sizeof(BrazeDeletedUsers));
		append_value(settler, &deleted_users->destinations, table->slot->tts_values[destination], TEXTOID);
		append_value(settler, &deleted_users->users,
					 PointerGetDatum(cstring_to_text_with_len(user.data, user.length)), TEXTOID);
		deleted_users->nusers++;
	}
	ExecClearTuple(table->slot);
	return true;
}

void
braze_deleted_users_note_letter(BrazeSettler *settler, int64 letter)
{
	BrazeDeletedUsers *deleted_users = settler->deleted_users;

	if (deleted_users == NULL)
		return;
	append_value(settler, &deleted_users->letters, Int64GetDatum(letter), INT8OID);

	/*
	 * a letter that came after the user's deletion is of a later call, and
	 * stays
	 */
	append_value(settler, &deleted_users->after, Int32GetDatum(deleted_users->nusers), INT4OID);
}

/*
 * What is under way of such a user was queued after the deletion, which waited
 * for all before it.
 */
void
braze_deleted_users_delete_letters(BrazeSettler *settler)
{
	static const Oid types[5] = {TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT4ARRAYOID, INT8OID};
	BrazeDeletedUsers *deleted_users = settler->deleted_users;
	Relation	letters = settler->letters.rel;
	Datum		values[5];
	BrazeStatement statement = {letters, CMD_DELETE, NULL, lengthof(types), types, values};

	if (deleted_users == NULL)
		return;
	settler->deleted_users = NULL;
	values[0] = array_of(deleted_users->destinations, TEXTOID);
	values[1] = array_of(deleted_users->users, TEXTOID);
	values[2] = array_of(deleted_users->letters, INT8OID);
	values[3] = array_of(deleted_users->after, INT4OID);
	values[4] = Int64GetDatum(braze_claims_bound_now().lowest_letter);

	/*
	 * One statement for all users, for the table has no index on them.  The
	 * last deletion of a user counts.  A letter that came into being after it
	 * in this transaction stays, and so does one that is in flight now.
	 */
	statement.text =
		psprintf("DELETE FROM %s d USING ("
				 "SELECT u.destination, u.name, max(u.number) AS number "
				 "FROM ROWS FROM (unnest($1, $2)) WITH ORDINALITY u (destination, name, number) "
				 "GROUP BY 1, 2) u "
				 "WHERE d.destination = u.destination "
				 "AND coalesce(d.call ->> 'userId', d.call ->> 'user_id') = u.name "
				 "AND NOT (d.state = 'in flight' AND d.id >= $5) "
				 "AND NOT EXISTS (SELECT FROM ROWS FROM (unnest($3, $4)) s (id, number) "
				 "WHERE s.id = d.id AND s.number >= u.number)",
				 braze_statement_table(letters));
	(void) braze_statement_run(&statement);
}
