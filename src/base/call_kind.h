/*-------------------------------------------------------------------------
 *
 * call_kind.h
 *	  Whose meaning a call has: Segment's, or that of a function of ours.
 *
 * A column of its own in the tables, never read from the call: who writes the
 * JSON, often a browser, must not be able to choose it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_CALL_KIND_H
#define BRAZE_CALL_KIND_H

typedef enum BrazeCallKind
{
	BRAZE_SEGMENT_CALL,
	BRAZE_DELETE_USER_CALL		/* braze_delete_user asked for it */
} BrazeCallKind;

/* as the tables have it */
extern Datum braze_segment_call_kind_text(BrazeCallKind kind);
extern BrazeCallKind braze_segment_call_kind_read(Datum value);

/*
 * The same of a row, where the owner may have dropped the CHECK: a row of no
 * kind that we know is a Segment call, as a plain INSERT makes one.
 */
extern BrazeCallKind braze_segment_call_kind_stored(Datum value);

#endif							/* BRAZE_CALL_KIND_H */
