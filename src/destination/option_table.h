/*-------------------------------------------------------------------------
 *
 * option_table.h
 *	  The options of servers and user mappings, described as data.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_OPTION_TABLE_H
#define BRAZE_OPTION_TABLE_H

#include "destination/destination_settings.h"

typedef enum BrazeOptionType
{
	BRAZE_OPTION_BOOLEAN,
	BRAZE_OPTION_INTEGER,
	BRAZE_OPTION_DURATION,		/* stored as milliseconds */
	BRAZE_OPTION_INTERVAL,		/* stored as seconds; off is 0 */
	BRAZE_OPTION_RATE,			/* stored as thousandths; off is 0 */
	BRAZE_OPTION_SIZE,			/* stored as kB; off is 0 */
	BRAZE_OPTION_ENUM,			/* one of choices */
	BRAZE_OPTION_SET,			/* any number of choices, a bit each */
	BRAZE_OPTION_IDENTIFIERS,	/* choices in an order that matters */
	BRAZE_OPTION_TEXT,
	BRAZE_OPTION_NAMES,
	BRAZE_OPTION_CURRENCY,
	BRAZE_OPTION_DATACENTER,
	BRAZE_OPTION_ENDPOINT,
	BRAZE_OPTION_SDK_ENDPOINT,
	BRAZE_OPTION_SDK_VERSION,
	BRAZE_OPTION_PATH,
	BRAZE_OPTION_SECRET			/* never shown, not even in an error */
} BrazeOptionType;

typedef struct BrazeChoice
{
	const char *name;
	int			value;
} BrazeChoice;

typedef struct BrazeOption
{
	const char *name;
	Oid			catalog;
	BrazeOptionType type;
	size_t		offset;			/* in BrazeSettings, or BRAZE_NOT_A_SETTING */
	const char *initial;		/* the default as a user would write it, or
								 * NULL */
	int			min;			/* of numbers; of the length of texts */
	int			max;
	const char *unit;
	const BrazeChoice *choices; /* ends with a NULL name */
	bool		superuser;		/* may only a superuser give it? */
	const char *description;
} BrazeOption;

/* where an option goes; those of user mappings are read when a key is needed */
#define BRAZE_NOT_A_SETTING		((size_t) -1)
#define BRAZE_SETTING(field)	offsetof(BrazeSettings, field)

/* in the order in which they are documented */
extern const BrazeOption braze_option_table[];
extern const int braze_option_count;

#endif							/* BRAZE_OPTION_TABLE_H */
