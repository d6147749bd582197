/*
 * The rules of Braze's page "Email validation", one after the other.
 *
 * link: ../../src/braze/email.c
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "braze/email.h"
#include "tap.h"

#define TEN		"abcdefghij"
#define SIXTY	TEN TEN TEN TEN TEN TEN

static void
check(const char *address, bool valid)
{
	/* in memory of its own, so that the sanitizer sees a read beyond the end */
	size_t		length = strlen(address);
	char	   *copy = malloc(length + 1);

	memcpy(copy, address, length);
	copy = realloc(copy, length > 0 ? length : 1);
	ok(braze_email_is_valid(copy, length) == valid, "%s is %s", address,
	   valid ? "an address" : "not an address");
	free(copy);
}

static void
check_list(const char *const *addresses, bool valid)
{
	for (; *addresses != NULL; addresses++)
		check(*addresses, valid);
}

int
main(void)
{
	static const char *const valid[] = {
		"ada@example.com", "Ada.Lovelace@Mail.Example.CO.UK", "a@b.co", "1@example.com",
		"ada+news@example.com", "-^+$'&#/%*=`|~!?_@example.com", "_@example.com", "a.b.c.d@example.com",
		/* letters of any script, and digits */
		"åda@example.com", "ада@example.com", "阿达@example.com", "عادا@example.com", "ادا۱۲@example.com",
		"αβγ@example.com", "𝒂da@example.com", "ªº@example.com",
		/* 1 to 64 characters, not bytes */
		SIXTY "abcd@example.com", "ыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыы@example.com",
		/* names of the host */
		"a@xn--exmple-cua.de", "a@example.xn--p1ai", "a@1.example", "a@123.com", "a@a-b.c-d.example", "a@x.co1",
		"a@" SIXTY "abc.com",
		/* the large hosts */
		"ab@gmail.com", "a.b@gmail.com", "ab+c@googlemail.com", "a@notgmail.com",
		"a_b-c.d@hotmail.com", "_ab@outlook.co.uk", "a@live.com", "a+b!c@msn.com", "a-.b@mail.live.com",
		"a!b@olive.com", "a'b@hotmail-fans.com",
		NULL
	};
	static const char *const invalid[] = {
		"", "@", "a", "@example.com", "a@", "a@@example.com", "a@b@example.com", "example.com",
		"<a@example.com>", "Ada <a@example.com>", "mailto:a@example.com", "a@example.com, b@example.com",
		"a b@example.com", "a@exam ple.com", " a@example.com", "a@example.com ", "a\t@example.com", "a\x0b@example.com",
		"a\x7f@example.com", "\"ada\"@example.com", "a\"b@example.com", "a(b)@example.com", "a\\b@example.com",
		"a,b@example.com", "a;b@example.com", "a:b@example.com", "a[b@example.com", "{a}@example.com",
		".a@example.com", "a.@example.com", "a..b@example.com",
		/* what is neither a letter nor a digit */
		"a\xc2\xa0" "b@example.com", "a€@example.com", "a😀@example.com", "a\xe2\x80\x8b@example.com", "a’b@example.com",
		/* what is not UTF-8 */
		"a\xff@example.com", "a\xc3@example.com", "a\xe2\x80@example.com", "a\xc0\xaf@example.com", "a\xf5\x80\x80\x80@example.com", "\xc3",
		/* too long */
		SIXTY "abcde@example.com", "ыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыыы@example.com",
		"a@" SIXTY "abcd.com",
		"a@" SIXTY "." SIXTY "." SIXTY "." SIXTY "." TEN "abcd",
		/* the host */
		"a@example", "a@localhost", "a@127.0.0.1", "a@[127.0.0.1]", "a@[IPv6:::1]", "a@::1", "a@example.123", "a@example.0",
		"a@exämple.de", "a@пример.рф", "a@-example.com", "a@example-.com", "a@example.-com", "a@example.com-",
		"a@.example.com", "a@example..com", "a@example.com.", "a@exam_ple.com", "a@exam!ple.com", "a@example.com/x", "a@example.com:25",
		/* the large hosts */
		"a@gmail.com", "a@GMAIL.com", "a+bc@gmail.com", "+ab@gmail.com",
		"a!b@hotmail.com", "-a@outlook.com", "é@live.com", "a#@MSN.com", "+a@hotmail.com", "a.+b@hotmail.com", "a'b@mail.outlook.com",
		NULL
	};

	check_list(valid, true);
	check_list(invalid, false);
	return done();
}
