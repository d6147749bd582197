/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Random JSON: scalars that hurt, and containers of them.
 *
 * Plain C.  The same seed gives the same output everywhere.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_JSON_H
#define FUZZ_JSON_H

#include <stdbool.h>
#include <stdint.h>

extern void fuzz_seed(uint64_t seed);
extern unsigned fuzz_below(unsigned n); /* 0 .. n - 1 */
extern bool fuzz_percent(unsigned percent);

#define FUZZ_PICK(list)	((list)[fuzz_below(sizeof(list) / sizeof((list)[0]))])

/* the output: what is written is appended to one buffer */
extern void fuzz_reset(void);
extern const char *fuzz_text(void);
extern void fuzz_put(const char *format,...) __attribute__((format(printf, 1, 2)));

/* a string in quotes, with what must be escaped escaped */
extern void fuzz_put_string(const char *text);

/* any scalar of the hostile lists */
extern void fuzz_put_scalar(void);
extern void fuzz_put_number(void);
extern void fuzz_put_any_string(void);

/* any value, containers at most this deep */
extern void fuzz_put_value(int depth);

/* a key that may be anything, with its colon */
extern void fuzz_put_any_key(void);

/* an object or array nested so deep that few walk it without limit */
extern void fuzz_put_deep(void);

#endif							/* FUZZ_JSON_H */
