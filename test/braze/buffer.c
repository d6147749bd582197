/*-------------------------------------------------------------------------
 *
 * buffer.c
 *	  Text that grows, and text that several owners share.
 *
 *-------------------------------------------------------------------------
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buffer.h"

static void *
checked(void *memory)
{
	if (memory == NULL)
	{
		fputs("braze-standin: out of memory\n", stderr);
		abort();
	}
	return memory;
}

void *
standin_alloc(size_t size)
{
	return checked(calloc(1, size ? size : 1));
}

void *
standin_realloc(void *old, size_t size)
{
	return checked(realloc(old, size ? size : 1));
}

char *
standin_strdup(const char *string)
{
	return checked(strdup(string));
}

static void
make_room(Buffer *buffer, size_t more)
{
	size_t		size = buffer->size ? buffer->size : 256;

	if (buffer->length + more < buffer->size)
		return;
	while (size <= buffer->length + more)
		size *= 2;
	buffer->data = standin_realloc(buffer->data, size);
	buffer->size = size;
}

void
standin_buffer_add(Buffer *buffer, const void *data, size_t length)
{
	make_room(buffer, length);
	if (length > 0)
		memcpy(buffer->data + buffer->length, data, length);
	buffer->length += length;
	buffer->data[buffer->length] = '\0';
}

void
standin_buffer_puts(Buffer *buffer, const char *string)
{
	standin_buffer_add(buffer, string, strlen(string));
}

void
standin_buffer_printf(Buffer *buffer, const char *format,...)
{
	va_list		args;
	int			length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		abort();
	make_room(buffer, (size_t) length);
	va_start(args, format);
	vsnprintf(buffer->data + buffer->length, (size_t) length + 1, format, args);
	va_end(args);
	buffer->length += (size_t) length;
}

void
standin_buffer_quote(Buffer *buffer, const char *string)
{
	const unsigned char *c;

	standin_buffer_puts(buffer, "\"");
	for (c = (const unsigned char *) string; *c; c++)
	{
		if (*c == '"' || *c == '\\')
			standin_buffer_printf(buffer, "\\%c", *c);
		else if (*c < 0x20)
			standin_buffer_printf(buffer, "\\u%04x", *c);
		else
			standin_buffer_add(buffer, c, 1);
	}
	standin_buffer_puts(buffer, "\"");
}

void
standin_buffer_free(Buffer *buffer)
{
	free(buffer->data);
	memset(buffer, 0, sizeof(*buffer));
}

Text *
standin_text_new(const char *data, size_t length)
{
	Text	   *text = checked(malloc(sizeof(Text) + length + 1));

	text->references = 1;
	text->length = length;
	memcpy(text->data, data, length);
	text->data[length] = '\0';
	return text;
}

Text *
standin_text_share(Text *text)
{
	text->references++;
	return text;
}

void
standin_text_free(Text *text)
{
	if (text != NULL && --text->references == 0)
		free(text);
}
