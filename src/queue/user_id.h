/*-------------------------------------------------------------------------
 *
 * user_id.h
 *	  A user's id, which may be of several types.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_USER_ID_H
#define BRAZE_USER_ID_H

#include "fmgr.h"

#include "json/jsonb_walk.h"
#include "queue/call_builder.h"

/* how the text of the id is had from a value */
typedef enum BrazeUserIdForm
{
	BRAZE_USER_ID_TEXT,			/* it is the value */
	BRAZE_USER_ID_PADDED,		/* the value without its trailing blanks */
	BRAZE_USER_ID_NUMERIC,		/* as the mapping writes a number */
	BRAZE_USER_ID_JSONB,		/* that of the string or number in it */
	BRAZE_USER_ID_OUTPUT		/* by the output function of the type */
} BrazeUserIdForm;

typedef struct BrazeUserIdType
{
	Oid			type;			/* domains looked through */
	BrazeUserIdForm form;
	bool		varlena;
	bool		user_defined;	/* its output function is somebody's */
} BrazeUserIdType;

/*
 * by the call's expression; an error where the type is not known or not allowed
 */
extern BrazeUserIdType braze_user_id_type(FunctionCallInfo fcinfo, int argument);

/* by the type; an error where it is not allowed */
extern BrazeUserIdType braze_user_id_type_of(Oid given);

/* what the value takes up at least, and whether reading it may be an error */
extern Size braze_user_id_size(const BrazeUserIdType *type, Datum value);
extern bool braze_user_id_may_fail(const BrazeUserIdType *type, Datum value);

/* the id of a value that is not null; false: it is not an id, or JSON's null */
extern bool braze_user_id_text(const BrazeUserIdType *type, Datum value, BrazeString *id);
extern bool braze_user_id_is_null(const BrazeUserIdType *type, Datum value);

/* adds a value that is not null; JSON's null is left out of the call as well */
extern void braze_user_id_add(BrazeCallBuilder *call, const char *key,
							  const BrazeUserIdType *type, Datum value);

/*
 * An id as the key of a row, where one that begins with { is a user alias: an
 * id that does so itself has a backslash before it.
 */
extern BrazeString braze_user_id_to_key(BrazeString id);
extern const char *braze_user_id_of_key(const char *key);

#endif							/* BRAZE_USER_ID_H */
