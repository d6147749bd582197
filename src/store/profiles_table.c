/*-------------------------------------------------------------------------
 *
 * profiles_table.c
 *	  What is remembered of users: the table braze_profiles, and a cache of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "lib/ilist.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/catalog.h"
#include "base/clock.h"
#include "base/compat.h"
#include "base/guc.h"
#include "base/statement.h"
#include "base/table_write.h"
#include "braze/hash.h"
#include "store/attribute_period.h"
#include "store/profile_row.h"
#include "store/profiles_table.h"

/* part of max_memory that profiles no call needs may keep */
#define CACHE_SHARE		4

/*
 * A user who changes more often than this is written without their attributes,
 * once, and with them when nothing has changed for as long.  Each version of a
 * row stays while a transaction is open anywhere, and finding the latest takes
 * longer the more there are: a drain of three million changes of a thousand
 * users slowed down to less than half.
 */
#define HOT_WRITES		8
#define HOT_TIME_MS		10000

/* longer identifiers would not fit into an index: a hash stands for them */
#define MAX_KEY			1000
#define KEPT_OF_KEY		100

/*
 * Others wait while a settle takes back what was given to a user who was
 * deleted: so many at a time, some tenths of a second.
 */
#define MAX_TAKEN_BACK	2000

/*
 * What is in memory of a user is either pinned, by calls that are not settled,
 * or idle and may be freed.  Independent of that, its row
 *
 *	- says the same: neither profile.dirty nor unknown;
 *	- is to be written by the next settle: profile.dirty;
 *	- was written without its attributes: unknown, and in the list unwritten,
 *	  where it waits until the user is left alone;
 *	- says what may be true no longer: untrue, and the first in that list;
 *	- is being written: storing, and in the list of that name.  The fields about
 *	  the row say what was there before, until the transaction has committed.
 *
 * storing_unknown counts with storing only.
 */
typedef struct CachedProfile
{
	BrazeProfile profile;		/* first: what the pack knows of it */
	uint64		hash;
	struct CachedProfile *next; /* in the same bucket */
	int			length;			/* of row.user, which stands behind this */
	BrazeProfileRow row;
	char	   *whole;			/* the key, where the table's is cut; or NULL */
	int			pins;			/* calls that are not settled */
	dlist_node	idle;			/* among those without, when pins is 0 */
	Size		size;			/* as counted when it was loaded, or became
								 * idle */

	/* what the row says, but for the attributes */
	bool		has_sent;
	bool		has_alias;
	uint64		has_owner;		/* a hash of this process, 0: none */

	/* of a user who changes all the time: the row has no attributes */
	bool		unknown;
	bool		untrue;			/* or the wrong ones */
	int			writes;			/* in the time that began */
	int64		began;
	int64		settled_at;
	dlist_node	unwritten;		/* when unknown: longest alone first */

	/* written in the transaction under way */
	bool		storing;
	bool		storing_unknown;
	struct CachedProfile *next_storing;
} CachedProfile;

/* a profile is found by each call that is read, so in as few steps as can be */
#define FIRST_BUCKETS	1024

static MemoryContext profiles_context;
static CachedProfile **buckets; /* by hash; a power of two of them */
static uint64 nbuckets = 0;
static uint64 ncached = 0;
static dlist_head idle = DLIST_STATIC_INIT(idle);	/* longest idle first */
static Size idle_size = 0;
static Size all_size = 0;
static dlist_head unwritten = DLIST_STATIC_INIT(unwritten);
static CachedProfile *storing = NULL;

bool
braze_profiles_table_needed(const BrazeSettings *settings)
{
	if (settings->changed_attributes_only)
		return true;
	for (int i = 0; i < settings->nidentifiers; i++)
	{
		if (settings->identifiers[i] == BRAZE_ID_ANONYMOUS_ID ||
			settings->identifiers[i] == BRAZE_ID_EMAIL ||
			settings->identifiers[i] == BRAZE_ID_PHONE)
			return true;
	}
	return false;
}

/* so many, where there are fewer */
static void
grow_buckets(uint64 count)
{
	CachedProfile **grown;

	if (count <= nbuckets)
		return;
	grown = MemoryContextAllocExtended(profiles_context, sizeof(CachedProfile *) * count,
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint64 i = 0; i < nbuckets; i++)
	{
		CachedProfile *cached;

		while ((cached = buckets[i]) != NULL)
		{
			buckets[i] = cached->next;
			cached->next = grown[cached->hash & (count - 1)];
			grown[cached->hash & (count - 1)] = cached;
		}
	}
	if (buckets != NULL)
		pfree(buckets);
	buckets = grown;
	nbuckets = count;
}

void
braze_profiles_table_init(void)
{
	BrazeHashKey seed;

	if (!pg_strong_random(&seed, sizeof(seed)))
		ereport(FATAL,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random key")));
	braze_hash_set_seed(seed);

	profiles_context = AllocSetContextCreate(TopMemoryContext,
											 "segment_braze profiles",
											 ALLOCSET_DEFAULT_SIZES);
	grow_buckets(FIRST_BUCKETS);
}

/* ----- the cache ----- */

/* one that nobody can find */
static void
free_unlisted(CachedProfile *cached)
{
	braze_profile_cache_free(&cached->profile);
	if (cached->whole != NULL)
		pfree(cached->whole);
	pfree(cached);
}

static void
free_cached(CachedProfile *cached)
{
	CachedProfile **link = &buckets[cached->hash & (nbuckets - 1)];

	Assert(cached->pins == 0 && !cached->storing);
	while (*link != cached)
		link = &(*link)->next;
	*link = cached->next;
	ncached--;

	/*
	 * What the table does not have is sent again, which does no harm.  What
	 * it has is not.
	 */
	Assert(!cached->untrue);
	if (cached->unknown)
		dlist_delete(&cached->unwritten);
	all_size -= cached->size;
	free_unlisted(cached);
}

/* the size is that of now; the pack changes a pinned profile without telling */
static void
count_cached(CachedProfile *cached)
{
	all_size -= cached->size;
	cached->size = sizeof(CachedProfile) + sizeof(CachedProfile *) + cached->length +
		cached->profile.owner_length + sizeof(BrazeAttributeHash) * cached->profile.nhashes;
	all_size += cached->size;
}

Size
braze_profiles_table_memory(void)
{
	return all_size;
}

static void
pin_profile(CachedProfile *cached)
{
	if (cached->pins++ == 0)
	{
		dlist_delete(&cached->idle);
		idle_size -= cached->size;
	}
}

static void
trim_idle(Size limit)
{
	dlist_mutable_iter iter;

	dlist_foreach_modify(iter, &idle)
	{
		CachedProfile *oldest = dlist_container(CachedProfile, idle, iter.cur);

		if (idle_size <= limit)
			break;
		if (oldest->untrue || oldest->storing)
			continue;
		dlist_delete(&oldest->idle);
		idle_size -= oldest->size;
		free_cached(oldest);
	}
}

static void
make_idle(CachedProfile *cached)
{
	count_cached(cached);
	idle_size += cached->size;
	dlist_push_tail(&idle, &cached->idle);
	trim_idle((Size) braze_max_memory * 1024 * 1024 / CACHE_SHARE);
}

/* to the end of those that wait until they are left alone */
static void
postpone_write(CachedProfile *cached)
{
	if (cached->unknown)
		dlist_delete(&cached->unwritten);
	cached->unknown = true;
	cached->settled_at = braze_now_ms();
	dlist_push_tail(&unwritten, &cached->unwritten);
}

/*
 * No settle writes it: its call was taken out of the queue.  Until it is
 * written the row would be taken for what Braze has.
 */
static void
write_soon(CachedProfile *cached)
{
	if (cached->unknown)
		dlist_delete(&cached->unwritten);
	cached->unknown = cached->untrue = true;
	cached->settled_at = braze_now_ms() - HOT_TIME_MS;
	dlist_push_head(&unwritten, &cached->unwritten);
}

void
braze_profiles_table_release(BrazeProfile *profile)
{
	CachedProfile *cached = (CachedProfile *) profile;

	Assert(cached->pins > 0);
	if (profile->dirty && profile->unsettled && !cached->untrue)
		write_soon(cached);
	if (--cached->pins == 0)
		make_idle(cached);
}

void
braze_profiles_table_drop_cache(void)
{
	trim_idle(0);
}

/* ----- the table ----- */

static uint64
hash_of_owner(const BrazeProfile *profile)
{
	return profile->owner == NULL ? 0 : braze_hash(profile->owner, profile->owner_length);
}

/* the row has what the profile says now */
static void
note_row(CachedProfile *cached)
{
	cached->has_sent = cached->profile.sent;
	cached->has_alias = cached->profile.has_alias;
	cached->has_owner = hash_of_owner(&cached->profile);
}

/* many at a time, since each time costs as much as all else about a new user */
static uint64
draw_salt(void)
{
	static uint64 salts[64];
	static int	left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(salts, sizeof(salts)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random bytes for a profile")));
		left = lengthof(salts);
	}
	return salts[--left];
}

/*
 * a user who has no row is new, and their profile stays empty but for its salt
 */
static void
load_profile(CachedProfile *cached)
{
	cached->profile.salt = draw_salt();
	cached->row.period = braze_attribute_period_of(NameStr(cached->row.destination));
	braze_profile_row_load(&cached->row, &cached->profile);
	note_row(cached);
}

/*
 * The identifier as the table has it: what is too long is cut, with its hash.
 * It need not end with a NUL.
 */
static const char *
key_of(const char *user, int *length)
{
	char	   *digest;
	char	   *key;

	if (*length <= MAX_KEY)
		return user;
	digest = TextDatumGetCString(DirectFunctionCall2(binary_encode,
													 DirectFunctionCall1(sha256_bytea,
																		 PointerGetDatum(cstring_to_text_with_len(user, *length))),
													 CStringGetTextDatum("hex")));
	key = psprintf("%s...%s", pnstrdup(user, pg_mbcliplen(user, *length, KEPT_OF_KEY)), digest);
	*length = strlen(key);
	return key;
}

BrazeProfile *
braze_profiles_table_get(const char *destination, const char *user, int length)
{
	int			key_length = length;
	const char *key = key_of(user, &key_length);
	uint64		hash = braze_hash(key, key_length);
	CachedProfile **bucket = &buckets[hash & (nbuckets - 1)];
	CachedProfile *cached;

	for (cached = *bucket; cached != NULL; cached = cached->next)
	{
		if (cached->hash == hash && cached->length == key_length &&
			memcmp(cached->row.user, key, key_length) == 0 &&
			strcmp(NameStr(cached->row.destination), destination) == 0)
		{
			pin_profile(cached);
			return &cached->profile;
		}
	}

	cached = MemoryContextAllocZero(profiles_context, sizeof(CachedProfile) + key_length + 1);
	namestrcpy(&cached->row.destination, destination);
	cached->row.user = (char *) (cached + 1);
	memcpy(cached->row.user, key, key_length);
	cached->length = key_length;
	if (length > MAX_KEY)
		cached->whole = MemoryContextStrdup(profiles_context, pnstrdup(user, length));
	cached->hash = hash;

	/*
	 * it is known to nobody before that, so that an error leaves nothing
	 * behind
	 */
	PG_TRY();
	{
		load_profile(cached);
		if (ncached >= nbuckets)
			grow_buckets(nbuckets * 2);
	}
	PG_CATCH();
	{
		free_unlisted(cached);
		PG_RE_THROW();
	}
	PG_END_TRY();
	bucket = &buckets[hash & (nbuckets - 1)];
	cached->next = *bucket;
	*bucket = cached;
	ncached++;
	cached->pins = 1;
	count_cached(cached);
	return &cached->profile;
}

static bool
is_hot(CachedProfile *cached)
{
	int64		now = braze_now_ms();

	if (now - cached->began > HOT_TIME_MS)
	{
		cached->began = now;
		cached->writes = 0;
	}
	return ++cached->writes > HOT_WRITES;
}

static bool
row_says_the_same(const CachedProfile *cached)
{
	return cached->has_sent == cached->profile.sent &&
		cached->has_alias == cached->profile.has_alias &&
		cached->has_owner == hash_of_owner(&cached->profile);
}

/* what is locked for it */
static void
write_cached(CachedProfile *cached, bool without_attributes)
{
	cached->storing_unknown = without_attributes;
	cached->row.period = braze_attribute_period_of(NameStr(cached->row.destination));
	braze_profile_row_write(&cached->row, &cached->profile, without_attributes);

	/*
	 * nothing else changes here: a transaction that aborts has written
	 * nothing
	 */
	cached->storing = true;
	cached->next_storing = storing;
	storing = cached;
}

/*
 * Many calls of a transaction share a profile, which is written once in it.
 * Of one whose attributes the row does not have, only the rest is written now.
 */
static bool
is_to_be_written(const CachedProfile *cached)
{
	return cached->profile.dirty && !cached->storing &&
		(cached->untrue || !(cached->unknown && row_says_the_same(cached)));
}

bool
braze_profiles_table_lock(BrazeProfile *profile)
{
	CachedProfile *cached = (CachedProfile *) profile;

	return !is_to_be_written(cached) || braze_profile_row_lock(&cached->row, &cached->profile);
}

void
braze_profiles_table_store(BrazeProfile *profile)
{
	CachedProfile *cached = (CachedProfile *) profile;

	if (is_to_be_written(cached))
		write_cached(cached, is_hot(cached));
	else if (profile->dirty && !cached->storing)
		postpone_write(cached);
}

/* ----- users whom the call is not about ----- */

/* a row is not written twice in a transaction */
static bool
write_other(CachedProfile *cached)
{
	if (!cached->profile.dirty)
		return true;
	if (!braze_profiles_table_lock(&cached->profile))
		return false;
	braze_profiles_table_store(&cached->profile);
	return true;
}

/*
 * The row says that it was given to them, memory perhaps no more.  It is
 * written in any case, or the next search would find it again.
 */
static bool
take_back(CachedProfile *cached, const char *owner, size_t length)
{
	if (cached->storing)
	{
		braze_table_write_locked = BRAZE_LOCKED_ROWS("braze_profiles");
		return false;
	}
	if (braze_profile_cache_is_owner(&cached->profile, owner, length))
		braze_profile_cache_take_back(&cached->profile);
	cached->profile.dirty = true;
	return write_other(cached);
}

bool
braze_profiles_table_take_from(const BrazeProfile *deleted)
{
	const CachedProfile *cached = (const CachedProfile *) deleted;
	char	   *owner = cached->whole != NULL ? cached->whole : cached->row.user;
	char	   *key = pg_server_to_any(owner, strlen(owner), PG_UTF8);
	bool		done = true;
	List	   *users;
	ListCell   *cell;

	if (!braze_profile_row_try_read())
		return false;
	users = braze_profile_row_given_to(NameStr(cached->row.destination), owner, MAX_TAKEN_BACK);
	foreach(cell, users)
	{
		const char *user = lfirst(cell);
		BrazeProfile *profile = braze_profiles_table_get(NameStr(cached->row.destination), user, strlen(user));

		done = take_back((CachedProfile *) profile, key, strlen(key)) && done;
		braze_profiles_table_release(profile);
		CHECK_FOR_INTERRUPTS();
	}
	if (list_length(users) == MAX_TAKEN_BACK)
	{
		braze_table_write_locked = "the table braze_profiles has many rows of a user who was deleted";
		return false;
	}
	return done;
}

/* the user whom a profile was given to is deleted, or has other attributes */
static bool
change_owner(const CachedProfile *given, const char *name, int length, bool deleted)
{
	char	   *key = pg_any_to_server(pnstrdup(name, length), length, PG_UTF8);
	CachedProfile *owner;
	bool		done = false;

	if (!braze_profile_row_try_read())
		return false;
	owner = (CachedProfile *) braze_profiles_table_get(NameStr(given->row.destination), key, strlen(key));
	if (owner->storing && (deleted || owner->profile.nhashes > 0))
		braze_table_write_locked = BRAZE_LOCKED_ROWS("braze_profiles");
	else
	{
		if (deleted)
			braze_profile_cache_clear(&owner->profile);
		else
			braze_profile_cache_reset(&owner->profile);
		done = write_other(owner) && (!deleted || braze_profiles_table_take_from(&owner->profile));
	}
	braze_profiles_table_release(&owner->profile);
	return done;
}

bool
braze_profiles_table_delete_owner(const BrazeProfile *alias, const char *owner, int length)
{
	return change_owner((const CachedProfile *) alias, owner, length, true);
}

bool
braze_profiles_table_reset_owner(const BrazeProfile *given)
{
	const CachedProfile *cached = (const CachedProfile *) given;

	if (given->owner == NULL || braze_attribute_period_of(NameStr(cached->row.destination)) == 0)
		return true;
	return change_owner(cached, given->owner, given->owner_length, false);
}

/* ----- those that are written later ----- */

static bool
is_alone(const CachedProfile *cached)
{
	return braze_now_ms() - cached->settled_at >= HOT_TIME_MS;
}

bool
braze_profiles_table_has_postponed(void)
{
	return !dlist_is_empty(&unwritten) &&
		is_alone(dlist_container(CachedProfile, unwritten, dlist_head_node(&unwritten)));
}

int
braze_profiles_table_store_postponed(void)
{
	int64		deadline = braze_now_ms() + BRAZE_MAX_ROUND_MS;
	dlist_iter	iter;

	dlist_foreach(iter, &unwritten)
	{
		CachedProfile *cached = dlist_container(CachedProfile, unwritten, iter.cur);

		/* the list is in the order of settled_at */
		if (!is_alone(cached) || braze_now_ms() >= deadline)
			break;
		if (braze_profile_row_lock(&cached->row, &cached->profile))
			write_cached(cached, false);
	}
	return -1;
}

static void
store_committed(CachedProfile *cached)
{
	braze_profile_row_committed(&cached->row);
	note_row(cached);
	cached->untrue = cached->profile.unsettled = false;

	/* it stays dirty: the attributes are still to be written */
	if (cached->storing_unknown)
	{
		postpone_write(cached);
		return;
	}
	if (cached->unknown)
		dlist_delete(&cached->unwritten);
	cached->unknown = false;
	cached->profile.dirty = false;
}

void	   *
braze_profiles_table_mark(void)
{
	return storing;
}

void
braze_profiles_table_undo(void *mark)
{
	/* the latest is first in the list, so these were added since the mark */
	while (storing != mark)
	{
		storing->storing = false;
		storing = storing->next_storing;
	}
}

void
braze_profiles_table_stored(bool committed)
{
	while (storing != NULL)
	{
		CachedProfile *cached = storing;

		storing = cached->next_storing;
		cached->storing = false;
		if (committed)
			store_committed(cached);
	}
}

bool
braze_profiles_table_remember(const char *destination, bool wanted)
{
	if (!braze_attribute_period_set(destination, wanted))
		return false;

	/* what calls under way still need is stored again when they are settled */
	braze_profiles_table_drop_cache();
	for (uint64 i = 0; i < nbuckets; i++)
	{
		for (CachedProfile *cached = buckets[i]; cached != NULL; cached = cached->next)
		{
			if (strcmp(NameStr(cached->row.destination), destination) == 0)
				braze_profile_cache_reset(&cached->profile);
		}
	}
	return true;
}
