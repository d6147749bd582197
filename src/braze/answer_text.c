/*-------------------------------------------------------------------------
 *
 * answer_text.c
 *	  The text of an answer, made safe to be read and to be shown.
 *
 * It comes from outside: it may be no UTF-8, and may hold anything.
 *
 *-------------------------------------------------------------------------
 */
#include "braze/answer_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* digits of a number that fit 64 bits whatever they are */
#define MAX_DIGITS			18

/*
 * How many bytes of one character that is well-formed UTF-8 (no surrogates,
 * no overlong forms) begin at text; 0 if none does.
 */
static size_t
utf8_length(const unsigned char *text, size_t length)
{
	unsigned char c = text[0];
	unsigned char low = 0x80;
	unsigned char high = 0xBF;
	size_t		n;

	if (c < 0x80)
		return 1;
	else if (c >= 0xC2 && c <= 0xDF)
		n = 2;
	else if (c >= 0xE0 && c <= 0xEF)
	{
		n = 3;
		if (c == 0xE0)
			low = 0xA0;
		else if (c == 0xED)
			high = 0x9F;
	}
	else if (c >= 0xF0 && c <= 0xF4)
	{
		n = 4;
		if (c == 0xF0)
			low = 0x90;
		else if (c == 0xF4)
			high = 0x8F;
	}
	else
		return 0;

	if (length < n || text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
	{
		if (text[i] < 0x80 || text[i] > 0xBF)
			return 0;
	}
	return n;
}

void
braze_answer_text_append(char *reason, const char *text, size_t length)
{
	const unsigned char *p = (const unsigned char *) text;
	const unsigned char *end = p + length;
	size_t		used = strlen(reason);

	while (p < end && used < BRAZE_REASON_SIZE - 1)
	{
		size_t		n = utf8_length(p, end - p);

		if (n == 0)
		{
			reason[used++] = '?';
			p++;
		}
		else if (*p < 0x20 || *p == 0x7F || (*p == 0xC2 && p[1] < 0xA0))
		{
			if (used > 0 && reason[used - 1] != ' ')
				reason[used++] = ' ';
			p += n;
		}
		else if (used + n > BRAZE_REASON_SIZE - 1)
			break;
		else
		{
			memcpy(reason + used, p, n);
			used += n;
			p += n;
		}
	}
	reason[used] = '\0';
}

/* how many digits stand at the beginning of the text */
static size_t
digits_at(const char *text, size_t length)
{
	size_t		n = 0;

	while (n < length && text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

/*
 * writes one character of n bytes as \uXXXX, or as two of them above the BMP
 */
static char *
escape_character(char *out, const unsigned char *p, size_t n)
{
	unsigned int c = p[0] & (0xFF >> (n + 1));

	for (size_t i = 1; i < n; i++)
		c = (c << 6) | (p[i] & 0x3F);
	if (c > 0xFFFF)
	{
		out += sprintf(out, "\\u%04x", 0xD7C0 + (c >> 10));
		c = 0xDC00 | (c & 0x3FF);
	}
	return out + sprintf(out, "\\u%04x", c);
}

size_t
braze_answer_text_tame(char *tamed, const char *body, size_t length)
{
	char	   *out = tamed;
	bool		in_string = false;
	size_t		i = 0;

	while (i < length)
	{
		const unsigned char *p = (const unsigned char *) body + i;
		size_t		n = utf8_length(p, length - i);

		if (in_string && *p == '\\' && i + 1 < length)
		{
			*out++ = '\\';
			*out++ = (char) p[1];
			i += 2;
		}
		else if (in_string && n == 0)
		{
			*out++ = '?';
			i++;
		}
		else if (in_string && n > 1)
		{
			out = escape_character(out, p, n);
			i += n;
		}
		else if (in_string && *p < 0x20)
		{
			*out++ = ' ';
			i++;
		}
		else if (!in_string && *p >= '1' && *p <= '9')
		{
			size_t		digits = digits_at(body + i, length - i);

			/* no count is that large, however many more there are */
			n = digits < MAX_DIGITS ? digits : MAX_DIGITS;
			memcpy(out, p, n);
			out += n;
			i += digits;
		}
		else
		{
			if (*p == '"')
				in_string = !in_string;
			*out++ = (char) *p;
			i++;
		}
	}
	return out - tamed;
}
