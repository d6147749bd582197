/*-------------------------------------------------------------------------
 *
 * column_values.h
 *	  Values of our tables' columns that more than one file reads or writes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLUMN_VALUES_H
#define BRAZE_COLUMN_VALUES_H

typedef enum BrazeLetterState
{
	BRAZE_LETTER_REJECTED,
	BRAZE_LETTER_IN_DOUBT,		/* Braze may have accepted the call */
	BRAZE_LETTER_IN_FLIGHT		/* it is under way, or was when the worker
								 * ended */
} BrazeLetterState;

/*
 * The name of a destination as a table has it; a user may have put one there
 * that is longer than any server's, and is cut.
 */
extern void braze_column_values_destination(Datum value, NameData *name);

/* numbers of a call's objects, as both tables have them */
extern Datum braze_column_values_objects_array(int nobjects, const int *objects);

/* a plain INSERT may name any number of them, more than the largest call has */
extern bool braze_column_values_objects_fit(Datum array);
extern int	braze_column_values_objects_read(Datum array, const int **objects);

/* a letter's state as its table has it */
extern Datum braze_column_values_state_text(BrazeLetterState state);
extern BrazeLetterState braze_column_values_state_read(Datum value);

#endif							/* BRAZE_COLUMN_VALUES_H */
