/*-------------------------------------------------------------------------
 *
 * column_values.c
 *	  Values of our tables' columns that more than one file reads or writes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/guc.h"
#include "queue/column_values.h"

static const char *const states[] = {
	[BRAZE_LETTER_REJECTED] = "rejected",
	[BRAZE_LETTER_IN_DOUBT] = "in doubt",
	[BRAZE_LETTER_IN_FLIGHT] = "in flight",
};

Datum
braze_column_values_state_text(BrazeLetterState state)
{
	return CStringGetTextDatum(states[state]);
}

BrazeLetterState
braze_column_values_state_read(Datum value)
{
	char	   *name = TextDatumGetCString(value);

	for (int i = 0; i < lengthof(states); i++)
	{
		if (strcmp(name, states[i]) == 0)
			return i;
	}

	/* its owner may have dropped the CHECK: it is not among those under way */
	return BRAZE_LETTER_REJECTED;
}

void
braze_column_values_destination(Datum value, NameData *name)
{
	struct varlena *text = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));
	int			length = Min(VARSIZE_ANY_EXHDR(text), NAMEDATALEN - 1);

	memcpy(NameStr(*name), VARDATA_ANY(text), length);
	NameStr(*name)[length] = '\0';
}

Datum
braze_column_values_objects_array(int nobjects, const int *objects)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(nobjects, 1));

	for (int i = 0; i < nobjects; i++)
		elements[i] = Int32GetDatum(objects[i]);
	return PointerGetDatum(construct_array(elements, nobjects, INT4OID,
										   sizeof(int32), true, TYPALIGN_INT));
}

bool
braze_column_values_objects_fit(Datum array)
{
	return toast_raw_datum_size(array) <= (Size) braze_max_call_size * 1024;
}

/* a null among them is not ours and ignored */
int
braze_column_values_objects_read(Datum array, const int **objects)
{
	Datum	   *elements;
	bool	   *nulls;
	int		   *numbers;
	int			count;
	int			n = 0;

	deconstruct_array(DatumGetArrayTypeP(array), INT4OID, sizeof(int32), true,
					  TYPALIGN_INT, &elements, &nulls, &count);
	numbers = palloc(sizeof(int) * Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			numbers[n++] = DatumGetInt32(elements[i]);
	}
	*objects = numbers;
	return n;
}
