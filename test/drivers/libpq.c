/* packages: libpq-dev gcc */
#include <stdio.h>
#include <stdlib.h>
#include <libpq-fe.h>

/* a call that is no query is refused, before it reaches the function */
static ExecStatusType
call_without_query(PGconn *connection)
{
	PGresult   *result = PQexec(connection, "SELECT 'braze_identify'::regproc::oid::int");
	PQArgBlock	arguments[8] = {{2, 0, {.ptr = (int *) "u1"}}};
	int			function = atoi(PQgetvalue(result, 0, 0));
	int			length;
	int			id;

	for (int i = 1; i < 8; i++)
		arguments[i].len = -1;
	PQclear(result);
	result = PQfn(connection, function, &id, &length, 1, arguments, 8);
	return PQresultStatus(result);
}

int
main(void)
{
	static const char *const user_ids[] = {"42", "7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90", "it's u1"};
	const char *properties = "{\"title\": \"Ro\u00e4r\", \"plays\": 3, \"tags\": [\"a\", \"b \\\"c\\\"\"], \"at\": null}";
	PGconn	   *connection = PQconnectdb("");

	for (int i = 0; i < 3; i++)
	{
		const char *user_id = user_ids[i];
		PGresult   *result;

		/* from doc/clients.md */
		if (PQresultStatus(result) != PGRES_TUPLES_OK)
		{
			fputs(PQerrorMessage(connection), stderr);
			return 1;
		}
		PQclear(result);
	}
	if (call_without_query(connection) != PGRES_FATAL_ERROR)
	{
		fputs("PQfn can call it\n", stderr);
		return 1;
	}
	PQfinish(connection);
	return 0;
}
