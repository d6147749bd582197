/*
 * The strict schema of Braze's recommended eCommerce events, as the stand-in's
 * validator knows it: every property of every event, missing, of each type,
 * and where it does not belong.
 *
 * link: ../braze/validate.c ../braze/attributes.c ../braze/ecommerce.c
 * link: ../../src/braze/email.c ../../src/braze/currency.c
 * link: ../braze/formats.c ../braze/buffer.c -ljson-c
 */
#include "judge.h"

#include <stdlib.h>

#define PRODUCT	"{'product_id':'p','product_name':'n','variant_id':'v','quantity':1,'price':2.5}"

typedef struct Type
{
	char		letter;
	const char *const *good;	/* the first is used in examples */
	const char *const *bad;
} Type;

#define NOT_SCALAR	"null", "true", "[]", "{}"

static const Type types[] = {
	{'S', LIST("'x'", "'42'"), LIST("1", "1.5", NOT_SCALAR)},
	{'F', LIST("2.5", "2", "0", "0.0"), LIST("-0.01", "-1", "'2.5'", "''", NOT_SCALAR)},
	{'I', LIST("1", "100"), LIST("1.5", "1.0", "'1'", NOT_SCALAR)},
	{'C', LIST("'USD'", "'EUR'"), LIST("'usd'", "'XXX'", "''", "840", NOT_SCALAR)},
	{'A', LIST("'add'", "'remove'", "'replace'"), LIST("'clear'", "'Add'", "''", "1", NOT_SCALAR)},
	{'L', LIST("['price_drop']", "['price_drop','back_in_stock']"), LIST("['x']", "['price_drop','x']", "'price_drop'", "['Price_Drop']", "'x'", "[1]", "['x',null]", "[['x']]", "null", "1", "{}")},
	{'D', LIST("[{'code':'x'}]", "[{'code':'x'},{'amount':1}]"),
		LIST("{'code':'x'}", "['x']", "[1]", "[null]", "'x'", "null", "1")},
	{'M', LIST("{}", "{'seq':1,'a':{'b':[1,'x']}}"), LIST("'x'", "1", "[]", "null", "true")},
	{'P', LIST("[" PRODUCT "]", "[" PRODUCT "," PRODUCT "]"),
		LIST(PRODUCT, "'p'", "['p']", "[1]", "[null]", "[{}]", "[" PRODUCT ",{}]", "null", "{}")},
};

typedef struct Schema
{
	const char *event;			/* NULL: a product in one */
	const char *properties;		/* name, type and * when it is required */
} Schema;

#define COSTS	" subtotal_value F tax F shipping F"
#define ANY		" products P* currency C* source S* metadata M"

static const Schema schemas[] = {
	{"ecommerce.product_viewed",
		"product_id S* product_name S* variant_id S* price F* currency C* source S* "
		"image_url S product_url S type L metadata M"},
	{"ecommerce.cart_updated", "cart_id S* action A total_value F*" COSTS ANY},
	{"ecommerce.checkout_started", "checkout_id S* total_value F* cart_id S" COSTS ANY},
	{"ecommerce.order_placed",
		"order_id S* total_value F* cart_id S total_discounts F discounts D" COSTS ANY},
	{"ecommerce.order_cancelled",
		"order_id S* total_value F* cancel_reason S* total_discounts F discounts D" COSTS ANY},
	{"ecommerce.order_refunded",
		"order_id S* total_value F* total_discounts F discounts D" ANY},
	{NULL,
		"product_id S* product_name S* variant_id S* quantity I* price F* image_url S "
		"product_url S metadata M"},
};

#define NSCHEMAS	(sizeof(schemas) / sizeof(schemas[0]))

/* every name that is in some schema, and some that are in none */
static const char *const names[] = {
	"product_id", "product_name", "variant_id", "quantity", "price", "image_url", "product_url",
	"type", "currency", "source", "products", "cart_id", "checkout_id", "order_id",
	"cancel_reason", "action", "total_value", "subtotal_value", "tax", "shipping",
	"total_discounts", "discounts", "metadata", "coupon", "color", "Currency", "value", NULL
};

static const Type *
type_of(char letter)
{
	const Type *type = types;

	while (type->letter != letter)
		type++;
	return type;
}

/* *at moves on to the next property; false after the last */
static bool
next_property(const char **at, char *name, const Type **type, bool *required)
{
	char		letter[3];
	int			length;

	if (sscanf(*at, " %31s %2s%n", name, letter, &length) < 2)
		return false;
	*at += length;
	*type = type_of(letter[0]);
	*required = letter[1] == '*';
	return true;
}

/*
 * The event with its required properties, of which `without` is left out, and
 * with `more` appended.  %s in the result of an event stays for the judge.
 */
static void
try(const Schema *schema, const char *without, const char *more, const char *about)
{
	Buffer		object = {0};
	Buffer		event = {0};
	const char *at = schema->properties;
	char		name[32];
	const Type *type;
	bool		required;

	standin_buffer_puts(&object, "{");
	while (next_property(&at, name, &type, &required))
	{
		if (required && (without == NULL || strcmp(name, without) != 0))
			standin_buffer_printf(&object, "%s'%s':%s", object.length > 1 ? "," : "", name,
								  type->good[0]);
	}
	if (more != NULL)
		standin_buffer_printf(&object, "%s%s", object.length > 1 ? "," : "", more);
	standin_buffer_puts(&object, "}");

	standin_buffer_printf(&event, "{'external_id':'u','time':'2026-01-02T03:04:05Z','name':'%s',"
						  "'properties':%%s}", schema->event ? schema->event :
						  "ecommerce.order_placed");
	if (schema->event == NULL)
	{
		Buffer		order = {0};

		standin_buffer_printf(&order, "{'order_id':'o','total_value':1,'currency':'USD',"
							  "'source':'web','products':[" PRODUCT ",%s]}", object.data);
		judge("events", event.data, order.data, about);
		standin_buffer_free(&order);
	}
	else
		judge("events", event.data, object.data, about);
	standin_buffer_free(&object);
	standin_buffer_free(&event);
}

static void
test_property(const Schema *schema, const char *name, const Type *type, bool required)
{
	char		more[512];

	if (required)
		try(schema, name, NULL, name);
	for (const char *const *value = type->good; *value != NULL; value++)
	{
		snprintf(more, sizeof(more), "'%s':%s", name, *value);
		try(schema, name, more, NULL);
	}
	for (const char *const *value = type->bad; *value != NULL; value++)
	{
		snprintf(more, sizeof(more), "'%s':%s", name, *value);
		try(schema, name, more, type->letter == 'P' ? "product" : name);
	}
}

static bool
has_property(const Schema *schema, const char *wanted)
{
	const char *at = schema->properties;
	char		name[32];
	const Type *type;
	bool		required;

	while (next_property(&at, name, &type, &required))
	{
		if (strcmp(name, wanted) == 0)
			return true;
	}
	return false;
}

static void
test_schema(const Schema *schema)
{
	const char *at = schema->properties;
	char		name[32];
	char		more[64];
	char		about[64];
	const Type *type;
	bool		required;

	try(schema, NULL, NULL, NULL);
	while (next_property(&at, name, &type, &required))
		test_property(schema, name, type, required);
	for (const char *const *other = names; *other != NULL; other++)
	{
		if (has_property(schema, *other))
			continue;
		snprintf(more, sizeof(more), "'%s':'x'", *other);
		snprintf(about, sizeof(about), "'%s' is not in the schema", *other);
		try(schema, NULL, more, about);
	}
}

static void
test_cart_total(void)
{
	const Schema *cart = &schemas[1];

	try(cart, "total_value", "'action':'add'", NULL);
	try(cart, "total_value", "'action':'remove'", NULL);
	try(cart, "total_value", "'action':'replace'", "total_value");
	try(cart, "total_value", NULL, "total_value");
}

int
main(void)
{
	static const char properties[] =
		"{'external_id':'u','time':'2026-01-02T03:04:05Z','name':'ecommerce.order_placed'%s}";

	for (size_t i = 0; i < NSCHEMAS; i++)
		test_schema(&schemas[i]);
	test_cart_total();
	refuses("events", "object", properties, LIST("", ",'properties':null", ",'properties':[]"));

	/* the name must be exact; others are events like any */
	accepts("events", "{'external_id':'u','time':'2026-01-02T03:04:05Z','name':%s,'properties':{'color':'x'}}",
			LIST("'ecommerce.order_placed '", "'Ecommerce.order_placed'", "'ecommerce.order_updated'",
				 "'order_placed'"));
	return done();
}
