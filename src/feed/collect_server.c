/*-------------------------------------------------------------------------
 *
 * collect_server.c
 *	  May a role collect from a server?
 *
 * Asked in each round as well: the foreign tables are made by another role, so
 * PostgreSQL does not ask.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "feed/collect_server.h"

void
braze_collect_server_require(const char *name, Oid role)
{
	ForeignServer *server = GetForeignServerByName(name, false);
	ForeignDataWrapper *wrapper = GetForeignDataWrapper(server->fdwid);
	char	   *handler = OidIsValid(wrapper->fdwhandler) ? get_func_name(wrapper->fdwhandler) : NULL;
	AclResult	result;

	if (handler == NULL || strcmp(handler, "postgres_fdw_handler") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not a server of postgres_fdw", name),
				 errhint("Create one with CREATE EXTENSION postgres_fdw and CREATE SERVER ... FOREIGN DATA WRAPPER postgres_fdw.")));
	result = braze_server_aclcheck(server->serverid, role, ACL_USAGE);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FOREIGN_SERVER, name);

	/* an error when there is none */
	(void) GetUserMapping(role, server->serverid);
}
