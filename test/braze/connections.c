/*-------------------------------------------------------------------------
 *
 * connections.c
 *	  The connections that are open: their numbers, and ending them all.
 *
 *-------------------------------------------------------------------------
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "standin.h"

typedef struct Connection
{
	long		number;			/* in the order in which they were opened */
	struct MHD_Connection *mhd;
	struct Connection *next;
} Connection;

void
standin_connection_notify(void *cls, struct MHD_Connection *mhd, void **context,
						  enum MHD_ConnectionNotificationCode code)
{
	Connections *connections = cls;
	Connection *connection = *context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED)
	{
		connection = standin_alloc(sizeof(Connection));
		connection->number = ++connections->last_number;
		connection->mhd = mhd;
		connection->next = connections->first;
		connections->first = connection;
		*context = connection;
		return;
	}
	for (Connection **link = &connections->first; *link != NULL; link = &(*link)->next)
	{
		if (*link == connection)
		{
			*link = connection->next;
			break;
		}
	}
	free(connection);
	*context = NULL;
}

long
standin_connection_number(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	const Connection *connection = info ? info->socket_context : NULL;

	return connection ? connection->number : 0;
}

/* returns how many it ended; MHD learns of it from the sockets */
int
standin_disconnect(Standin *standin, struct MHD_Connection *except)
{
	int			ended = 0;

	for (const Connection *connection = standin->connections.first; connection != NULL;
		 connection = connection->next)
	{
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

		if (connection->mhd == except || info == NULL)
			continue;
		if (shutdown(info->connect_fd, SHUT_RDWR) == 0)
			ended++;
	}
	standin_drop_dead(standin);
	return ended;
}
