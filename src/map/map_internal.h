/*-------------------------------------------------------------------------
 *
 * map_internal.h
 *	  What the files of the mapping share: the state of one call's mapping.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_MAP_INTERNAL_H
#define BRAZE_MAP_INTERNAL_H

#include "braze/limits.h"
#include "json/json_write.h"
#include "json/value.h"
#include "map/map.h"
#include "map/segment_call.h"

/* an object must fit into a request of 3.5 MB with room to spare */
#define BRAZE_MAX_OBJECT				3000000
/* all objects of a call together: a call of 1 MB can stand for gigabytes */
#define BRAZE_MAX_CALL_TEXT				(8 * 1024 * 1024)

/* a call with thousands of broken products must not have as many notes */
#define BRAZE_MAX_CALL_NOTES			20
/* of a name quoted in a note */
#define BRAZE_MAX_QUOTE					60

/* one identifier of a user */
typedef struct BrazeIdentifier
{
	BrazeIdSource source;
	BrazeString value;
	BrazeString label;			/* of an alias */
} BrazeIdentifier;

/* a small set of names */
#define BRAZE_NAMES			32

typedef struct BrazeNames
{
	int			count;
	BrazeString names[BRAZE_NAMES];
} BrazeNames;

/* one property or metadata entry as written, a comma before it */
typedef struct BrazeEntry
{
	BrazeString name;
	int			offset;
	int			length;
	int			size;			/* in UTF-8, as Braze counts it */
	bool		left_out;
	bool		is_long;		/* Braze cuts a text in it, which is not noted
								 * yet */
	uint32		hidden;			/* of shared ones: the round in which an
								 * object has the name itself */
} BrazeEntry;

typedef struct BrazeEntries
{
	StringInfoData data;
	BrazeText	text;			/* writes data */
	int			size;			/* of all of them together, in UTF-8 */
	int			limit;			/* of the object that they are for */
	int			longest;		/* a longer entry is among those left out */
	BrazeEntry *list;
	int		   *order;			/* into the list, as it was sorted last */
	int			sorted;			/* so many are in that order by name */
	int			count;
	int			max;

	/* those that were too large: no other object's value takes their place */
	BrazeString *lost;
	int			nlost;
	int			maxlost;
} BrazeEntries;

typedef struct BrazeMap
{
	BrazeMapped mapped;			/* the result; first, so that it can be cast
								 * back */

	const BrazeSettings *settings;
	BrazeSegmentCall call;
	TimestampTz queued_at;
	TimestampTz now;

	BrazeText	text;			/* writes mapped.text */
	StringInfoData notes;		/* the notes' sentences, until the call is
								 * done */
	int			nnotes_over;	/* notes beyond BRAZE_MAX_CALL_NOTES */
	int			note_object;	/* what a note is about at this moment */

	/*
	 * The traits that are the user's own; NULL where the call has none.  A
	 * group's are not, nor are properties: they may name somebody else.
	 */
	JsonbContainer *user_traits;
	bool		is_identify;	/* only this call says that two ids are one
								 * user */

	/* set by braze_user_identifier_map */
	BrazeIdentifier identifier;

	/* set by braze_object_writer_find_app_id; data NULL: there is none */
	BrazeString app_id;

	/* of the object that is being written */
	BrazeKind	kind;
	int			object_start;
	int			limit_before;
	BrazeSpan	object_name;	/* from object_start on */

	/* the call's time, in milliseconds since 1970, when first asked for */
	bool		have_time;
	int64		time;

	BrazeLostNames long_texts;	/* those that Braze cuts, not noted yet */

	/* names that were trimmed, in the traits or properties at hand */
	BrazeNames	padded;

	/* of the properties that are being written */
	BrazeEntries own;

	/* and of those that the purchases of an order share, sorted by size */
	BrazeEntries shared;
	JsonbContainer *shared_of;	/* NULL: there are none yet */
	uint32		round;			/* of the object that they were joined to last */
	int			shared_noted;	/* from there on a note says that they are too
								 * large */
} BrazeMap;

/* ---- mapping_note.c: notes ---- */

/*
 * a note on the object that is being written, or on the call when there is none
 */
extern void braze_mapping_note(BrazeMap *map, const char *format,...) pg_attribute_printf(2, 3);
extern void braze_mapping_note_skip(BrazeMap *map, const char *format,...) pg_attribute_printf(2, 3);
extern void braze_mapping_note_reject(BrazeMap *map, const char *format,...) pg_attribute_printf(2, 3);

/*
 * a name of the call's, for use in a note:
 * in quotes, cut, without control characters
 */
extern char *braze_mapping_note_quote(BrazeString name);

/*
 * the notes on the object that was to come next are on the call: it is not sent
 */
extern void braze_mapping_note_to_call(BrazeMap *map);
extern void braze_mapping_note_reset(BrazeMap *map);

/*
 * Takes back the notes that are not in the first count: what they were about
 * did not come to pass.  Returns the first of them, NULL if there was none.
 */
extern char *braze_mapping_note_take_back(BrazeMap *map, int count);
extern void braze_mapping_note_finish(BrazeMap *map);

/* a note where an event has traits, which do not reach the profile */
extern void braze_mapping_note_traits(BrazeMap *map);

/*
 * A trait or property with a text that Braze cuts, and one note on all of them:
 * they may be many, and should not crowd out what was lost.
 */
extern void braze_mapping_note_long(BrazeMap *map, BrazeString name);
extern void braze_mapping_note_long_texts(BrazeMap *map, const char *one, const char *several);

/* notes on what braze_json_write_value left out of a value */
extern void braze_mapping_note_loss(BrazeMap *map, const char *what, BrazeString name,
									const BrazeLoss *loss, bool kept);

/* ---- object_writer.c ---- */

/*
 * starts an object with the call's identifier;
 * members follow, each with its comma
 */
extern void braze_object_writer_begin(BrazeMap *map, BrazeKind kind);

/* false when the object did not fit and is left out */
extern bool braze_object_writer_end(BrazeMap *map);
extern void braze_object_writer_cancel(BrazeMap *map);

/* the same for objects that are not made of an identifier and members */
extern void braze_object_writer_begin_plain(BrazeMap *map, BrazeKind kind);
extern bool braze_object_writer_end_plain(BrazeMap *map);

/* the key, as it is written, and a name, which is handed on with the object */
extern void braze_object_writer_name(BrazeMap *map, const char *key, int length, BrazeString name);

#define BRAZE_NAME_KEY		",\"name\":", 8
#define BRAZE_PRODUCT_KEY	",\"product_id\":", 14

/* the call's app_id, for all of its events and purchases */
extern void braze_object_writer_find_app_id(BrazeMap *map);

/*
 * "app_id" and "time", each with a comma
 * before it, as events and purchases have
 */
extern void braze_object_writer_app_id(BrazeMap *map);
extern void braze_object_writer_time(BrazeMap *map);

/* ,"name": */
static inline void
braze_object_writer_key(BrazeMap *map, const char *name, int length)
{
	braze_text_char(&map->text, ',');
	braze_json_write_string(&map->text, name, length);
	braze_text_char(&map->text, ':');
}

/* ---- call_time.c ---- */

/* the call's time in milliseconds since 1970 UTC */
extern int64 braze_call_time(BrazeMap *map);

/* is it longer ago than max_attribute_age? */
extern bool braze_call_time_is_too_old(BrazeMap *map);

/* ---- user_identifier.c ---- */

/*
 * Finds the identifier of the call's objects and the users that the call is
 * about.  False when there is none: the call is then skipped or rejected.
 */
extern bool braze_user_identifier_map(BrazeMap *map);

/* does this source resolve?  Notes say why not */
extern bool braze_user_identifier_resolve(BrazeMap *map, BrazeIdSource source, BrazeIdentifier *identifier);

/* is the text usable as an id of at most max bytes?  Notes say why not */
extern bool braze_user_identifier_text(BrazeMap *map, const char *what, const JsonbValue *value,
									   int max, BrazeString *text);

/* "external_id":"u1" */
extern void braze_user_identifier_write(BrazeMap *map, const BrazeIdentifier *identifier);
extern void braze_user_identifier_add(BrazeMap *map, const BrazeIdentifier *identifier);

/* is it an address that Braze takes? */
extern bool braze_user_identifier_is_email(BrazeString string);

/* does this list of the settings hold the text? */
extern bool braze_user_identifier_list_has(const BrazeNameList *list, BrazeString text);

/* ---- property_names.c: the names of traits and properties ---- */

extern void braze_property_names_add(BrazeNames *names, BrazeString name);
extern bool braze_property_names_has(const BrazeNames *names, BrazeString name);

/*
 * The name that a key stands for, trimmed; false, with a note, when it is
 * refused or another key of the object is spelled so.  map->padded is to be
 * emptied before the first key.
 */
extern bool braze_property_names_read(BrazeMap *map, const char *what, JsonbContainer *object,
									  BrazeString key, BrazeString *name);
extern void braze_property_names_note_second(BrazeMap *map, const char *what, BrazeString name);

/* names that Braze keeps for itself in properties; NULL-terminated */
extern const char *const braze_event_reserved[];
extern const char *const braze_purchase_reserved[];
extern const char *const braze_no_reserved[];

/* ---- properties.c ---- */

typedef struct BrazeProperties
{
	BrazeMap   *map;
	const char *const *reserved;
	int			nshared;		/* how many of the shared ones are looked at, */
	int			nhidden;		/* how many of those the object has itself, */
	int			shared_size;	/* and the size of the others */
	int			count;			/* once they are ended: all that stay */
} BrazeProperties;

extern void braze_properties_init(BrazeEntries *entries);

/* one object's properties at a time; limit: bytes, braces included */
extern void braze_properties_begin(BrazeProperties *properties, BrazeMap *map,
								   const char *const *reserved, int limit);

/*
 * All pairs of an object but the consumed ones, and those whose name is there
 * already; both may be NULL.
 */
extern void braze_properties_add(BrazeProperties *properties, JsonbContainer *object,
								 const BrazeNames *consumed);
extern void braze_properties_add_text(BrazeProperties *properties, const char *name,
									  BrazeString text);

/*
 * Adds the pairs of an object that several others share, but for the names
 * that the one at hand has, which is all that was added before.  It is read
 * once, for the first of them.
 */
extern void braze_properties_join(BrazeProperties *properties, JsonbContainer *shared,
								  const BrazeNames *consumed);

/*
 * end leaves out what is too large.  write puts ,"key":{...} into the object,
 * or nothing if there are none; more than once if several objects have them.
 */
extern void braze_properties_end(BrazeProperties *properties);
extern void braze_properties_write(BrazeProperties *properties, const char *key);

/* ---- the calls ---- */

extern void braze_call_identify_map(BrazeMap *map);
extern void braze_call_track_map(BrazeMap *map);
extern void braze_call_page_map(BrazeMap *map);
extern void braze_call_page_map_screen(BrazeMap *map);
extern void braze_call_group_map(BrazeMap *map);
extern void braze_call_alias_map(BrazeMap *map);
extern void braze_call_alias_map_delete(BrazeMap *map);
extern void braze_call_alias_map_delete_user(BrazeMap *map);

/* event.c: an event of this name with the call's properties */
extern void braze_event_map(BrazeMap *map, BrazeString name);

/*
 * event_name.c: what a track call names; false, with the call rejected, when
 * Braze would refuse it.  The other is false, with the call skipped, for an
 * event that events_only or events_except leaves out.
 */
extern bool braze_event_name_read(BrazeMap *map, BrazeString *name);
extern bool braze_event_name_passes(BrazeMap *map, BrazeString name);

#endif							/* BRAZE_MAP_INTERNAL_H */
