/*-------------------------------------------------------------------------
 *
 * destination.h
 *	  A destination is a foreign server of the wrapper segment_braze.
 *
 * One table of options (name, catalog, type, default, range, description)
 * serves the validator, the loader and the documentation.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DESTINATION_H
#define BRAZE_DESTINATION_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/palloc.h"

#include "base/compat.h"
#include "destination/destination_settings.h"

typedef struct BrazeDestination
{
	NameData	name;
	Oid			serverid;
	BrazeSettings settings;
	StringInfoData options;		/* that change what is sent, to be compared */
	MemoryContext context;		/* owns it; delete it to free the destination */
} BrazeDestination;

/*
 * The destination of this name, or NULL when there is no such server of our
 * wrapper.  In the caller's memory context, parsed anew at every call.
 */
extern BrazeDestination *braze_destination_load(const char *name);

/* is it the same server, with the same options but for those of braze_sdk? */
extern bool braze_destination_is_same(const BrazeDestination *a, const BrazeDestination *b);

/* the names of all destinations, a list of char * */
extern List *braze_destination_names(void);

/* those that roleid may use */
extern List *braze_destination_usable_names(Oid roleid);

/* the settings of a destination without options */
extern const BrazeSettings *braze_destination_default_settings(void);

/* why there is no destination to use; the texts are as for ereport */
typedef struct BrazeDestinationProblem
{
	int			sqlstate;
	char	   *message;
	char	   *detail;			/* NULL: none */
	char	   *hint;			/* NULL: none */
} BrazeDestinationProblem;

/*
 * The destination that an ordinary session means, from a per-session cache that
 * any change of servers, mappings or roles empties.  name NULL: the setting
 * segment_braze.destination, else the only server roleid has USAGE on.  Raises
 * an error with a hint when there is none, or when roleid lacks USAGE.  The
 * result is valid until the next call.
 */
extern const BrazeDestination *braze_destination_for(const char *name, Oid roleid);

/* the same, but returns NULL and fills problem instead of raising an error */
extern const BrazeDestination *braze_destination_find(const char *name, Oid roleid,
													  BrazeDestinationProblem *problem);

/*
 * The same for a trigger on the table of this owner, whose USAGE counts.  The
 * setting counts only for a session whose role may use what it names.
 */
extern const BrazeDestination *braze_destination_find_in_trigger(const char *name, Oid owner,
																 BrazeDestinationProblem *problem);

pg_noreturn extern void braze_destination_report(const BrazeDestinationProblem *problem);

#endif							/* BRAZE_DESTINATION_H */
