/*-------------------------------------------------------------------------
 *
 * users.h
 *	  The profiles that accepted objects are applied to.
 *
 * An identifier is what an object names its user by; several may lead to one
 * profile, and one that was only ever seen in a refused object leads to none.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_USERS_H
#define STANDIN_USERS_H

#include <stdbool.h>

#include <json-c/json.h>

#include "buffer.h"
#include "table.h"

typedef struct User User;

typedef struct Identifier
{
	char	   *key;			/* type, id and label, with a zero between */
	size_t		length;
	const char *type;			/* "external_id", "user_alias", ... */
	const char *value;			/* within key: the id, or the alias's name */
	const char *label;			/* within key; NULL unless it is an alias */
	User	   *user;			/* NULL: no such profile */
	struct Identifier *next;	/* of the same profile */
	int			under_way;		/* requests that name it now */
	unsigned	number;			/* in order of appearance, from 0 */
} Identifier;

typedef struct Users
{
	Table		table;			/* key -> Identifier */
	Identifier **all;			/* by number */
	unsigned	count;
	size_t		size;
	long		profiles;
	int			keep;			/* events (and purchases) kept per profile */
} Users;

extern void standin_users_init(Users *users, int keep);
extern void standin_users_free(Users *users);

/* the identifier of an object, made when it is new; NULL if it has none */
extern Identifier *standin_users_identify(Users *users, json_object *object);
extern Identifier *standin_users_identifier(Users *users, const char *type,
											const char *value, const char *label);
/* NULL when it was never seen */
extern Identifier *standin_users_find(const Users *users, const char *type,
									  const char *value, const char *label);

/*
 * Applies one accepted object.  text is the object as it was received.  False
 * when it has no effect: no profile, and none may be created.
 */
extern bool standin_users_apply(Users *users, const char *kind,
								json_object *object, Text *text);

/* appends the profile as JSON */
extern void standin_users_print(const User *user, Buffer *out);

#endif							/* STANDIN_USERS_H */
