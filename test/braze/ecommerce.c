/*-------------------------------------------------------------------------
 *
 * ecommerce.c
 *	  The schema of Braze's recommended eCommerce events.
 *
 * It is strict: a required property that is missing, a wrong type or any
 * further property drops the event.
 *
 *-------------------------------------------------------------------------
 */
#include <string.h>

#include "formats.h"
#include "validate_int.h"

typedef enum Type
{
	STRING,
	AMOUNT,						/* a number, 0 or more */
	INTEGER,
	CURRENCY,
	ACTION,
	PRODUCTS,
	TYPES,						/* of a view */
	OBJECTS,
	METADATA
} Type;

/*
 * Which events have the property (bits by position in event_names), and in
 * which of them it is required.
 */
typedef struct Property
{
	const char *name;
	Type		type;
	unsigned	events;
	unsigned	required;
} Property;

#define VIEWED		(1u << 0)
#define CART		(1u << 1)
#define CHECKOUT	(1u << 2)
#define PLACED		(1u << 3)
#define CANCELLED	(1u << 4)
#define REFUNDED	(1u << 5)
#define PRODUCT		(1u << 6)	/* not an event: an element of products */

#define LISTS		(CART | CHECKOUT | PLACED | CANCELLED | REFUNDED)
#define ORDERS		(PLACED | CANCELLED | REFUNDED)
#define COSTS		(CART | CHECKOUT | PLACED | CANCELLED)

static const char *const event_names[] = {
	"ecommerce.product_viewed",
	"ecommerce.cart_updated",
	"ecommerce.checkout_started",
	"ecommerce.order_placed",
	"ecommerce.order_cancelled",
	"ecommerce.order_refunded",
};

static const Property properties_known[] = {
	{"product_id", STRING, VIEWED | PRODUCT, VIEWED | PRODUCT},
	{"product_name", STRING, VIEWED | PRODUCT, VIEWED | PRODUCT},
	{"variant_id", STRING, VIEWED | PRODUCT, VIEWED | PRODUCT},
	{"quantity", INTEGER, PRODUCT, PRODUCT},
	{"price", AMOUNT, VIEWED | PRODUCT, VIEWED | PRODUCT},
	{"image_url", STRING, VIEWED | PRODUCT, 0},
	{"product_url", STRING, VIEWED | PRODUCT, 0},
	{"type", TYPES, VIEWED, 0},
	{"currency", CURRENCY, VIEWED | LISTS, VIEWED | LISTS},
	{"source", STRING, VIEWED | LISTS, VIEWED | LISTS},
	{"products", PRODUCTS, LISTS, LISTS},
	{"cart_id", STRING, CART | CHECKOUT | PLACED, CART},
	{"checkout_id", STRING, CHECKOUT, CHECKOUT},
	{"order_id", STRING, ORDERS, ORDERS},
	{"cancel_reason", STRING, CANCELLED, CANCELLED},
	{"action", ACTION, CART, 0},
	{"total_value", AMOUNT, LISTS, CHECKOUT | ORDERS},
	{"subtotal_value", AMOUNT, COSTS, 0},
	{"tax", AMOUNT, COSTS, 0},
	{"shipping", AMOUNT, COSTS, 0},
	{"total_discounts", AMOUNT, ORDERS, 0},
	{"discounts", OBJECTS, ORDERS, 0},
	{"metadata", METADATA, VIEWED | LISTS | PRODUCT, 0},
};

#define NPROPERTIES	(sizeof(properties_known) / sizeof(properties_known[0]))

static bool check_against(unsigned set, const char *what, json_object *object, Why *why);

static bool
is_array_of(json_object *value, json_type type)
{
	if (!json_object_is_type(value, json_type_array))
		return false;
	for (size_t i = 0; i < json_object_array_length(value); i++)
	{
		if (!json_object_is_type(json_object_array_get_idx(value, i), type))
			return false;
	}
	return true;
}

static bool
check_products(json_object *value, Why *why)
{
	if (!json_object_is_type(value, json_type_array))
		return standin_refuse(why, "'products' must be an array");
	for (size_t i = 0; i < json_object_array_length(value); i++)
	{
		if (!check_against(PRODUCT, "a product", json_object_array_get_idx(value, i), why))
			return false;
	}
	return true;
}

static bool
is_number(json_object *value)
{
	return json_object_is_type(value, json_type_int) ||
		json_object_is_type(value, json_type_double);
}

static bool
is_action(json_object *value)
{
	const char *action = json_object_is_type(value, json_type_string) ?
		json_object_get_string(value) : "";

	return strcmp(action, "add") == 0 || strcmp(action, "remove") == 0 ||
		strcmp(action, "replace") == 0;
}

static bool
are_types(json_object *value)
{
	if (!is_array_of(value, json_type_string))
		return false;
	for (size_t i = 0; i < json_object_array_length(value); i++)
	{
		const char *type = json_object_get_string(json_object_array_get_idx(value, i));

		if (strcmp(type, "price_drop") != 0 && strcmp(type, "back_in_stock") != 0)
			return false;
	}
	return true;
}

static bool
check_type(const Property *property, json_object *value, Why *why)
{
	bool		good = false;

	switch (property->type)
	{
		case STRING:
			good = json_object_is_type(value, json_type_string);
			break;
		case AMOUNT:
			good = is_number(value) && json_object_get_double(value) >= 0;
			break;
		case INTEGER:
			good = json_object_is_type(value, json_type_int);
			break;
		case CURRENCY:
			good = json_object_is_type(value, json_type_string) &&
				standin_is_currency(json_object_get_string(value));
			break;
		case ACTION:
			good = is_action(value);
			break;
		case PRODUCTS:
			return check_products(value, why);
		case TYPES:
			good = are_types(value);
			break;
		case OBJECTS:
			good = is_array_of(value, json_type_object);
			break;
		case METADATA:
			good = json_object_is_type(value, json_type_object);
			break;
	}
	if (!good)
		return standin_refuse(why, "'%s' is not valid in this eCommerce event",
							  property->name);
	return true;
}

static const Property *
property_of(unsigned set, const char *name)
{
	for (size_t i = 0; i < NPROPERTIES; i++)
	{
		if ((properties_known[i].events & set) != 0 &&
			strcmp(properties_known[i].name, name) == 0)
			return &properties_known[i];
	}
	return NULL;
}

static bool
check_against(unsigned set, const char *what, json_object *object, Why *why)
{
	if (!json_object_is_type(object, json_type_object))
		return standin_refuse(why, "%s must be an object", what);
	{
		json_object_object_foreach(object, key, value)
		{
			const Property *property = property_of(set, key);

			if (property == NULL)
				return standin_refuse(why, "'%.100s' is not in the schema of %s",
									  key, what);
			if (!check_type(property, value, why))
				return false;
		}
	}
	for (size_t i = 0; i < NPROPERTIES; i++)
	{
		if ((properties_known[i].required & set) != 0 &&
			!json_object_object_get_ex(object, properties_known[i].name, NULL))
			return standin_refuse(why, "'%s' is missing in %s",
								  properties_known[i].name, what);
	}
	return true;
}

/* what a cart holds in all must be said, unless only a change is reported */
static bool
check_cart_total(json_object *properties, Why *why)
{
	json_object *action = json_object_object_get(properties, "action");

	if (json_object_object_get_ex(properties, "total_value", NULL))
		return true;
	if (action != NULL && strcmp(json_object_get_string(action), "replace") != 0)
		return true;
	return standin_refuse(why, "'total_value' is missing in ecommerce.cart_updated");
}

bool
standin_check_ecommerce(const char *name, json_object *properties, Why *why)
{
	for (size_t i = 0; i < sizeof(event_names) / sizeof(event_names[0]); i++)
	{
		if (strcmp(event_names[i], name) == 0)
			return check_against(1u << i, name, properties, why) &&
				((1u << i) != CART || check_cart_total(properties, why));
	}
	return true;
}
