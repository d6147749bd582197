/*-------------------------------------------------------------------------
 *
 * generate.c
 *	  Hostile Segment calls, one a line, and destinations to map them for.
 *
 *	  generate calls SEED COUNT DESTINATIONS   lines: destination, tab, call
 *	  generate servers SEED DESTINATIONS       CREATE SERVER statements
 *
 * Most calls have the shape of real ones, since a call that is refused at its
 * first field tests nothing behind it; then any value may be any other.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* in percent: a value is not what its field takes */
#define WRONG_VALUE	12
/* the same where little is left of the call then */
#define WRONG_SHAPE	3

typedef void (*Writer) (void);

static bool first;				/* no member was written into this object yet */

static void
begin(void)
{
	fuzz_put("{");
	first = true;
}

static void
end(void)
{
	fuzz_put("}");
	first = false;
}

static void
key(const char *name)
{
	if (!first)
		fuzz_put(",");
	first = false;
	fuzz_put_string(name);
	fuzz_put(":");
}

/* a member whose value is what the writer makes, or anything else */
static void
member(const char *name, unsigned percent, Writer writer)
{
	if (!fuzz_percent(percent))
		return;
	key(name);
	if (fuzz_percent(WRONG_VALUE))
		fuzz_put_value(3);
	else
		writer();
	first = false;
}

static void
shape(const char *name, unsigned percent, Writer writer)
{
	if (!fuzz_percent(percent))
		return;
	key(name);
	if (fuzz_percent(WRONG_SHAPE))
		fuzz_put_value(3);
	else
		writer();
	first = false;
}

static void
any_members(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
	{
		if (!first)
			fuzz_put(",");
		first = false;
		fuzz_put_any_key();
		fuzz_put_value(3);
	}
}

/* ----- values that fit ----- */

static void
any_value(void)
{
	fuzz_put_value(3);
}

static void
text(void)
{
	static const char *const texts[] = {"Ada", "Lovelace", "London", "GB", "pro", "Song Played", "Roar", " en-US ",
		"price_drop", "add", "remove", "[{\"sku\": 1}]", " {} "};

	if (fuzz_percent(3))
		fuzz_put("\"%0*d\"", 250 + (int) fuzz_below(20), 0);
	else
		fuzz_put_string(FUZZ_PICK(texts));
}

static void
id(void)
{
	if (fuzz_percent(10))
		fuzz_put("%u.%0*d", fuzz_below(1000), 1 + (int) fuzz_below(4), 0);
	else
		fuzz_put("\"u%u\"", fuzz_below(1000));
}

static void
email(void)
{
	static const char *const emails[] = {" ada@example.com ", "<a@example.com>", "mailto:a@example.com", "a@127.0.0.1",
		"a@[::1]", "a@example.123", "a@ex\xc3\xa4mple.de", "a@-example.com", "a@example-.com", "\"a\"@example.com",
		"\xc3\xa5sa@example.com", "\xd0\xb0\xd0\xb4\xd0\xb0@example.com", "a\xe2\x82\xac@example.com", "a\xcc\x81@example.com",
		"a@gmail.com", "ab+c@gmail.com", "a!b@hotmail.com", "-a@live.com", "a.+b@msn.com", "a..b@example.com", "a@b", "@", "a@x.io"};

	if (fuzz_percent(30))
		fuzz_put_string(FUZZ_PICK(emails));
	else
		fuzz_put("\"user%u@example.com\"", fuzz_below(1000));
}

static void
phone(void)
{
	fuzz_put("\"+1415555%04u\"", fuzz_below(10000));
}

static void
moment(void)
{
	static const char *const moments[] = {"2013-07-16 19:20:30 UTC", "2013-07-16 19:20:30.123456 UTC", "2013-07-16T19:20:30 GMT",
		"2013-07-16T19:20:30 +2", "2013-07-16 19:20:30,5Z", "2013-07-16T19:20:30:500Z", "20130716T192030Z", "20130716",
		"2013-07-16-04:00", "Tue, 16 Jul 2013 19:20:30 GMT", "Wed, 16 Jul 2013 19:20:30 GMT", "Tue Jul 16 19:20:30 2013",
		"Tue Jul 16 2013 19:20:30 GMT+0200 (CEST)", "07/16/2013", "1374002430", "1374002430.25", "-315619200", "1984", "0000-01-01",
		"2100-12-31T23:59:59-01:00", "3000-12-31T23:59:59-01:00", "3001-01-01", "9999-12-31T23:59:59-15:59", "0001-01-01T00:00:00+15:59"};
	static const char *const numbers[] = {"0", "1984", "20240102", "20241302", "19840304.0", "1374002430", "1374002430250", "-99999999",
		"-2208988801", "4133980800", "20130716192030", "1e300"};

	if (fuzz_percent(20))
		fuzz_put_string(FUZZ_PICK(moments));
	else if (fuzz_percent(15))
		fuzz_put("%s", FUZZ_PICK(numbers));
	else
		fuzz_put("\"20%02u-%02u-%02uT%02u:%02u:%02u.%03u%s\"", fuzz_below(40), 1 + fuzz_below(12),
				 1 + fuzz_below(31), fuzz_below(25), fuzz_below(60), fuzz_below(61), fuzz_below(1000),
				 fuzz_percent(50) ? "Z" : "+05:30");
}

static void
date(void)
{
	if (fuzz_percent(30))
		moment();
	else
		fuzz_put("\"%u-%02u-%02u\"", 1890 + fuzz_below(220), 1 + fuzz_below(12), 1 + fuzz_below(31));
}

static void
flag(void)
{
	fuzz_put(fuzz_percent(50) ? "true" : "\"false\"");
}

static void
subscribe(void)
{
	static const char *const states[] = {"opted_in", "subscribed", "unsubscribed", "other", "Unsubscribed", " Opted-In ",
		"opted in", "opted", ""};

	if (fuzz_percent(10))
		fuzz_put(fuzz_percent(50) ? "true" : "false");
	else
		fuzz_put_string(FUZZ_PICK(states));
}

static void
gender(void)
{
	static const char *const genders[] = {"f", "Male", "w", "other", "N", "prefer not to say", "x"};

	fuzz_put_string(FUZZ_PICK(genders));
}

static void
uuid(void)
{
	fuzz_put("\"%08x-58cc-4372-a567-0e02b2c3d479\"", fuzz_below(0xffffffff));
}

static void
url(void)
{
	fuzz_put("\"https://example.com/%u\"", fuzz_below(100));
}

static void
number(void)
{
	const char *sign = fuzz_percent(15) ? "-" : "";

	if (fuzz_percent(20))
		fuzz_put("\"%s%u.%02u\"", sign, fuzz_below(1000), fuzz_below(100));
	else
		fuzz_put("%s%u.%02u", sign, fuzz_below(1000), fuzz_below(100));
}

static void
quantity(void)
{
	static const char *const quantities[] = {"1", "2", "2.0", "0", "-1", "100", "101", "250", "7500", "7501",
		"1.5", "0.001", "\"3\"", "\"3.5\"", "1e400", "-7600", "99999999999"};

	fuzz_put("%s", FUZZ_PICK(quantities));
}

static void
currency(void)
{
	static const char *const currencies[] = {"USD", "eur", "GBP", "JPY", "XXX", "btc", "BYN", "ves", "ZWG", "CHW", "", " "};

	fuzz_put_string(FUZZ_PICK(currencies));
}

static void
location(void)
{
	begin();
	member("latitude", 90, number);
	member("longitude", 90, number);
	member("country", 50, text);
	if (fuzz_percent(20))
		any_members(1);
	end();
}

static void
address(void)
{
	begin();
	member("city", 80, text);
	member("country", 80, text);
	member("street", 50, text);
	if (fuzz_percent(20))
		any_members(2);
	end();
}

/* a list of objects that the writer makes, now and then with something else in it */
static void
list_of(Writer writer, unsigned most)
{
	unsigned	count = 1 + fuzz_below(most);

	fuzz_put("[");
	for (unsigned i = 0; i < count; i++)
	{
		if (i > 0)
			fuzz_put(",");
		if (fuzz_percent(WRONG_VALUE))
			fuzz_put_value(2);
		else
			writer();
	}
	fuzz_put("]");
}

static void
group(void)
{
	static const char *const states[] = {"subscription_state", "subscription_group_state", "subscription_state_id", "subscriptionState"};

	begin();
	member("subscription_group_id", 95, uuid);
	member(FUZZ_PICK(states), 90, subscribe);
	member("use_double_opt_in_logic", 20, flag);
	end();
}

static void
groups(void)
{
	list_of(group, 3);
}

static void
token(void)
{
	begin();
	member("app_id", 90, id);
	member("token", 90, uuid);
	member("device_id", 50, uuid);
	end();
}

static void
tokens(void)
{
	list_of(token, 3);
}

static void
account(void)
{
	static const char *const members[] = {"id", "likes", "num_friends", "user_id", "screen_name",
		"followers_count", "friends_count", "statuses_count"};

	begin();
	for (int i = 0; i < 5; i++)
		member(FUZZ_PICK(members), 60, any_value);
	end();
}

/* Braze's operators, and what only looks like them */
static void
operation(void)
{
	static const char *const operators[] = {"inc", "add", "remove", "$add", "$remove", "$update", "a.b", "a b", "$x", "$y"};

	begin();
	for (unsigned i = fuzz_below(5); i > 0; i--)
	{
		key(FUZZ_PICK(operators));
		if (fuzz_percent(40))
			list_of(address, 2);
		else
			fuzz_put_value(2);
		first = false;
	}
	end();
}

static void
since(void)
{
	begin();
	member("$time", 95, moment);
	end();
}

/* ----- calls ----- */

static const struct
{
	const char *name;
	Writer		writer;
}			traits[] = {
	{"firstName", text}, {"first_name", text}, {"lastName", text}, {"last_name", text},
	{"email", email}, {"phone", phone}, {"birthday", date}, {"dob", date}, {"gender", gender},
	{"avatar", url}, {"image_url", url}, {"home_city", text}, {"country", text}, {"language", text},
	{"time_zone", text}, {"address", address}, {"current_location", location},
	{"email_subscribe", subscribe}, {"push_subscribe", subscribe},
	{"email_open_tracking_disabled", flag}, {"email_click_tracking_disabled", flag},
	{"date_of_first_session", moment}, {"date_of_last_session", moment}, {"marked_email_as_spam_at", moment},
	{"subscription_groups", groups}, {"braze_subscription_groups", groups}, {"push_tokens", tokens},
	{"facebook", account}, {"twitter", account}, {"_merge_objects", flag}, {"id", id},
	{"external_id", id}, {"braze_id", id}, {"user_alias", any_value}, {"push_token_import", flag},
	{"_update_existing_only", flag}, {"app_id", id}, {"name", text}, {"plan", any_value}, {" plan ", any_value},
	{"events", any_value}, {"purchases", any_value}, {"time", moment}, {"groupId", id}, {"subscriptionState", subscribe},
	{"subscription_state", subscribe}, {"userId", id}, {"anonymousId", id}, {"visits", operation}, {"pets", operation},
	{"since", since},
};

static void
traits_object(void)
{
	unsigned	count = fuzz_below(100) == 0 ? 400 : fuzz_below(12);

	begin();
	for (unsigned i = 0; i < count; i++)
	{
		unsigned	n = fuzz_below(sizeof(traits) / sizeof(traits[0]));

		member(traits[n].name, 100, traits[n].writer);
	}
	any_members(fuzz_below(4));
	end();
}

static void
product(void)
{
	static const char *const ids[] = {"product_id", "productId", "id", "sku", "name", "variant_id", "variant"};

	begin();
	for (int i = 0; i < 3; i++)
		shape(FUZZ_PICK(ids), 80, id);
	shape("price", 90, number);
	member("quantity", 70, quantity);
	member("currency", 30, currency);
	member("image_url", 30, url);
	member("url", 30, url);
	member("brand", 30, text);
	if (fuzz_percent(20))
		any_members(fuzz_below(3));
	end();
}

static void
products(void)
{
	if (fuzz_percent(5))
		product();
	else if (fuzz_percent(3))
		fuzz_put("\"[{\\\"sku\\\": 1}]\"");
	else
		list_of(product, fuzz_below(100) == 0 ? 300 : 4);
}

/* what a view of a product is about */
static void
view_type(void)
{
	if (fuzz_percent(30))
		text();
	else
		list_of(text, 3);
}

static void
discounts(void)
{
	list_of(address, 2);
}

static void
order_members(void)
{
	static const char *const totals[] = {"total", "revenue", "value", "total_value", "subtotal", "tax", "shipping",
		"discount", "subtotal_value", "total_discounts"};
	static const char *const ids[] = {"product_id", "productId", "sku", "variant_id"};
	static const char *const texts[] = {"product_name", "variant", "name", "source", "action", "cancel_reason", "reason"};

	shape("products", 80, products);
	for (int i = 0; i < 3; i++)
		member(FUZZ_PICK(totals), 70, number);
	shape("order_id", 70, id);
	shape("cart_id", 70, id);
	shape("checkout_id", 60, id);
	for (int i = 0; i < 2; i++)
		member(FUZZ_PICK(ids), 70, id);
	for (int i = 0; i < 2; i++)
		member(FUZZ_PICK(texts), 50, text);
	member("price", 40, number);
	member("quantity", 40, quantity);
	member("currency", 60, currency);
	member("discounts", 15, discounts);
	member("discount_items", 15, discounts);
	member("metadata", 15, any_value);
	member("type", 15, view_type);
	member("image_url", 15, url);
	member("product_url", 15, url);
}

static void
properties_object(void)
{
	static const char *const reserved[] = {"time", "event_name", "product_id", "quantity", "price", "currency",
		"revenue", "$x", "email", "phone", "title", "name", "category"};

	begin();
	if (fuzz_percent(60))
		order_members();
	for (unsigned i = fuzz_below(5); i > 0; i--)
		member(FUZZ_PICK(reserved), 80, any_value);
	any_members(fuzz_below(200) == 0 ? 300 : fuzz_below(4));
	end();
}

static void
event(void)
{
	static const char *const events[] = {
		"Order Completed", "order_completed", "Completed Order", "COMPLETEDORDER", "Product Viewed", "Viewed Product",
		"Product Added", "Added Product", "Product Removed", "Removed_Product", "Cart Updated", "Cart Viewed",
		"Checkout Started", "Order Refunded", "Order Cancelled", "Order Updated", "Products Viewed", "Payment Info Entered",
		"ecommerce.order_placed", "ecommerce.order_refunded", "ecommerce.order_cancelled", "ecommerce.cart_updated",
		"ecommerce.product_viewed", "ecommerce.checkout_started", "ecommerce.other", "Ecommerce.Order_Placed",
		"Order Completed ", " order  refunded", "Product\tAdded",
		"Song Played", "Signed Up", "with, comma", "\xf0\x9f\x98\x80", "Login"
	};

	fuzz_put_string(FUZZ_PICK(events));
}

static void
device(void)
{
	begin();
	member("token", 80, uuid);
	member("id", 60, uuid);
	member("type", 60, text);
	end();
}

static void
alias(void)
{
	begin();
	member("alias_name", 90, id);
	member("alias_label", 90, text);
	end();
}

static void
integration(void)
{
	if (fuzz_percent(30))
	{
		fuzz_put(fuzz_percent(70) ? "true" : "false");
		return;
	}
	begin();
	member("braze_id", 40, id);
	member("user_alias", 40, alias);
	member("app_id", 30, uuid);
	member("appId", 30, uuid);
	end();
}

static void
integrations(void)
{
	begin();
	if (fuzz_percent(10))
	{
		key("All");
		fuzz_put(fuzz_percent(70) ? "true" : "false");
		first = false;
	}
	member("Braze", 40, integration);
	member("BRAZE", 10, integration);
	member("Appboy", 20, integration);
	member("appboy", 10, integration);
	member("Braze Cloud Mode (Actions)", 20, integration);
	end();
}

static void
context(void)
{
	begin();
	member("device", 40, device);
	member("location", 40, location);
	member("locale", 40, text);
	member("timezone", 40, text);
	member("traits", 40, traits_object);
	member("integrations", 10, integrations);
	member("active", 20, flag);
	if (fuzz_percent(20))
		any_members(2);
	end();
}

static void
names(void)
{
	static const char *const some[] = {"Braze", "braze web mode", "Appboy", "Segment.io"};

	fuzz_put("[");
	for (unsigned i = 0; i < 2; i++)
	{
		if (i > 0)
			fuzz_put(",");
		fuzz_put_string(FUZZ_PICK(some));
	}
	fuzz_put("]");
}

static void
metadata(void)
{
	begin();
	member("bundled", 60, names);
	member("failedInitializations", 60, names);
	end();
}

static void
type(void)
{
	static const char *const types[] = {"identify", "identify", "identify", "track", "track", "track", "track", "page",
		"screen", "group", "alias", "delete", "delete_user", "Identify", "TRACK"};

	if (fuzz_percent(1))
		fuzz_put_any_string();
	else
		fuzz_put_string(FUZZ_PICK(types));
}

static void
call(void)
{
	if (fuzz_below(200) == 0)
	{
		fuzz_put_value(5);
		return;
	}
	begin();
	if (fuzz_percent(99))
	{
		key("type");
		type();
		first = false;
	}
	shape("userId", 90, id);
	member("user_id", 10, id);
	member("anonymousId", 50, id);
	member("anonymous_id", 10, id);
	shape("previousId", 50, id);
	shape("groupId", 60, fuzz_percent(50) ? uuid : id);
	shape("event", 95, event);
	member("name", 30, text);
	member("category", 20, text);
	shape("traits", 85, traits_object);
	shape("properties", 85, properties_object);
	member("context", 40, context);
	member("integrations", 15, integrations);
	member("_metadata", 5, metadata);
	member("messageId", 30, uuid);
	member("timestamp", 60, moment);
	member("originalTimestamp", 20, moment);
	member("original_timestamp", 5, moment);
	member("sentAt", 20, moment);
	member("receivedAt", 20, moment);
	if (fuzz_percent(10))
		any_members(2);
	end();
}

/* ----- destinations ----- */

static void
option(const char *name, const char *const *values, unsigned count, unsigned percent)
{
	if (fuzz_percent(percent))
		printf(", %s '%s'", name, values[fuzz_below(count)]);
}

#define OPTION(name, percent, ...) \
	do { \
		static const char *const values[] = {__VA_ARGS__}; \
		option(name, values, sizeof(values) / sizeof(values[0]), percent); \
	} while (0)

static void
server(unsigned number)
{
	printf("CREATE SERVER fuzz%u FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01'", number);
	OPTION("app_identifier", 60, "my-app", "\xf0\x9f\x98\x80");
	OPTION("update_existing_only", 25, "true");
	OPTION("track_all_pages", 40, "true");
	OPTION("track_named_pages", 40, "true");
	OPTION("identifiers", 60, "anonymous_id", "email", "phone", "user_id, anonymous_id", "phone, email, user_id",
		   "user_alias, braze_id, user_id", "anonymous_id, phone, email, user_alias, braze_id, user_id");
	OPTION("anonymous_alias_label", 20, "visitor", "a \"quoted\\\" label");
	OPTION("ignored_ids", 20, "", "u1, u2", "0, 1, true");
	OPTION("address_attribute", 40, "true");
	OPTION("profile_from_context", 50, "country", "language, time_zone", "country, current_location, language, time_zone");
	OPTION("events_only", 5, "Song Played, Order Completed");
	OPTION("events_except", 10, "Login, \"with, comma\"");
	OPTION("default_currency", 30, "EUR", "jpy");
	OPTION("purchase_properties", 30, "false");
	OPTION("log_purchase_when_revenue_present", 40, "true");
	OPTION("orders_as", 60, "purchases", "ecommerce", "both");
	OPTION("ecommerce_source", 30, "shop", "\xc3\xa9");
	OPTION("group_calls", 50, "attribute", "subscription");
	OPTION("alias_calls", 80, "merge", "identify");
	OPTION("delete_calls", 60, "delete");
	OPTION("push_tokens_from_context", 50, "true");
	OPTION("max_attribute_age", 10, "365 d");
	printf(");\n");
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "calls") == 0)
	{
		uint64_t	seed = strtoull(argv[2], NULL, 10);
		long		count = atol(argv[3]);
		unsigned	destinations = (unsigned) atoi(argv[4]);

		for (long i = 0; i < count; i++)
		{
			/* each call by itself, so that one can be made again */
			fuzz_seed(seed + (uint64_t) i);
			fuzz_reset();
			call();
			printf("fuzz%u\t%s\n", fuzz_below(destinations), fuzz_text());
		}
		return 0;
	}
	if (argc == 4 && strcmp(argv[1], "servers") == 0)
	{
		unsigned	destinations = (unsigned) atoi(argv[3]);

		fuzz_seed(strtoull(argv[2], NULL, 10));
		for (unsigned i = 0; i < destinations; i++)
			server(i);
		return 0;
	}
	fprintf(stderr, "usage: generate calls SEED COUNT DESTINATIONS | servers SEED DESTINATIONS\n");
	return 2;
}
