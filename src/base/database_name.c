/*-------------------------------------------------------------------------
 *
 * database_name.c
 *	  The name of the worker's database, for what it logs.
 *
 * Kept, since the log is also written to where no transaction is open, and
 * log_line_prefix knows no database of a background worker.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/database_name.h"

static NameData database_name;

void
braze_database_name_read(void)
{
	char	   *name = get_database_name(MyDatabaseId);

	if (name != NULL)
		namestrcpy(&database_name, name);
}

const char *
braze_database_name(void)
{
	return NameStr(database_name);
}
