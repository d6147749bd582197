/*-------------------------------------------------------------------------
 *
 * option_validator.c
 *	  Checking, loading and listing the options of destinations.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "base/closest_name.h"
#include "base/compat.h"
#include "base/name_list.h"
#include "destination/datacenter.h"
#include "destination/option_parse.h"
#include "destination/option_validator.h"
#include "destination/option_values.h"

BRAZE_SQL_FUNCTION(braze_validator);
BRAZE_SQL_FUNCTION(braze_options);

void
braze_option_validator_load(List *given, BrazeSettings *settings)
{
	/*
	 * In the order of the table, since some options write the same setting:
	 * custom_api_endpoint comes after datacenter, and so goes before it.  The
	 * default stays when a value is not understood.
	 */
	memset(settings, 0, sizeof(BrazeSettings));
	for (int i = 0; i < braze_option_count; i++)
	{
		const BrazeOption *option = &braze_option_table[i];
		const char *value = NULL;
		ListCell   *cell;

		if (option->offset == BRAZE_NOT_A_SETTING)
			continue;
		if (option->initial &&
			braze_option_parse(option, option->initial, settings) != NULL)
			elog(ERROR, "default of option \"%s\" is not valid", option->name);
		foreach(cell, given)
		{
			DefElem    *def = lfirst(cell);

			if (strcmp(def->defname, option->name) == 0)
				value = defGetString(def);
		}
		if (value && braze_option_parse(option, value, settings) != NULL &&
			option->type == BRAZE_OPTION_ENDPOINT)
		{
			/* whatever was meant, it was not the datacenter */
			settings->endpoint = NULL;
		}
	}
}

static const BrazeOption *
find_option(const char *name, Oid catalog)
{
	for (int i = 0; i < braze_option_count; i++)
	{
		if (braze_option_table[i].catalog == catalog && strcmp(braze_option_table[i].name, name) == 0)
			return &braze_option_table[i];
	}
	return NULL;
}

typedef struct OptionState
{
	int			i;
	Oid			catalog;
} OptionState;

static const char *
next_option(void *state)
{
	OptionState *options_left = state;

	while (options_left->i < braze_option_count)
	{
		const BrazeOption *option = &braze_option_table[options_left->i++];

		if (option->catalog == options_left->catalog)
			return option->name;
	}
	return NULL;
}

static const char *
catalog_name(Oid catalog)
{
	return catalog == ForeignServerRelationId ? "server" : "user mapping";
}

pg_noreturn static void
refuse_name(const char *name, Oid catalog)
{
	Oid			other = catalog == ForeignServerRelationId ?
	UserMappingRelationId : ForeignServerRelationId;
	OptionState state = {0, catalog};
	const char *closest = braze_closest_name(name, next_option, &state);
	const char *valid;
	char	   *hint;

	/* an option at the wrong place is spelled right, so that comes first */
	if (find_option(name, other))
		hint = psprintf("Option \"%s\" belongs to the %s.", name, catalog_name(other));
	else if (closest)
		hint = psprintf("Perhaps you meant the option \"%s\".", closest);
	else
	{
		StringInfoData names;

		state.i = 0;
		initStringInfo(&names);
		while ((valid = next_option(&state)) != NULL)
			braze_name_list_add(&names, valid);
		hint = psprintf("Valid options of a %s are %s.", catalog_name(catalog), names.data);
	}
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\" of a %s", name, catalog_name(catalog)),
			 errhint("%s", hint)));
}

/*
 * Checks the options of a server or a user mapping.  PostgreSQL passes all
 * options that the object will have, not only those that the command changes.
 */
Datum
braze_validator(PG_FUNCTION_ARGS)
{
	List	   *given = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	bool		has_endpoint = false;
	bool		has_key = false;
	ListCell   *cell;

	if (catalog == ForeignTableRelationId)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a destination has no foreign tables"),
				 errhint("Queue calls with braze_enqueue, braze_track and the other "
						 "functions, or with the trigger function braze_trigger.")));

	/* the wrapper itself, which PostgreSQL asks about as well */
	if (catalog != ForeignServerRelationId && catalog != UserMappingRelationId)
	{
		if (given != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", ((DefElem *) linitial(given))->defname),
					 errhint("Options belong to servers and user mappings.")));
		PG_RETURN_VOID();
	}

	foreach(cell, given)
	{
		DefElem    *def = lfirst(cell);
		const BrazeOption *option = find_option(def->defname, catalog);
		const char *value;
		const char *hint;

		if (option == NULL)
			refuse_name(def->defname, catalog);

		value = defGetString(def);
		hint = braze_option_parse(option, value, NULL);

		/* of a mapping, any value may be the key, at the wrong place say */
		if (hint)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
					 catalog == UserMappingRelationId ?
					 errmsg("invalid value of option \"%s\"", option->name) :
					 errmsg("invalid value of option \"%s\": \"%s\"", option->name, value),
					 errhint("%s", hint)));

		if (option->superuser && !superuser())
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to set option \"%s\"", option->name),
					 errdetail("Only a superuser can set it, or change another option "
							   "of a %s that has it.", catalog_name(catalog))));

		if (option->offset == BRAZE_SETTING(endpoint))
			has_endpoint = true;
		if (catalog == UserMappingRelationId)
		{
			if (has_key)
				ereport(ERROR,
						(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						 errmsg("options \"rest_api_key\" and \"rest_api_key_file\" exclude each other"),
						 errhint("Give only one of them.")));
			has_key = true;
		}
	}

	if (catalog == ForeignServerRelationId)
	{
		BrazeSettings settings;

		/*
		 * a change that is lost would leave what is remembered wrong for good
		 */
		braze_option_validator_load(given, &settings);
		if (settings.delivery == BRAZE_AT_MOST_ONCE && settings.changed_attributes_only)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("options \"delivery\" with at_most_once and \"changed_attributes_only\" exclude each other"),
					 errhint("Set changed_attributes_only to false: a change that may be lost must not be remembered as what Braze has.")));
	}

	/* in such a database nobody knows what a byte means; Braze takes UTF-8 */
	if (catalog == ForeignServerRelationId && GetDatabaseEncoding() == PG_SQL_ASCII)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a database with encoding SQL_ASCII cannot have destinations"),
				 errhint("Use a database with encoding UTF8.")));
	if (catalog == ForeignServerRelationId && !has_endpoint)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("the server has no datacenter"),
				 errhint("Add the option datacenter with the Braze instance of your "
						 "workspace, one of %s.", braze_datacenter_names())));
	PG_RETURN_VOID();
}

/* the table, for people and for the documentation */
Datum
braze_options(PG_FUNCTION_ARGS)
{
	FuncCallContext *context;
	const BrazeOption *option;
	Datum		values[8];
	bool		nulls[8] = {false};

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc	desc;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		context->tuple_desc = BlessTupleDesc(desc);
		MemoryContextSwitchTo(old);
	}
	context = SRF_PERCALL_SETUP();
	if (context->call_cntr >= braze_option_count)
		SRF_RETURN_DONE(context);

	option = &braze_option_table[context->call_cntr];
	values[0] = CStringGetTextDatum(option->name);
	values[1] = CStringGetTextDatum(catalog_name(option->catalog));
	values[2] = CStringGetTextDatum(braze_option_values_type(option));
	nulls[3] = option->initial == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(option->initial);
	nulls[4] = option->unit == NULL;
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(option->unit);
	values[5] = CStringGetTextDatum(braze_option_values(option));
	values[6] = BoolGetDatum(option->superuser);
	values[7] = CStringGetTextDatum(option->description);
	SRF_RETURN_NEXT(context, HeapTupleGetDatum(heap_form_tuple(context->tuple_desc,
															   values, nulls)));
}
