/*-------------------------------------------------------------------------
 *
 * attribute_period.h
 *	  Since when what is remembered of a destination's attributes is true.
 *
 * While a destination leaves out what Braze has, it is in a period of that,
 * which has a random number.  Once it sends attributes without looking, what
 * was remembered is out of date, in a million rows perhaps: so the rows stay,
 * and only the period ends.  A row says of which period its attributes are, and
 * those of another are not known.
 *
 * The number is in a row of braze_profiles under a key that no user has.  That
 * is deleted, and the deletion on disk, before anything is sent without
 * looking.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ATTRIBUTE_PERIOD_H
#define BRAZE_ATTRIBUTE_PERIOD_H

#include "executor/tuptable.h"

typedef struct BrazeAttributePeriod BrazeAttributePeriod;

/* as long as the process lives; its fields change with what follows */
extern const BrazeAttributePeriod *braze_attribute_period_find(const char *destination);

/* does the table have a period, or none, as is wanted? */
extern bool braze_attribute_period_is(const char *destination, bool wanted);

/*
 * Goes on with the period of the table or begins one, or ends it.  False:
 * somebody has locked what it needs.  It counts once that has committed.
 */
extern bool braze_attribute_period_set(const char *destination, bool wanted);
extern void braze_attribute_period_committed(const char *destination);

/*
 * May nothing be sent now?  What the table has, or may have, would be out of
 * date after that, and a restart would take it for true.
 */
extern bool braze_attribute_period_forbids(const BrazeAttributePeriod *period,
										   bool wanted);

/* 0: there is none, and nothing is known */
extern uint64 braze_attribute_period_of(const char *destination);

/* is it the row of a period, and not of a user? */
extern bool braze_attribute_period_has_row(TupleTableSlot *slot);

#endif							/* BRAZE_ATTRIBUTE_PERIOD_H */
