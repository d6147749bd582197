/*-------------------------------------------------------------------------
 *
 * role.h
 *	  A role that a table names.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_ROLE_H
#define BRAZE_ROLE_H

/*
 * By its OID in the database system where that was noted: it is kept when the
 * role is renamed, and is not that of a role which was created anew with the
 * name of one that was dropped.  In another system, where a dump was restored,
 * by its name.  InvalidOid: there is none.
 */
extern Oid	braze_role_find(const char *name, Oid oid, uint64 system);

#endif							/* BRAZE_ROLE_H */
