/*-------------------------------------------------------------------------
 *
 * name_list.h
 *	  Names in a message, with commas between them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_NAME_LIST_H
#define BRAZE_NAME_LIST_H

#include "lib/stringinfo.h"

static inline void
braze_name_list_add(StringInfo list, const char *name)
{
	if (list->len > 0)
		appendStringInfoString(list, ", ");
	appendStringInfoString(list, name);
}

#endif							/* BRAZE_NAME_LIST_H */
