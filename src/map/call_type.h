/*-------------------------------------------------------------------------
 *
 * call_type.h
 *	  The types that a Segment call may have.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CALL_TYPE_H
#define BRAZE_CALL_TYPE_H

typedef enum BrazeCallType
{
	BRAZE_TYPE_IDENTIFY,
	BRAZE_TYPE_TRACK,
	BRAZE_TYPE_PAGE,
	BRAZE_TYPE_SCREEN,
	BRAZE_TYPE_GROUP,
	BRAZE_TYPE_ALIAS,
	BRAZE_TYPE_DELETE
} BrazeCallType;

#define BRAZE_CALL_TYPES	(BRAZE_TYPE_DELETE + 1)

/* a set of them */
#define BRAZE_TYPE_BIT(type)	(1 << (type))

typedef struct BrazeCallTypeInfo
{
	const char *name;
	const char *object;			/* that its further data is in; NULL: it has
								 * none */
} BrazeCallTypeInfo;

extern const BrazeCallTypeInfo braze_call_types[BRAZE_CALL_TYPES];

/* the type of this name, in any case; -1: none is called so */
extern int	braze_call_type_find(const char *name, int length);

/* their names one by one, for hints; state is an int that begins with 0 */
extern const char *braze_call_type_next(void *state);

#endif							/* BRAZE_CALL_TYPE_H */
