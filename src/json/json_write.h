/*-------------------------------------------------------------------------
 *
 * json_write.h
 *	  Writes JSON text straight from jsonb, never past a limit.
 *
 * A small jsonb can stand for gigabytes of text (a numeric of eight bytes has
 * up to 131,072 digits), so the limit is checked before each write.  What does
 * not fit is not written, and nothing after it is either, until the writer is
 * rewound to a mark: the caller looks at "full" once per field.
 *
 *-------------------------------------------------------------------------
 */
#ifndef BRAZE_JSON_WRITE_H
#define BRAZE_JSON_WRITE_H

#include "lib/stringinfo.h"

#include "json/jsonb_walk.h"
#include "json/utf8.h"

typedef struct BrazeText
{
	StringInfo	out;
	int			limit;			/* out->len never passes it but by closing */
	bool		full;
	bool		foreign;		/* the database's encoding is not UTF-8 */
} BrazeText;

/* deeper values are left out: our recursion must not exhaust the stack */
#define BRAZE_MAX_DEPTH			64

/* Braze's limit for names, in characters */
#define BRAZE_MAX_NAME			255

/* what nested values may hold depends on where they stand */
typedef enum BrazeNesting
{
	BRAZE_IN_PROPERTY,
	BRAZE_IN_ATTRIBUTE
} BrazeNesting;

/*
 * what was left out of a value, a set; the
 * last is not a loss, since Braze cuts it
 */
#define BRAZE_LOST_NULL			0x01
#define BRAZE_LOST_KEY			0x02
#define BRAZE_LOST_DEPTH		0x04
#define BRAZE_LOST_NUMBER		0x08
#define BRAZE_LOST_TIME			0x10
#define BRAZE_LOST_OPERATOR		0x20
#define BRAZE_LONG_STRING		0x40

/* names that were left out: the first few, and how many others there were */
#define BRAZE_LOST_NAMES		3

typedef struct BrazeLostNames
{
	int			count;
	int			nothers;
	BrazeString names[BRAZE_LOST_NAMES];
} BrazeLostNames;

extern void braze_json_write_lose(BrazeLostNames *lost, BrazeString name);

typedef struct BrazeLoss
{
	int			flags;
	BrazeLostNames keys;		/* with BRAZE_LOST_KEY, else not to be read */
	BrazeLostNames operators;	/* with BRAZE_LOST_OPERATOR */
} BrazeLoss;

/* room for length bytes at the end, or NULL; the caller then advances */
static inline char *
braze_text_reserve(BrazeText *text, int length)
{
	StringInfo	out = text->out;

	if (unlikely(text->full || length > text->limit - out->len))
	{
		text->full = true;
		return NULL;
	}
	if (unlikely(out->len + length >= out->maxlen))
		enlargeStringInfo(out, length);
	return out->data + out->len;
}

static inline void
braze_text_bytes(BrazeText *text, const char *data, int length)
{
	char	   *p = braze_text_reserve(text, length);

	if (p != NULL)
	{
		memcpy(p, data, length);
		text->out->len += length;
	}
}

static inline void
braze_text_char(BrazeText *text, char c)
{
	char	   *p = braze_text_reserve(text, 1);

	if (p != NULL)
	{
		*p = c;
		text->out->len++;
	}
}

#define braze_text_literal(text, literal) \
	braze_text_bytes(text, "" literal "", sizeof(literal) - 1)

/*
 * A closing bracket or brace is written even where the limit is reached:
 * there are few of them, and what is open must be closed.
 */
static inline void
braze_text_close(BrazeText *text, char c)
{
	appendStringInfoChar(text->out, c);
}

static inline int
braze_text_mark(const BrazeText *text)
{
	return text->out->len;
}

static inline void
braze_text_rewind(BrazeText *text, int mark)
{
	text->out->len = mark;
	text->full = false;
}

/*
 * Lets at most length bytes follow, or fewer where less is left; returns the
 * limit before, for the caller to put back.
 */
static inline int
braze_text_narrow(BrazeText *text, int length)
{
	int			before = text->limit;

	if (length < text->limit - text->out->len)
		text->limit = text->out->len + length;
	return before;
}

/*
 * Braze's limits are bytes of UTF-8.  While something is written the bytes of
 * the database's encoding are counted, which is exact in UTF-8; elsewhere it is
 * measured once it is there.
 */
static inline int
braze_text_size(const BrazeText *text, int mark)
{
	int			length = text->out->len - mark;

	if (likely(!text->foreign))
		return length;
	return braze_utf8_size(text->out->data + mark, length);
}

/* ends what braze_text_narrow began at this mark, for so many bytes */
static inline void
braze_text_widen(BrazeText *text, int before, int mark, int length)
{
	text->limit = before;
	if (unlikely(text->foreign) && braze_text_size(text, mark) > length)
		text->full = true;
}

extern void braze_json_write_string(BrazeText *text, const char *data, int length);

/* false, with nothing written, for a number that Braze cannot read */
extern bool braze_json_write_number(BrazeText *text, Numeric number);

/*
 * Writes a value; what cannot be sent inside it is left out, and loss says
 * what.  Returns false, with nothing written, when nothing is left of it.
 * Whether it did fit is in text->full.
 */
extern bool braze_json_write_value(BrazeText *text, const JsonbValue *value,
								   BrazeNesting nesting, BrazeLoss *loss);

/* the same, but for an object without the keys in except, NULL-terminated */
extern bool braze_json_write_value_except(BrazeText *text, const JsonbValue *value,
										  BrazeNesting nesting, const char *const *except,
										  BrazeLoss *loss);

#endif							/* BRAZE_JSON_WRITE_H */
