/*-------------------------------------------------------------------------
 *
 * buffer.h
 *	  Text that grows, and text that several owners share.
 *
 * Plain C.  Running out of memory ends the program: nothing that a test could
 * learn from this stand-in survives it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STANDIN_BUFFER_H
#define STANDIN_BUFFER_H

#include <stddef.h>

typedef struct Buffer
{
	char	   *data;			/* terminated, unless nothing was ever added */
	size_t		length;
	size_t		size;
} Buffer;

/* immutable, freed with its last reference */
typedef struct Text
{
	int			references;
	size_t		length;
	char		data[];
} Text;

extern void *standin_alloc(size_t size);	/* zeroed */
extern void *standin_realloc(void *old, size_t size);
extern char *standin_strdup(const char *string);

extern void standin_buffer_add(Buffer *buffer, const void *data, size_t length);
extern void standin_buffer_puts(Buffer *buffer, const char *string);
extern void standin_buffer_printf(Buffer *buffer, const char *format,...)
			__attribute__((format(printf, 2, 3)));

/* a JSON string with its quotes */
extern void standin_buffer_quote(Buffer *buffer, const char *string);
extern void standin_buffer_free(Buffer *buffer);

extern Text *standin_text_new(const char *data, size_t length);
extern Text *standin_text_share(Text *text);
extern void standin_text_free(Text *text);

#endif							/* STANDIN_BUFFER_H */
