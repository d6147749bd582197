/*-------------------------------------------------------------------------
 *
 * collect_server.h
 *	  May a role collect from a server?
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_COLLECT_SERVER_H
#define BRAZE_COLLECT_SERVER_H

/*
 * An error if not: it has to be a server of postgres_fdw that the role may use,
 * with a user mapping.
 */
extern void braze_collect_server_require(const char *name, Oid role);

#endif							/* BRAZE_COLLECT_SERVER_H */
