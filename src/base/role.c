/*-------------------------------------------------------------------------
 *
 * role.c
 *	  A role that a table names.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#include "base/role.h"

Oid
braze_role_find(const char *name, Oid oid, uint64 system)
{
	if (system != GetSystemIdentifier())
		return get_role_oid(name, true);
	return SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(oid)) ? oid : InvalidOid;
}
