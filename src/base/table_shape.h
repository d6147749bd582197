/*-------------------------------------------------------------------------
 *
 * table_shape.h
 *	  Are the extension's tables as the install script has made them?
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_TABLE_SHAPE_H
#define BRAZE_TABLE_SHAPE_H

#include "utils/relcache.h"

/* why a table cannot be used; the texts are as for ereport */
typedef struct BrazeTableFault
{
	const char *message;		/* NULL: it can be used */
	const char *command;		/* that helps */
} BrazeTableFault;

/*
 * Compares the relation with the table that the install script has given this
 * name.  What reads and writes our tables goes by position and type, and takes
 * a value to be there where the script says so.
 */
extern BrazeTableFault braze_table_shape_check(Relation rel, const char *name);

#endif							/* BRAZE_TABLE_SHAPE_H */
