/*-------------------------------------------------------------------------
 *
 * database_name.h
 *	  The name of the worker's database, for what it logs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_DATABASE_NAME_H
#define BRAZE_DATABASE_NAME_H

/*
 * In a transaction.  Once is enough: a database is not renamed while a worker
 * is connected to it.
 */
extern void braze_database_name_read(void);

extern const char *braze_database_name(void);

#endif							/* BRAZE_DATABASE_NAME_H */
