/*
 * The stand-in's validator against Braze's documentation: what it accepts at
 * each limit, and refuses one beyond.
 *
 * link: ../braze/validate.c ../braze/attributes.c ../braze/ecommerce.c
 * link: ../../src/braze/email.c ../../src/braze/currency.c
 * link: ../braze/formats.c ../braze/rawjson.c ../braze/buffer.c -ljson-c
 */
#include "formats.h"
#include "judge.h"

#include "rawjson.h"

#define TIME	"'time':'2026-01-02T03:04:05Z'"
#define EVENT(rest)		"{'external_id':'u','name':'e'," TIME rest "}"
#define PURCHASE(rest)	"{'external_id':'u','product_id':'p','currency':'USD','price':1.5," TIME rest "}"
#define USER(rest)		"{'external_id':'u'" rest "}"
#define ALIAS(name, label)	"{'alias_name':" name ",'alias_label':" label "}"
#define UUID	"'12345678-1234-1234-1234-123456789abc'"

/* a JSON string of so many characters, each as long as the one given */
static const char *
repeat(const char *character, int count)
{
	static Buffer text[8];
	static int	next = 0;
	Buffer	   *t = &text[next++ % 8];

	t->length = 0;
	standin_buffer_puts(t, "'");
	while (count-- > 0)
		standin_buffer_puts(t, character);
	standin_buffer_puts(t, "'");
	return t->data;
}

static const char *
letters(int count)
{
	return repeat("a", count);
}

/* characters of two bytes */
static const char *
wide(int count)
{
	return repeat("\xc3\xa9", count);
}

/* the three arrays of /users/track, with %s for the identifier */
static const struct
{
	const char *kind;
	const char *format;
}			track[] = {
	{"attributes", "{%s}"},
	{"events", "{%s,'name':'e'," TIME "}"},
	{"purchases", "{%s,'product_id':'p','currency':'USD','price':1," TIME "}"},
};

static void
test_identifiers(void)
{
	for (int i = 0; i < 3; i++)
	{
		const char *kind = track[i].kind;
		const char *format = track[i].format;
		char		member[4096];

		accepts(kind, format, LIST("'external_id':'u'", "'braze_id':'b'", "'email':'ada@example.com'",
								   "'phone':'+14155552671'",
								   "'email':'ada@example.com','phone':'+14155552671'",
								   "'user_alias':" ALIAS("'a'", "'l'")));
		refuses(kind, "required", format, LIST("'_update_existing_only':false"));
		refuses(kind, "only one", format,
				LIST("'external_id':'u','braze_id':'b'",
					 "'external_id':'u','user_alias':" ALIAS("'a'", "'l'"),
					 "'braze_id':'b','user_alias':" ALIAS("'a'", "'l'"),
					 "'external_id':'u','braze_id':'b','user_alias':" ALIAS("'a'", "'l'")));
		refuses(kind, "external_id", format,
				LIST("'external_id':''", "'external_id':7", "'external_id':null",
					 "'external_id':true", "'external_id':{}", "'external_id':['u']"));
		refuses(kind, "braze_id", format, LIST("'braze_id':''", "'braze_id':7", "'braze_id':null"));
		refuses(kind, "email", format, LIST("'email':'ada'", "'email':null", "'email':7"));
		refuses(kind, "phone", format, LIST("'phone':''", "'phone':null", "'phone':14155552671"));
		refuses(kind, "alias", format,
				LIST("'user_alias':'a'", "'user_alias':null", "'user_alias':[]", "'user_alias':{}",
					 "'user_alias':{'alias_name':'a'}", "'user_alias':{'alias_label':'l'}",
					 "'user_alias':" ALIAS("''", "'l'"), "'user_alias':" ALIAS("'a'", "''"),
					 "'user_alias':" ALIAS("7", "'l'"), "'user_alias':" ALIAS("'a'", "null")));

		/* bytes are limited, not characters */
		snprintf(member, sizeof(member), "'external_id':%s", letters(987));
		judge(kind, format, member, NULL);
		snprintf(member, sizeof(member), "'external_id':%s", wide(493));
		judge(kind, format, member, NULL);
		snprintf(member, sizeof(member), "'external_id':%s", letters(988));
		judge(kind, format, member, "'external_id' must be fewer than 988 bytes");
		snprintf(member, sizeof(member), "'external_id':%s", wide(494));
		judge(kind, format, member, "'external_id' must be fewer than 988 bytes");
		snprintf(member, sizeof(member), "'user_alias':" ALIAS("%s", "%s"), letters(236), wide(118));
		judge(kind, format, member, NULL);
		snprintf(member, sizeof(member), "'user_alias':" ALIAS("%s", "'l'"), letters(237));
		judge(kind, format, member, "alias_name");
		snprintf(member, sizeof(member), "'user_alias':" ALIAS("'a'", "%s"), letters(237));
		judge(kind, format, member, "alias_label");
		snprintf(member, sizeof(member), "'user_alias':" ALIAS("'a'", "%s"), wide(119));
		judge(kind, format, member, "alias_label");

		accepts(kind, format, LIST("'external_id':'u','_update_existing_only':true",
								   "'user_alias':" ALIAS("'a'", "'l'") ",'_update_existing_only':false"));
		refuses(kind, "_update_existing_only", format,
				LIST("'external_id':'u','_update_existing_only':'true'",
					 "'external_id':'u','_update_existing_only':1",
					 "'external_id':'u','_update_existing_only':null"));
	}
	refuses("attributes", "must be an object", "%s", LIST("7", "'u'", "[]", "true"));
	refuses("events", "must be an object", "%s", LIST("7", "'u'", "[]"));
	refuses("purchases", "must be an object", "%s", LIST("7", "'u'", "[]"));
	judge("user_attributes", USER("%s"), "", "not the name of an array");
}

static void
test_names(void)
{
	static const struct
	{
		const char *kind;
		const char *format;
	}			names[] = {
		{"events", "{'external_id':'u','name':%s," TIME "}"},
		{"events", EVENT(",'properties':{%s:1}")},
		{"purchases", PURCHASE(",'properties':{%s:1}")},
		{"attributes", USER(",%s:1")},
		{"attributes", USER(",'plan':{%s:1}")},
		{"attributes", USER(",'plan':{'a':{%s:1}}")},
		{"attributes", USER(",'plans':[{%s:1}]")},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		bool		nested = i >= 4;

		accepts(names[i].kind, names[i].format,
				LIST("'n'", "'Name'", "'a$b'", "'42'", "'\xc3\xa9'", letters(255), wide(255)));
		refuses(names[i].kind, "empty", names[i].format, LIST("''"));
		refuses(names[i].kind, "begin with '$'", names[i].format, LIST("'$'", "'$n'"));
		refuses(names[i].kind, "at most 255", names[i].format, LIST(letters(256), wide(256)));
		if (nested)
			refuses(names[i].kind, "space", names[i].format,
					LIST("'a b'", "' '", "'a.b'", "'.'", "'a.'", "' a'"));
		else
			accepts(names[i].kind, names[i].format, LIST("'a b'", "'a.b'"));
	}
	refuses("events", "'name'", "{'external_id':'u'," TIME "%s}",
			LIST("", ",'name':7", ",'name':null", ",'name':{}"));
}

static void
test_times(void)
{
	static const char *const formats[] = {
		"{'external_id':'u','name':'e','time':%s}",
		"{'external_id':'u','product_id':'p','currency':'USD','price':1,'time':%s}",
	};

	for (int i = 0; i < 2; i++)
	{
		accepts(track[i + 1].kind, formats[i],
				LIST("'2026-01-02T03:04:05Z'", "'2026-01-02T03:04:05.6Z'",
					 "'2026-01-02T03:04:05.678901Z'", "'2026-01-02T03:04:05+02:00'",
					 "'2026-01-02T03:04:05.678-03:30'", "'2024-02-29T23:59:59Z'",
					 "'2000-02-29T00:00:00Z'", "'2999-12-31T23:59:59Z'"));
		refuses(track[i + 1].kind, "'time'", formats[i],
				LIST("'yesterday'", "''", "1767322800", "1767322800.5", "null", "true", "{}",
					 "'2026-13-02T03:04:05Z'", "'2026-00-02T03:04:05Z'", "'2026-01-32T03:04:05Z'",
					 "'2026-01-00T03:04:05Z'", "'2026-02-29T03:04:05Z'", "'1900-02-29T03:04:05Z'",
					 "'2026-04-31T03:04:05Z'", "'2026-01-02T24:04:05Z'", "'2026-01-02T03:60:05Z'",
					 "'2026-01-02T03:04:61Z'", "'2026-01-02T03:04:05.Z'", "'2026-01-02T03:04:05ZZ'",
					 "'2026-01-02T03:04:05Z '", "' 2026-01-02T03:04:05Z'",
					 "'2026-01-02T03:04:05+24:00'", "'2026-01-02T03:04:05+02:60'",
					 "'2026-1-2T03:04:05Z'", "'02.01.2026 03:04:05'", "'2026-01-02 03:04:05'"));
	}
	judge("events", "{'external_id':'u','name':'e'%s}", "", "'time'");
	judge("purchases", "{'external_id':'u','product_id':'p','currency':'USD','price':1%s}", "",
		  "'time'");
}

static void
test_events(void)
{
	static const char properties[] = EVENT(",'properties':%s");

	accepts("events", properties,
			LIST("{}", "{'a':null}", "{'a':1,'b':[1,{'c':true}],'d':'x'}", "{'price':1}",
				 "{'product_id':'p'}", "{'currency':'x'}", "{'quantity':1}", "{'Time':1}",
				 "{'a':{'time':1}}"));
	refuses("events", "'properties' must be an object", properties,
			LIST("[]", "'x'", "1", "null", "true"));
	refuses("events", "reserved", properties, LIST("{'time':1}", "{'event_name':'x'}", "{'time':null}"));
	refuses("events", "range", properties, LIST("{'a':1e999}", "{'a':[{'b':-1e999}]}"));
	accepts("events", EVENT(",'app_id':%s"), LIST("'12345678-app'"));
	refuses("events", "app_id", EVENT(",'app_id':%s"), LIST("7", "null", "''"));
	refuses("events", "not a field", EVENT(",%s:1"), LIST("'anonymousId'", "'properties2'", "'product_id'"));
}

static void
test_purchases(void)
{
	static const char quantity[] = PURCHASE(",'quantity':%s");
	static const char price[] = "{'external_id':'u','product_id':'p','currency':'USD'," TIME ",'price':%s}";
	static const char product[] = "{'external_id':'u','currency':'USD','price':1," TIME ",'product_id':%s}";

	judge("purchases", PURCHASE("%s"), "", NULL);
	accepts("purchases", quantity, LIST("1", "2", "99", "100"));
	refuses("purchases", "'quantity'", quantity,
			LIST("0", "101", "-1", "1.5", "1.0", "'1'", "true", "null", "[]", "9223372036854775807",
				 "18446744073709551617"));
	accepts("purchases", price, LIST("0", "0.0", "1", "-3.25", "-1", "19.990", "1e3", "123456789012"));
	refuses("purchases", "'price'", price,
			LIST("'1'", "'1.5'", "null", "true", "[]", "{}", "1e999", "-1e999"));
	accepts("purchases", product, LIST("'p'", "'$p'", "'a b'", letters(255), wide(255)));
	refuses("purchases", "'product_id'", product,
			LIST("''", "7", "null", "{}", letters(256), wide(256)));
	refuses("purchases", "is missing", "{'external_id':'u'," TIME ",%s}",
			LIST("'product_id':'p','currency':'USD'", "'product_id':'p','price':1",
				 "'currency':'USD','price':1"));
	refuses("purchases", "reserved", PURCHASE(",'properties':{%s:1}"),
			LIST("'time'", "'product_id'", "'quantity'", "'event_name'", "'price'", "'currency'"));
	accepts("purchases", PURCHASE(",'properties':{%s:1}"), LIST("'color'", "'name'", "'Price'"));
	refuses("purchases", "'properties' must be an object", PURCHASE(",'properties':%s"),
			LIST("[]", "'x'", "null"));
	accepts("purchases", PURCHASE(",'app_id':%s"), LIST("'12345678-app'"));
	refuses("purchases", "not a field", PURCHASE(",%s:1"), LIST("'name'", "'tax'"));
}

static void
test_currencies(void)
{
	static const char format[] = "{'external_id':'u','product_id':'p','price':1," TIME ",'currency':%s}";
	static const char known[] =
		"AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTC BTN "
		"BWP BYR BZD CAD CDF CHF CLF CLP CNY COP CRC CUC CUP CVE CZK DJF DKK DOP DZD EEK EGP ERN ETB "
		"EUR FJD FKP GBP GEL GGP GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS IMP INR IQD IRR "
		"ISK JEP JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LTL LVL LYD MAD "
		"MDL MGA MKD MMK MNT MOP MRO MTL MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN "
		"PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLL SOS SRD STD SVC SYP "
		"SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VEF VND VUV WST XAF XAG XAU XCD "
		"XDR XOF XPD XPF XPT YER ZAR ZMK ZMW ZWL";
	char		code[8];

	for (const char *c = known; *c != '\0'; c += c[3] == '\0' ? 3 : 4)
	{
		snprintf(code, sizeof(code), "'%.3s'", c);
		judge("purchases", format, code, NULL);
	}
	accepts("purchases", format, LIST("'BYN'", "'MRU'", "'SLE'", "'STN'", "'VES'", "'XCG'", "'ZWG'", "'USN'"));
	standin_listed_currencies = true;
	accepts("purchases", format, LIST("'BYR'", "'MRO'", "'USD'"));
	refuses("purchases", "'currency'", format, LIST("'BYN'", "'VES'", "'ZWG'", "'USN'"));
	standin_listed_currencies = false;
	refuses("purchases", "'currency' must be an ISO 4217 currency", format,
			LIST("'usd'", "'Usd'", "'XXX'", "'EURO'", "'US'", "'ED '", "' US'", "'USDX'", "'D A'",
				 "'USD EUR'", "''", "'$'", "840", "null", "['USD']"));
}

/* an object {"a":"..."} of exactly so many bytes */
static const char *
object_of(int bytes)
{
	static Buffer object;

	object.length = 0;
	standin_buffer_printf(&object, "{'a':%s}", letters(bytes - 8));
	return object.data;
}

static const char *
wide_object_of(int bytes)
{
	static Buffer object;

	object.length = 0;
	standin_buffer_printf(&object, "{'a':%s}", wide((bytes - 8) / 2));
	return object.data;
}

static void
test_sizes(void)
{
	Buffer		many = {0};

	judge("events", EVENT(",'properties':%s"), object_of(102400), NULL);
	judge("events", EVENT(",'properties':%s"), wide_object_of(102400), NULL);
	judge("events", EVENT(",'properties':%s"), object_of(102401), "102400 bytes");
	judge("events", EVENT(",'properties':%s"), wide_object_of(102402), "102400 bytes");
	judge("purchases", PURCHASE(",'properties':%s"), object_of(51200), NULL);
	judge("purchases", PURCHASE(",'properties':%s"), object_of(51201), "51200 bytes");
	judge("attributes", USER(",'plan':%s"), object_of(102400), NULL);
	judge("attributes", USER(",'plan':%s"), object_of(102401), "102400 bytes");
	judge("attributes", USER(",'plans':[%s]"), object_of(102398), NULL);
	judge("attributes", USER(",'plans':[%s]"), object_of(102399), "102400 bytes");

	/* more than Braze keeps is cut by Braze, not refused */
	accepts("attributes", USER(",'plan':%s"), LIST(letters(255), letters(256), letters(5000)));
	accepts("events", EVENT(",'properties':{'a':%s}"), LIST(letters(255), letters(256)));
	for (int i = 0; i < 257; i++)
		standin_buffer_printf(&many, "%s'p%d':1", i == 0 ? "" : ",", i);
	judge("events", EVENT(",'properties':{%s}"), many.data, NULL);
	judge("purchases", PURCHASE(",'properties':{%s}"), many.data, NULL);
	many.length = 0;
	for (int i = 0; i < 501; i++)
		standin_buffer_printf(&many, "%s%d", i == 0 ? "" : ",", i);
	judge("attributes", USER(",'numbers':[%s]"), many.data, NULL);
	standin_buffer_free(&many);
}

/*
 * Standard fields of an attributes object.  Good values are tried in turn,
 * then bad ones; null is good where it removes the field.
 */
static void
test_fields(void)
{
	static const char *const strings[] = {
		"phone", "first_name", "last_name", "home_city", "country", "language", "time_zone",
		"image_url", NULL
	};
	static const char *const dates[] = {
		"date_of_first_session", "date_of_last_session", "marked_email_as_spam_at", NULL
	};
	static const char *const flags[] = {
		"email_open_tracking_disabled", "email_click_tracking_disabled", "_merge_objects", NULL
	};
	static const char *const subscriptions[] = {"email_subscribe", "push_subscribe", NULL};
	static const char *const networks[] = {"facebook", "twitter", NULL};
	char		format[256];

	for (const char *const *name = strings; *name != NULL; name++)
	{
		snprintf(format, sizeof(format), USER(",'%s':%%s"), *name);
		accepts("attributes", format, LIST("'x'", "''", "null", letters(256)));
		refuses("attributes", *name, format, LIST("7", "true", "[]", "{}"));
	}
	for (const char *const *name = dates; *name != NULL; name++)
	{
		snprintf(format, sizeof(format), USER(",'%s':%%s"), *name);
		accepts("attributes", format, LIST("'2026-01-02T03:04:05Z'", "'2026-01-02T03:04:05.678+01:00'"));
		refuses("attributes", *name, format,
				LIST("'x'", "''", "1767322800", "true", "'2026-02-30T03:04:05Z'", "{}"));
	}
	for (const char *const *name = flags; *name != NULL; name++)
	{
		snprintf(format, sizeof(format), USER(",'%s':%%s"), *name);
		accepts("attributes", format, LIST("true", "false"));
		refuses("attributes", *name, format, LIST("1", "0", "'true'", "null", "[]"));
	}
	for (const char *const *name = subscriptions; *name != NULL; name++)
	{
		snprintf(format, sizeof(format), USER(",'%s':%%s"), *name);
		accepts("attributes", format, LIST("'opted_in'", "'subscribed'", "'unsubscribed'"));
		refuses("attributes", *name, format,
				LIST("'yes'", "'Subscribed'", "'opted_out'", "''", "true", "1", "null", "{}"));
	}
	for (const char *const *name = networks; *name != NULL; name++)
	{
		snprintf(format, sizeof(format), USER(",'%s':%%s"), *name);
		accepts("attributes", format, LIST("{'id':7}"));
		refuses("attributes", *name, format, LIST("'ada'", "7", "[]"));
	}
	accepts("attributes", USER(",'email':%s"),
			LIST("'ada@example.com'", "'a+b@mail.example.co.uk'", "'a.b@x.io'", "null"));
	refuses("attributes", "valid email", USER(",'email':%s"),
			LIST("'ada'", "'ada@'", "'@example.com'", "'a@b'", "'a b@example.com'", "'a@b@c.com'",
				 "'ada@example..com'", "'ada@.com'", "'ada@example.com.'", "'ada@example.com '",
				 "'<ada@example.com>'", "'mailto:ada@example.com'", "'ada@127.0.0.1'", "'ada@exämple.de'",
				 "''", "7", "true", "[]"));
	accepts("attributes", USER(",'dob':%s"), LIST("'1991-09-26'", "'2000-02-29'", "null"));
	refuses("attributes", "'dob'", USER(",'dob':%s"),
			LIST("'26.9.1991'", "'1991-02-30'", "'1991-13-01'", "'1991-9-26'", "'91-09-26'",
				 "'1991-09-26T00:00:00Z'", "''", "19910926"));
	accepts("attributes", USER(",'gender':%s"), LIST("'M'", "'F'", "'O'", "'N'", "'P'", "null"));
	refuses("attributes", "'gender'", USER(",'gender':%s"), LIST("'male'", "'m'", "'X'", "''", "7"));
	accepts("attributes", USER(",'image_url':%s"), LIST(letters(1024), wide(1024)));
	refuses("attributes", "'image_url'", USER(",'image_url':%s"), LIST(letters(1025)));
	accepts("attributes", USER(",'current_location':%s"),
			LIST("{'longitude':1.5,'latitude':-2}", "{'longitude':180,'latitude':90}",
				 "{'longitude':-180,'latitude':-90}"));
	refuses("attributes", "'current_location'", USER(",'current_location':%s"),
			LIST("{'longitude':1.5}", "{'latitude':1.5}", "{}", "'here'", "[1.5,2]", "null", "7",
				 "{'longitude':'1','latitude':2}", "{'longitude':1,'latitude':null}",
				 "{'longitude':180.1,'latitude':2}", "{'longitude':1,'latitude':-90.1}"));
}

static void
test_tokens_and_groups(void)
{
	static const char group[] = USER(",'subscription_groups':%s");
	static const char tokens[] = USER(",'push_tokens':%s");
	static const char device[] = USER(",'push_tokens':[{'app_id':'a','token':'t','device_id':%s}]");
	static const char imported[] = "{%s}";

	accepts("attributes", group,
			LIST("[]", "[{'subscription_group_id':" UUID ",'subscription_state':'subscribed'}]",
				 "[{'subscription_group_id':" UUID ",'subscription_state':'unsubscribed'},"
				 "{'subscription_group_id':'ABCDEFAB-1234-1234-1234-123456789ABC','subscription_state':'subscribed'}]"));
	refuses("attributes", "subscription", group,
			LIST("{}", "'x'", "null", "['x']", "[{}]", "[{'subscription_state':'subscribed'}]",
				 "[{'subscription_group_id':" UUID "}]",
				 "[{'subscription_group_id':'x','subscription_state':'subscribed'}]",
				 "[{'subscription_group_id':7,'subscription_state':'subscribed'}]",
				 "[{'subscription_group_id':'12345678-1234-1234-1234-123456789abcd','subscription_state':'subscribed'}]",
				 "[{'subscription_group_id':'12345678123412341234123456789abc','subscription_state':'subscribed'}]",
				 "[{'subscription_group_id':" UUID ",'subscription_state':'opted_in'}]",
				 "[{'subscription_group_id':" UUID ",'subscription_state':true}]",
				 "[{'subscription_group_id':" UUID ",'subscription_state':'subscribed','name':'x'}]"));

	accepts("attributes", tokens, LIST("[]", "[{'app_id':'a','token':'t'}]"));
	refuses("attributes", "push", tokens,
			LIST("{}", "'t'", "null", "['t']", "[{'app_id':'a'}]", "[{'token':'t'}]",
				 "[{'app_id':'','token':'t'}]", "[{'app_id':'a','token':''}]",
				 "[{'app_id':'a','token':7}]", "[{'app_id':7,'token':'t'}]",
				 "[{'app_id':'a','token':'t','platform':'ios'}]"));
	accepts("attributes", device, LIST(letters(8), letters(255), wide(4), wide(127)));
	refuses("attributes", "device_id", device,
			LIST(letters(7), letters(256), wide(3), wide(128), "''", "12345678", "null"));

	accepts("attributes", imported,
			LIST("'push_token_import':true,'push_tokens':[{'app_id':'a','token':'t'}],'email':'a@b.co'",
				 "'push_token_import':true,'push_tokens':[{'app_id':'a','token':'t'}],'user_alias':" ALIAS("'a'", "'l'"),
				 "'push_token_import':false,'external_id':'u'",
				 "'push_token_import':false,'braze_id':'b'"));
	refuses("attributes", "push_token_import", imported,
			LIST("'push_token_import':true,'push_tokens':[{'app_id':'a','token':'t'}],'external_id':'u'",
				 "'push_token_import':true,'push_tokens':[{'app_id':'a','token':'t'}],'braze_id':'b'",
				 "'push_token_import':true,'email':'a@b.co'",
				 "'push_token_import':'true','external_id':'u'", "'push_token_import':null,'external_id':'u'"));
}

static void
test_custom_attributes(void)
{
	static const char format[] = USER(",'plan':%s");

	accepts("attributes", format,
			LIST("'pro'", "''", "1", "-1.5", "true", "null", "[]", "[1,2]", "['a','b']", "{}",
				 "'2026-01-02T03:04:05Z'", "{'a':{'b':[1,'x',{'c':false}]}}", "[{'a':1},{'a':2}]",
				 "{'a':{'$time':'2026-01-02'}}", "{'a':{'$time':'2026-01-02T03:04:05Z'}}",
				 "{'a':{'$time':'3000-12-31'}}"));
	refuses("attributes", "null", format,
			LIST("{'a':null}", "{'a':{'b':null}}", "{'a':[{'b':null}]}", "[{'a':null}]"));
	refuses("attributes", "$time", format, LIST("{'a':{'$time':'yesterday'}}", "{'a':{'$time':7}}",
												 "{'a':{'$time':'2026-02-30'}}", "{'a':{'$time':'3001-01-01'}}",
												 "{'a':{'$time':'9999-12-31T00:00:00Z'}}"));
	refuses("attributes", "range", format, LIST("1e999", "{'a':1e999}", "[-1e999]"));

	accepts("attributes", format,
			LIST("{'inc':1}", "{'inc':-2}", "{'add':['x']}", "{'remove':['x','y']}",
				 "{'$add':[{'id':1}]}",
				 "{'$remove':[{'$identifier_key':'id','$identifier_value':1}]}",
				 "{'$update':[{'$identifier_key':'id','$identifier_value':1,'$new_object':{'a':2}}]}"));
	refuses("attributes", "must be an array", format,
			LIST("{'$add':{'id':1}}", "{'$add':'x'}", "{'$remove':1}", "{'$update':{}}"));
	refuses("attributes", "plan_key", USER(",%s:{'$plan_key':1}"), LIST("'plan'"));
	refuses("attributes", "$", format,
			LIST("{'$push':[1]}", "{'$add':[{'$x':1}]}",
				 "{'$update':[{'$identifier_key':7,'$identifier_value':1,'$new_object':{}}]}",
				 "{'$update':[{'$identifier_key':'id','$identifier_value':1,'$new_object':'x'}]}"));
	refuses("attributes", "null", format, LIST("{'add':[null]}", "{'$add':[{'id':null}]}"));
}

static void
test_identity(void)
{
	static const char identify[] = "{'external_id':%s,'user_alias':" ALIAS("'a'", "'l'") "}";
	static const char email[] = "{'external_id':'u','email':'a@b.co','prioritization':%s}";
	static const char phone[] = "{'external_id':'u','phone':'+14155552671','prioritization':%s}";
	static const char keep[] = "{'identifier_to_merge':%s,'identifier_to_keep':{'external_id':'u'}}";
	static const char merge[] = "{'identifier_to_keep':%s,'identifier_to_merge':{'external_id':'u'}}";

	accepts("aliases_to_identify", identify, LIST("'u'", letters(987)));
	refuses("aliases_to_identify", "external_id", identify, LIST("''", "7", "null", letters(988)));
	refuses("aliases_to_identify", "alias", "{'external_id':'u'%s}",
			LIST("", ",'user_alias':'a'", ",'user_alias':{'alias_name':'a'}",
				 ",'user_alias':" ALIAS("''", "'l'")));
	refuses("aliases_to_identify", "external_id", "{'user_alias':%s}", LIST(ALIAS("'a'", "'l'")));
	refuses("aliases_to_identify", "must be an object", "%s", LIST("'u'", "7", "[]"));

	for (int i = 0; i < 2; i++)
	{
		const char *kind = i == 0 ? "emails_to_identify" : "phone_numbers_to_identify";
		const char *format = i == 0 ? email : phone;

		accepts(kind, format, LIST("['unidentified']", "['identified','most_recently_updated']",
								   "['unidentified','least_recently_updated']"));
		refuses(kind, "prioritization", format, LIST("'unidentified'", "[]", "['newest']", "[7]", "null"));
		refuses(kind, "is missing", "{'external_id':'u',%s}",
				LIST("'prioritization':['unidentified']"));
	}
	refuses("emails_to_identify", "email", "{'external_id':'u','prioritization':['unidentified'],'email':%s}",
			LIST("'ada'", "7", "null"));
	refuses("phone_numbers_to_identify", "phone",
			"{'external_id':'u','prioritization':['unidentified'],'phone':%s}", LIST("''", "7", "null"));

	for (int i = 0; i < 2; i++)
	{
		const char *format = i == 0 ? keep : merge;

		accepts("merge_updates", format,
				LIST("{'external_id':'a'}", "{'braze_id':'a'}", "{'email':'a@b.co'}", "{'phone':'+1415'}",
					 "{'user_alias':" ALIAS("'a'", "'l'") "}"));
		refuses("merge_updates", "", format,
				LIST("{}", "'a'", "null", "{'external_id':''}", "{'external_id':7}", "{'email':'ada'}",
					 "{'external_id':'a','braze_id':'b'}", "{'user_alias':{'alias_name':'a'}}"));
	}
	refuses("merge_updates", "is missing", "{%s}",
			LIST("'identifier_to_merge':{'external_id':'a'}", "'identifier_to_keep':{'external_id':'a'}"));

	accepts("new_aliases", "{'external_id':'u','alias_name':%s,'alias_label':'l'}", LIST("'a'", letters(236)));
	accepts("new_aliases", "{'alias_name':'a','alias_label':%s}", LIST("'l'", letters(236)));
	refuses("new_aliases", "alias_name", "{'alias_label':'l','alias_name':%s}",
			LIST("''", "7", "null", letters(237)));
	refuses("new_aliases", "alias_label", "{'alias_name':'a'%s}", LIST("", ",'alias_label':''"));
	refuses("new_aliases", "external_id", "{'alias_name':'a','alias_label':'l','external_id':%s}",
			LIST("''", "7", "null", letters(988)));

	accepts("external_ids", "%s", LIST("'u'", letters(987)));
	refuses("external_ids", "external_id", "%s", LIST("''", "7", "{}", letters(988)));
	accepts("braze_ids", "%s", LIST("'b'"));
	refuses("braze_ids", "braze_id", "%s", LIST("''", "7", "{}"));
	accepts("user_aliases", "%s", LIST(ALIAS("'a'", "'l'")));
	refuses("user_aliases", "alias", "%s", LIST("'a'", "{}", "{'alias_name':'a'}", ALIAS("'a'", "''")));
	accepts("email_addresses", "%s", LIST("'a@b.co'", "{'email':'a@b.co','prioritization':['unidentified']}"));
	refuses("email_addresses", "", "%s", LIST("'ada'", "7", "{'email':'ada','prioritization':['unidentified']}"));
	accepts("phone_numbers", "%s", LIST("'+14155552671'", "{'phone':'+14155552671','prioritization':['identified']}"));
	refuses("phone_numbers", "phone", "%s", LIST("''", "7", "{}"));
}

/* a reason quotes names from the data, and may cut them: still UTF-8 */
static void
test_reasons(void)
{
	for (int shift = 0; shift < 4; shift++)
	{
		Buffer		json = {0};
		Buffer		quoted = {0};
		char		reason[256];
		char		trouble[256] = "";
		json_object *object;

		standin_buffer_printf(&json, "{\"external_id\":\"u\",\"$%.*s", shift, "xxx");
		for (int i = 0; i < 100; i++)
			standin_buffer_puts(&json, "\xf0\x9f\x98\x80");
		standin_buffer_puts(&json, "\":1}");
		object = json_tokener_parse(json.data);
		ok(object != NULL && !standin_validate("attributes", object, reason, sizeof(reason)),
		   "a long name with '$' is refused");
		standin_buffer_quote(&quoted, reason);
		ok(standin_json_check(quoted.data, quoted.length, trouble, sizeof(trouble)),
		   "the reason is valid UTF-8: %s", trouble);
		json_object_put(object);
		standin_buffer_free(&json);
		standin_buffer_free(&quoted);
	}
}

int
main(void)
{
	test_identifiers();
	test_names();
	test_times();
	test_events();
	test_purchases();
	test_currencies();
	test_sizes();
	test_fields();
	test_tokens_and_groups();
	test_custom_attributes();
	test_identity();
	test_reasons();
	return done();
}
