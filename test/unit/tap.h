/*
 * tap.h
 *	  The Test Anything Protocol, as much as a unit test needs.
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int	tap_count = 0;
static int	tap_failed = 0;

__attribute__((format(printf, 2, 3), unused))
static bool
ok(bool condition, const char *format, ...)
{
	va_list		args;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("%sok %d - ", condition ? "" : "not ", ++tap_count);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	if (!condition)
		tap_failed++;
	return condition;
}

__attribute__((unused))
static void
is_text(const char *is, const char *expected, const char *what)
{
	if (!ok(strcmp(is, expected) == 0, "%s", what))
		printf("#   is:       %s\n#   expected: %s\n", is, expected);
}

__attribute__((unused))
static void
is_int(long long is, long long expected, const char *what)
{
	if (!ok(is == expected, "%s", what))
		printf("#   is:       %lld\n#   expected: %lld\n", is, expected);
}

static inline int
done(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failed == 0 ? 0 : 1;
}

#endif							/* TAP_H */
