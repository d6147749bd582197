/*
 * The stand-in's validator against Braze's documentation: what it accepts at
 * each limit, and refuses one beyond.
 *
 * link: ../braze/validate.c ../braze/attributes.c ../braze/ecommerce.c
 * link: ../braze/formats.c ../braze/rawjson.c ../braze/buffer.c -ljson-c
 */
#include "tap.h"

#include <stdlib.h>

#include "validate.h"

static void
judge(const char *kind, const char *json, bool good)
{
	json_object *object = json_tokener_parse(json);
	char		reason[256] = "";
	bool		accepted;

	if (object == NULL)
	{
		ok(false, "not JSON: %.100s", json);
		return;
	}
	accepted = standin_validate(kind, object, reason, sizeof(reason));
	ok(accepted == good, "%s %s: %.120s%s%s", good ? "accepted:" : "refused:", kind, json,
	   accepted ? "" : " - ", reason);
	ok(accepted || reason[0] != '\0', "with a reason");
	json_object_put(object);
}

/* %s is where the value goes */
static void
around(const char *kind, const char *format, const char *const *good, const char *const *bad)
{
	char		json[4096];

	for (; *good != NULL; good++)
	{
		snprintf(json, sizeof(json), format, *good);
		judge(kind, json, true);
	}
	for (; *bad != NULL; bad++)
	{
		snprintf(json, sizeof(json), format, *bad);
		judge(kind, json, false);
	}
}

#define LIST(...) ((const char *const[]) {__VA_ARGS__, NULL})

static const char *
letters(int count)
{
	static char text[4][2048];
	static int	next = 0;
	char	   *t = text[next++ % 4];

	t[0] = '"';
	memset(t + 1, 'a', count);
	strcpy(t + 1 + count, "\"");
	return t;
}

#define EVENT(rest)		"{\"external_id\":\"u\",\"name\":\"e\",\"time\":\"2026-01-02T03:04:05.678Z\"" rest "}"
#define PURCHASE(rest)	"{\"external_id\":\"u\",\"product_id\":\"p\",\"currency\":\"USD\",\"price\":1.5,\"time\":\"2026-01-02T03:04:05Z\"" rest "}"
#define USER(rest)		"{\"external_id\":\"u\"" rest "}"

static void
test_identifiers(void)
{
	around("events", "{\"external_id\":%s,\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}",
		   LIST("\"u\"", letters(987)), LIST("\"\"", "7", "null", letters(988)));
	judge("events", "{\"user_alias\":{\"alias_name\":\"a\",\"alias_label\":\"l\"},\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}", true);
	judge("events", "{\"user_alias\":{\"alias_name\":\"\",\"alias_label\":\"l\"},\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}", false);
	judge("events", "{\"user_alias\":{\"alias_name\":\"a\"},\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}", false);
	judge("events", "{\"braze_id\":\"b\",\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}", true);
	judge("events", "{\"braze_id\":\"b\",\"external_id\":\"u\",\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}", false);
	judge("events", "{\"email\":\"a@b.co\",\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}", true);
	judge("events", "{\"phone\":\"+14155552671\",\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}", true);
	judge("events", "{\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\"}", false);
}

static void
test_events(void)
{
	around("events", "{\"external_id\":\"u\",\"name\":%s,\"time\":\"2026-01-02T03:04:05Z\"}",
		   LIST("\"e\"", letters(255)), LIST("\"\"", "7", "\"$e\"", letters(256)));
	around("events", "{\"external_id\":\"u\",\"name\":\"e\",\"time\":%s}",
		   LIST("\"2026-01-02T03:04:05Z\"", "\"2026-01-02T03:04:05.123Z\"", "\"2026-01-02T03:04:05+02:00\""),
		   LIST("\"yesterday\"", "1700000000", "null", "\"2026-13-02T03:04:05Z\""));
	judge("events", "{\"external_id\":\"u\",\"name\":\"e\"}", false);
	around("events", "{\"external_id\":\"u\",\"name\":\"e\",\"time\":\"2026-01-02T03:04:05Z\",\"properties\":%s}",
		   LIST("{}", "{\"a\":1,\"b\":[1,{\"c\":true}],\"d\":\"x\"}"),
		   LIST("[]", "\"x\"", "{\"time\":1}", "{\"event_name\":1}", "{\"$a\":1}", "{\"\":1}"));
}

static void
test_purchases(void)
{
	judge("purchases", PURCHASE(""), true);
	around("purchases", "{\"external_id\":\"u\",\"product_id\":\"p\",\"currency\":\"USD\",\"price\":1,\"time\":\"2026-01-02T03:04:05Z\",\"quantity\":%s}",
		   LIST("1", "100"), LIST("0", "101", "-1", "1.5", "\"1\""));
	around("purchases", "{\"external_id\":\"u\",\"product_id\":\"p\",\"currency\":%s,\"price\":1,\"time\":\"2026-01-02T03:04:05Z\"}",
		   LIST("\"USD\"", "\"EUR\"", "\"BTC\""), LIST("\"usd\"", "\"XXX\"", "\"\"", "1"));
	around("purchases", "{\"external_id\":\"u\",\"product_id\":\"p\",\"currency\":\"USD\",\"price\":%s,\"time\":\"2026-01-02T03:04:05Z\"}",
		   LIST("0", "-3.25", "19.990"), LIST("\"1\"", "null"));
	around("purchases", "{\"external_id\":\"u\",\"product_id\":%s,\"currency\":\"USD\",\"price\":1,\"time\":\"2026-01-02T03:04:05Z\"}",
		   LIST("\"p\"", letters(255)), LIST("\"\"", "7", letters(256)));
	around("purchases", "{\"external_id\":\"u\",\"product_id\":\"p\",\"currency\":\"USD\",\"price\":1,\"time\":\"2026-01-02T03:04:05Z\",\"properties\":{%s:1}}",
		   LIST("\"color\""), LIST("\"time\"", "\"product_id\"", "\"quantity\"", "\"event_name\"", "\"price\"", "\"currency\""));
}

static void
test_attributes(void)
{
	around("attributes", "{\"external_id\":\"u\",\"email\":%s}",
		   LIST("\"ada@example.com\"", "null"), LIST("\"ada\"", "\"a@b\"", "\"a b@example.com\"", "7"));
	around("attributes", "{\"external_id\":\"u\",\"email_subscribe\":%s}",
		   LIST("\"opted_in\"", "\"subscribed\"", "\"unsubscribed\""), LIST("\"yes\"", "true", "\"\""));
	around("attributes", "{\"external_id\":\"u\",\"push_subscribe\":%s}", LIST("\"opted_in\""), LIST("\"no\""));
	around("attributes", "{\"external_id\":\"u\",\"current_location\":%s}",
		   LIST("{\"longitude\":1.5,\"latitude\":-2}"), LIST("{\"longitude\":1.5}", "\"here\"", "{\"longitude\":\"1\",\"latitude\":2}"));
	around("attributes", "{\"external_id\":\"u\",\"plan\":%s}",
		   LIST("\"pro\"", "1", "true", "null", "[1,2]", "{\"a\":{\"b\":1}}", "{\"inc\":1}", "{\"add\":[\"x\"]}"),
		   LIST("{\"a b\":1}", "{\"a.b\":1}", "{\"$x\":1}", "{\"a\":null}"));
	around("attributes", "{\"external_id\":\"u\",%s:1}", LIST("\"a\"", letters(255)), LIST("\"\"", "\"$a\"", letters(256)));
	around("attributes", "{\"external_id\":\"u\",\"gender\":%s}", LIST("\"M\"", "\"P\"", "null"), LIST("\"male\""));
	around("attributes", "{\"external_id\":\"u\",\"dob\":%s}", LIST("\"1991-09-26\""), LIST("\"26.9.1991\"", "\"1991-02-30\""));
	around("attributes", "{\"external_id\":\"u\",\"subscription_groups\":%s}",
		   LIST("[{\"subscription_group_id\":\"12345678-1234-1234-1234-123456789abc\",\"subscription_state\":\"subscribed\"}]"),
		   LIST("[{\"subscription_group_id\":\"x\",\"subscription_state\":\"subscribed\"}]", "[{\"subscription_group_id\":\"12345678-1234-1234-1234-123456789abc\",\"subscription_state\":\"opted_in\"}]", "{}"));
}

static void
test_ecommerce(void)
{
	static const char shape[] = "{\"external_id\":\"u\",\"name\":\"ecommerce.order_placed\",\"time\":\"2026-01-02T03:04:05Z\",\"properties\":{%s}}";

#define PRODUCT "\"products\":[{\"product_id\":\"p\",\"product_name\":\"n\",\"variant_id\":\"v\",\"quantity\":1,\"price\":2.5}]"
#define ORDER "\"order_id\":\"o\",\"total_value\":2.5,\"currency\":\"USD\",\"source\":\"web\""
	around("events", shape, LIST(ORDER "," PRODUCT, ORDER "," PRODUCT ",\"metadata\":{\"a\":1}"),
		   LIST(ORDER, PRODUCT, ORDER "," PRODUCT ",\"colour\":\"red\"",
				"\"order_id\":7,\"total_value\":2.5,\"currency\":\"USD\",\"source\":\"web\"," PRODUCT,
				"\"order_id\":\"o\",\"total_value\":\"2.5\",\"currency\":\"USD\",\"source\":\"web\"," PRODUCT,
				ORDER ",\"products\":[{\"product_id\":\"p\",\"product_name\":\"n\",\"variant_id\":\"v\",\"quantity\":1.5,\"price\":2.5}]",
				ORDER ",\"products\":[{\"product_id\":\"p\",\"variant_id\":\"v\",\"quantity\":1,\"price\":2.5}]"));
	judge("events", EVENT(",\"properties\":{\"colour\":\"red\"}"), true);
}

static void
test_identity(void)
{
	judge("aliases_to_identify", "{\"external_id\":\"u\",\"user_alias\":{\"alias_name\":\"a\",\"alias_label\":\"l\"}}", true);
	judge("aliases_to_identify", "{\"external_id\":\"u\"}", false);
	judge("emails_to_identify", "{\"external_id\":\"u\",\"email\":\"a@b.co\",\"prioritization\":[\"unidentified\",\"most_recently_updated\"]}", true);
	judge("merge_updates", "{\"identifier_to_merge\":{\"external_id\":\"a\"},\"identifier_to_keep\":{\"external_id\":\"b\"}}", true);
	judge("merge_updates", "{\"identifier_to_merge\":{\"external_id\":\"a\"}}", false);
	judge("external_ids", "\"u\"", true);
	judge("external_ids", "7", false);
}

int
main(void)
{
	judge("attributes", USER(""), true);
	test_identifiers();
	test_events();
	test_purchases();
	test_attributes();
	test_ecommerce();
	test_identity();
	return done();
}
