/*-------------------------------------------------------------------------
 *
 * api_key.c
 *	  The REST API key of a destination: from its user mapping, or from a file.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/syscache.h"

#include "destination/api_key.h"

bool
braze_api_key_is_valid(const char *key)
{
	size_t		length = strlen(key);

	if (length == 0 || length > BRAZE_MAX_KEY_LENGTH)
		return false;

	/*
	 * White space or a line end would end the HTTP header that carries the
	 * key; a quotation mark shows that it was copied with what stood around
	 * it.
	 */
	for (; *key; key++)
	{
		if (*key <= ' ' || *key >= 0x7f || strchr("\"'`", *key) != NULL)
			return false;
	}
	return true;
}

/*
 * the options of the mapping of userid (InvalidOid: PUBLIC); false: no mapping
 */
static bool
mapping_options(Oid serverid, Oid userid, List **mapping)
{
	HeapTuple	tuple;
	Datum		datum;
	bool		isnull;

	*mapping = NIL;
	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid),
							ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return false;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple,
							Anum_pg_user_mapping_umoptions, &isnull);
	if (!isnull)
		*mapping = untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return true;
}

/*
 * Reads a key file, which must be as private as the server demands of
 * ssl_key_file.  What is checked is the open file: a path may change between
 * a look and the reading.  Symbolic links are followed, since mounted secrets
 * are links.
 */
static char *
read_key_file(const char *path, char **reason)
{
	char		buffer[BRAZE_MAX_KEY_LENGTH + 1];
	struct stat status;
	ssize_t		length = 0;
	ssize_t		got;
	int			fd;

	/* a FIFO without a writer would block for ever */
	fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	if (fd < 0)
	{
		*reason = psprintf("could not open key file \"%s\": %s", path, strerror(errno));
		return NULL;
	}

	if (fstat(fd, &status) != 0)
		*reason = psprintf("could not examine key file \"%s\": %s", path, strerror(errno));
	else if (!S_ISREG(status.st_mode))
		*reason = psprintf("key file \"%s\" is not a regular file", path);

	/*
	 * whoever owns the file can change the key, and so whose Braze is sent to
	 */
	else if (status.st_uid != geteuid() && status.st_uid != 0)
		*reason = psprintf("key file \"%s\" must be owned by the database server's user or root",
						   path);
	else if ((status.st_uid == geteuid() && (status.st_mode & (S_IRWXG | S_IRWXO))) ||
			 (status.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)))
		*reason = psprintf("key file \"%s\" has group or world access; its mode must be 0600, "
						   "or 0640 if root owns it", path);
	else
	{
		while ((got = read(fd, buffer + length, sizeof(buffer) - length)) > 0)
			length += got;
		if (got < 0)
			*reason = psprintf("could not read key file \"%s\": %s", path, strerror(errno));
		else if (length == sizeof(buffer))
			*reason = psprintf("key file \"%s\" is longer than %d bytes", path,
							   BRAZE_MAX_KEY_LENGTH);
		else
		{
			/* editors end a file with a new line; it is not part of the key */
			while (length > 0 && (buffer[length - 1] == '\n' || buffer[length - 1] == '\r'))
				length--;
			buffer[length] = '\0';
			/* the second condition: a zero byte inside would hide the rest */
			if (braze_api_key_is_valid(buffer) && strlen(buffer) == length)
			{
				CloseTransientFile(fd);
				return pstrdup(buffer);
			}
			*reason = psprintf("key file \"%s\" must hold the key alone, in ASCII and without "
							   "white space or quotation marks", path);
		}
	}
	CloseTransientFile(fd);
	return NULL;
}

char	   *
braze_api_key_read(const BrazeDestination *destination, char **reason)
{
	HeapTuple	tuple;
	Oid			owner;
	List	   *mapping;
	ListCell   *cell;
	const char *name = NameStr(destination->name);

	tuple = SearchSysCache1(FOREIGNSERVEROID, ObjectIdGetDatum(destination->serverid));
	if (!HeapTupleIsValid(tuple))
	{
		*reason = psprintf("server \"%s\" does not exist", name);
		return NULL;
	}
	owner = ((Form_pg_foreign_server) GETSTRUCT(tuple))->srvowner;
	ReleaseSysCache(tuple);

	/*
	 * The worker sends for everybody, so the key is the owner's and not that
	 * of who queued.  It is read as it is now, past the cache of
	 * destinations.
	 */
	if (!mapping_options(destination->serverid, owner, &mapping) &&
		!mapping_options(destination->serverid, InvalidOid, &mapping))
	{
		*reason = psprintf("server \"%s\" has no user mapping for its owner \"%s\" or PUBLIC",
						   name, GetUserNameFromId(owner, false));
		return NULL;
	}

	foreach(cell, mapping)
	{
		DefElem    *def = lfirst(cell);

		if (strcmp(def->defname, "rest_api_key_file") == 0)
			return read_key_file(defGetString(def), reason);
		if (strcmp(def->defname, "rest_api_key") == 0)
		{
			char	   *key = defGetString(def);

			if (braze_api_key_is_valid(key))
				return pstrdup(key);
			*reason = psprintf("the rest_api_key of server \"%s\" is not valid", name);
			return NULL;
		}
	}
	*reason = psprintf("the user mapping of server \"%s\" has neither rest_api_key_file nor "
					   "rest_api_key", name);
	return NULL;
}
