/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  Where this database keeps the extension's tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CATALOG_H
#define BRAZE_CATALOG_H

#include "storage/lockdefs.h"
#include "utils/relcache.h"

#define BRAZE_EXTENSION		"segment_braze"

/* columns of braze_queue, in the order of the install script */
#define BRAZE_QUEUE_ID				1
#define BRAZE_QUEUE_DESTINATION		2
#define BRAZE_QUEUE_CALL			3
#define BRAZE_QUEUE_QUEUED_AT		4
#define BRAZE_QUEUE_OBJECTS			5
#define BRAZE_QUEUE_DEAD_LETTER		6
#define BRAZE_QUEUE_CALL_KIND		7
#define BRAZE_QUEUE_COLUMNS			7

/* columns of braze_dead_letters */
#define BRAZE_DEAD_ID				1
#define BRAZE_DEAD_DESTINATION		2
#define BRAZE_DEAD_CALL				3
#define BRAZE_DEAD_CALL_TEXT		4
#define BRAZE_DEAD_CALL_KIND		5
#define BRAZE_DEAD_OBJECTS			6
#define BRAZE_DEAD_STATE			7
#define BRAZE_DEAD_REASON			8
#define BRAZE_DEAD_HTTP_STATUS		9
#define BRAZE_DEAD_QUEUED_AT		10
#define BRAZE_DEAD_FAILED_AT		11
#define BRAZE_DEAD_ATTEMPTS			12
#define BRAZE_DEAD_RETRIED_AT		13
#define BRAZE_DEAD_RETRY_ID			14
#define BRAZE_DEAD_USER_HASH		15
#define BRAZE_DEAD_COLUMNS			15

/* columns of braze_paused */
#define BRAZE_PAUSED_DESTINATION	1
#define BRAZE_PAUSED_REASON			2
#define BRAZE_PAUSED_PAUSED_AT		3
#define BRAZE_PAUSED_BY_WORKER		4
#define BRAZE_PAUSED_ENDPOINT		5
#define BRAZE_PAUSED_COLUMNS		5

/* columns of braze_started */
#define BRAZE_STARTED_DESTINATION	1
#define BRAZE_STARTED_SYSTEM		2
#define BRAZE_STARTED_DATABASE		3

/* columns of braze_collecting */
#define BRAZE_COLLECTING_SERVER		1
#define BRAZE_COLLECTING_TABLE		2
#define BRAZE_COLLECTING_SYSTEM		3
#define BRAZE_COLLECTING_DATABASE	4
#define BRAZE_COLLECTING_ROLE		5
#define BRAZE_COLLECTING_STOPPING	7

/* columns of braze_collected, which SQL reads and writes as well */
#define BRAZE_COLLECTED_SERVER		1
#define BRAZE_COLLECTED_TABLE		2
#define BRAZE_COLLECTED_AT			4

/*
 * an origin that fails over may bring back what was deleted there so long ago
 */
#define BRAZE_COLLECTED_SECONDS		INT64CONST(86400)

/* columns of braze_messages */
#define BRAZE_MESSAGES_DESTINATION	1
#define BRAZE_MESSAGES_MESSAGE_ID	2
#define BRAZE_MESSAGES_QUEUED_AT	3
#define BRAZE_MESSAGES_RECEIVED		4

/* columns of braze_profiles */
#define BRAZE_PROFILE_DESTINATION	1
#define BRAZE_PROFILE_USER			2
#define BRAZE_PROFILE_SENT			3
#define BRAZE_PROFILE_HAS_ALIAS		4
#define BRAZE_PROFILE_OWNER			5
#define BRAZE_PROFILE_ATTRIBUTES	6
#define BRAZE_PROFILE_CHANGED_AT	7
#define BRAZE_PROFILE_COLUMNS		7

/* columns of braze_activity_sums; those of the users begin as these do */
#define BRAZE_ACTIVITY_ID			1
#define BRAZE_ACTIVITY_DESTINATION	2
#define BRAZE_ACTIVITY_TIME			3	/* hour, or day of the users */
#define BRAZE_ACTIVITY_KIND			4
#define BRAZE_ACTIVITY_NAME			5
#define BRAZE_ACTIVITY_CURRENCY		6
#define BRAZE_ACTIVITY_CALLS		7
#define BRAZE_ACTIVITY_OBJECTS		8
#define BRAZE_ACTIVITY_QUANTITY		9
#define BRAZE_ACTIVITY_REVENUE		10
#define BRAZE_ACTIVITY_REQUESTS		11
#define BRAZE_ACTIVITY_DATA_POINTS	12
#define BRAZE_ACTIVITY_DATA_POINTS_SAVED	13
#define BRAZE_ACTIVITY_FIRST_TIME	14
#define BRAZE_ACTIVITY_LAST_TIME	15
#define BRAZE_ACTIVITY_SUMS_COLUMNS	15

/* columns of braze_activity_users */
#define BRAZE_ACTIVITY_SKETCH		6
#define BRAZE_ACTIVITY_USERS_COLUMNS	6

typedef struct BrazeCatalog
{
	Oid			extension;
	Oid			queue;
	Oid			queue_pkey;
	Oid			queue_sequence;
	Oid			dead_letters;
	Oid			dead_letters_pkey;
	Oid			dead_letters_sequence;
	Oid			paused;
	Oid			paused_pkey;
	Oid			started;
	Oid			started_pkey;
	Oid			collecting;
	Oid			collecting_pkey;
	Oid			collected;
	Oid			collected_pkey;
	Oid			messages;
	Oid			messages_pkey;
	Oid			profiles;
	Oid			profiles_pkey;
	Oid			notes;
	Oid			notes_pkey;
	Oid			activity_sums;
	Oid			activity_sums_pkey;
	Oid			activity_sums_sequence;
	Oid			activity_users;
	Oid			activity_users_pkey;
	Oid			activity_users_sequence;
	Oid			syncs;
	Oid			syncs_pkey;
	Oid			sync_runs;
	Oid			sync_runs_pkey;
	Oid			sync_state;
	Oid			sync_state_pkey;
	Oid			backfills;
	Oid			backfills_pkey;
} BrazeCatalog;

/*
 * Looked up once per session and again after a change; NULL when the
 * extension is not installed in this database.  Needs a transaction.
 */
extern const BrazeCatalog *braze_catalog(void);

/* the extension is there, and cannot be used; the texts are as for ereport */
typedef struct BrazeCatalogProblem
{
	char		message[512];
	char		command[1024];	/* that helps */
} BrazeCatalogProblem;

/*
 * Why it was NULL, when the extension is there: an older install script has
 * made it, or one of its tables was changed.  NULL: it is not there.
 */
extern const BrazeCatalogProblem *braze_catalog_problem(void);

/* the error that says that it is older than the library */
extern void braze_catalog_report_outdated(void);

/* the same as braze_catalog, or an error that says to create or update it */
extern const BrazeCatalog *braze_catalog_required(void);

/*
 * The tables are looked up without a lock.  Whoever has waited for the lock of
 * one may find it altered, so it is looked at again: an error says what is
 * wrong with it.
 */
extern Relation braze_catalog_open(Oid table, LOCKMODE lock);

/*
 * The same without waiting, for a table or what belongs to one.  False: it is
 * locked, or was altered since it was looked up.
 */
extern bool braze_catalog_try_lock(Oid relation, LOCKMODE lock);

#endif							/* BRAZE_CATALOG_H */
