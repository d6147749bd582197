/*
 * segment_braze_client.sql
 *
 * The functions of segment_braze that queue calls, in plain SQL and PL/pgSQL,
 * for servers on which the extension cannot be installed.  Calls are put into
 * the table braze_outbox, from which a delivery node with the extension
 * collects them: see doc/managed.md.
 *
 * Run it in the database of the application, with any client, as the role that
 * is to own the outbox.  It needs no superuser.  It is one statement, and makes
 * everything in the schema that comes first in search_path:
 *
 *   psql -c 'SET search_path = braze' -f segment_braze_client.sql
 *
 * Run it again to upgrade: calls and privileges stay.  This removes it, and the
 * triggers that call braze_trigger; it refuses to while there are calls, unless
 * its argument is true:
 *
 *   SELECT braze_drop_client();
 *
 * PostgreSQL 14 to 19.
 */
DO $client$
DECLARE
	version CONSTANT text := '0.1.0';
	schema CONSTANT text := current_schema();
	-- from what is new, whatever default privileges have given away is taken
	-- back
	old_functions oid[];
	old_relations oid[];
	object record;
BEGIN
	IF schema IS NULL THEN
		RAISE EXCEPTION 'no schema has been selected to create in'
			USING ERRCODE = 'undefined_schema',
				HINT = 'Set search_path to a schema that is there.';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'segment_braze') THEN
		RAISE EXCEPTION 'the extension segment_braze is installed in this database'
			USING ERRCODE = 'duplicate_object',
				HINT = 'It has the same functions: the client is for databases without it.';
	END IF;
	IF schema ~ '[''$\\]' THEN
		RAISE EXCEPTION 'the client cannot be made in schema "%"', schema
			USING ERRCODE = 'invalid_schema_name', HINT = 'Take a name without quotes, dollar signs and backslashes.';
	END IF;
	-- whoever may make an object there could come between the functions and
	-- theirs
	SELECT CASE WHEN r.oid = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS name,
		CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS grantee,
		a.grantee = n.nspowner AS is_owner
	INTO object
	FROM pg_catalog.pg_namespace n
		CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
		CROSS JOIN LATERAL (
			SELECT 0::oid, NULL::name WHERE a.grantee = 0
			UNION ALL
			SELECT o.oid, o.rolname FROM pg_catalog.pg_roles o
			-- of a group that the current role is in, the others
			WHERE a.grantee <> 0 AND pg_has_role(o.oid, a.grantee, 'MEMBER') AND NOT o.rolsuper
				AND NOT pg_has_role(o.oid, current_user, 'MEMBER')
				AND (o.rolcanlogin OR NOT pg_has_role(current_user, o.oid, 'MEMBER'))
		) r (oid, rolname)
	WHERE n.nspname = schema AND a.privilege_type = 'CREATE'
	ORDER BY r.oid
	LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION 'the client cannot be made in schema "%", in which % may create objects', schema, object.name
			USING ERRCODE = 'insufficient_privilege',
				DETAIL = 'Its functions run with the rights of their owner, who is to be alone in their schema.',
				HINT = CASE WHEN object.is_owner
					THEN 'Put a schema that you own first in search_path.'
					ELSE format('Run REVOKE CREATE ON SCHEMA %I FROM %s, or put a schema of its own first in search_path.',
						schema, object.grantee) END;
	END IF;
	old_functions := ARRAY(SELECT oid FROM pg_catalog.pg_proc
		WHERE pronamespace = quote_ident(schema)::regnamespace AND proname LIKE 'braze\_%');
	old_relations := ARRAY(SELECT oid FROM pg_catalog.pg_class
		WHERE relnamespace = quote_ident(schema)::regnamespace AND relname LIKE 'braze\_%');

	IF to_regclass(format('%I.braze_outbox', schema)) IS NULL THEN
		EXECUTE replace($table$
CREATE TABLE @extschema@.braze_outbox (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY
		CONSTRAINT braze_outbox_id_check CHECK (id > 0),
	destination text COLLATE "C" NOT NULL DEFAULT 'braze'
		CONSTRAINT braze_outbox_destination_check CHECK (pg_catalog.octet_length(destination) < 64),
	call jsonb NOT NULL,
	queued_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	objects int[],
	dead_letter bigint,
	call_kind text NOT NULL DEFAULT 'segment'
		CONSTRAINT braze_outbox_call_kind_check CHECK (call_kind IN ('segment', 'delete_user'))
);

COMMENT ON COLUMN @extschema@.braze_outbox.id IS
'order in which the calls of a user are sent';
COMMENT ON COLUMN @extschema@.braze_outbox.destination IS
'name of the server on the delivery node; the default is for calls that name none';
COMMENT ON COLUMN @extschema@.braze_outbox.call IS
'the Segment call';
COMMENT ON COLUMN @extschema@.braze_outbox.queued_at IS
'start of the transaction that queued the call';
COMMENT ON COLUMN @extschema@.braze_outbox.objects IS
'not used here';
COMMENT ON COLUMN @extschema@.braze_outbox.dead_letter IS
'not used here';
COMMENT ON COLUMN @extschema@.braze_outbox.call_kind IS
'segment: what the Segment call says; delete_user: the user is deleted, as braze_delete_user asked';
$table$, '@extschema@', quote_ident(schema));
	END IF;
	EXECUTE format('COMMENT ON TABLE %I.braze_outbox IS %L', schema,
		'calls that a delivery node collects; made by segment_braze_client.sql ' || version);

	-- @extschema@ as in the scripts of extensions
	EXECUTE replace($sql$

-- As in the extension, of whose view this is a copy.
CREATE OR REPLACE VIEW @extschema@.braze_collect_locks AS
SELECT a.pid || ' ' || EXTRACT(epoch FROM a.backend_start) AS session,
	NULL::text AS schema_name, NULL::text AS table_name, NULL::text AS holder,
	EXTRACT(epoch FROM pg_catalog.pg_postmaster_start_time()) || ' ' || a.datid AS database
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a
UNION ALL
SELECT NULL, n.nspname::text, c.relname::text, l.virtualtransaction, NULL
FROM pg_catalog.pg_locks l
	JOIN pg_catalog.pg_class c ON c.oid = l.relation
	JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.mode = 'RowExclusiveLock' AND l.granted
	AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())
	AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
UNION ALL
SELECT NULL, n.nspname::text, c.relname::text, NULL, NULL
FROM pg_catalog.pg_class c
	JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity AND pg_catalog.row_security_active(c.oid)
	AND NOT coalesce((
		SELECT pg_catalog.bool_or(q.polpermissive AND q.is_true) AND pg_catalog.bool_and(q.polpermissive OR q.is_true)
		FROM (
			SELECT p.polpermissive, pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true' AS is_true
			FROM pg_catalog.pg_policy p
			WHERE p.polrelid = c.oid AND p.polcmd IN ('*', 'r')
				AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) r WHERE r = 0 OR pg_catalog.pg_has_role(r, 'USAGE'))) q), false);

COMMENT ON VIEW @extschema@.braze_collect_locks IS
'for a server that collects calls from here: its own session, which transactions may still queue calls with lower ids, and where row-level security may hide some';

--
-- Helpers, which nobody else needs to call
--
-- They are called with the rights of the owner of the outbox, so a call must
-- mean one of these even if somebody has made another function of that name in
-- the schema.  None is polymorphic or has a default: a call gives all
-- arguments, of the very types.  A literal without a type stands for text
-- alone.
--

-- RAISE takes no option that is null
CREATE OR REPLACE FUNCTION @extschema@.braze_client_fail(code text, message text, detail text, hint text)
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF detail IS NOT NULL AND hint IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, DETAIL = detail, HINT = hint;
	ELSIF hint IS NOT NULL THEN
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message, HINT = hint;
	ELSE
		RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message;
	END IF;
END
$$;

-- Any role can set this, as it has no rights on anything.
CREATE OR REPLACE FUNCTION @extschema@.braze_client_keeps_invalid()
RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT coalesce(lower(current_setting('segment_braze.on_invalid_call', true)) = 'dead_letter', false)
$$;

-- the name that was meant: the nearest one, if a few letters are wrong
CREATE OR REPLACE FUNCTION @extschema@.braze_client_closest(given text, names text[])
RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	best int := least(4, length(given) / 2);
	closest text;
	name text;
	previous int[];
	distances int[];
BEGIN
	IF given = '' OR length(given) > 255 THEN
		RETURN NULL;
	END IF;
	FOREACH name IN ARRAY names LOOP
		-- Levenshtein's distance: a row of the matrix from the one before
		previous := ARRAY(SELECT generate_series(0, length(name)));
		FOR i IN 1 .. length(given) LOOP
			distances := ARRAY[i];
			FOR j IN 1 .. length(name) LOOP
				distances := distances || least(previous[j + 1] + 1, distances[j] + 1,
					previous[j] + CASE WHEN lower(substr(given, i, 1)) = lower(substr(name, j, 1)) THEN 0 ELSE 1 END);
			END LOOP;
			previous := distances;
		END LOOP;
		IF previous[length(name) + 1] <= best THEN
			closest := name;
			best := previous[length(name) + 1] - 1;
			EXIT WHEN best < 0;
		END IF;
	END LOOP;
	RETURN closest;
END
$$;

CREATE OR REPLACE FUNCTION @extschema@.braze_client_name_hint(given text, names text[], what text)
RETURNS text
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
SELECT coalesce('Perhaps you meant "' || @extschema@.braze_client_closest(given, names) || '".',
	format('Valid %s are %s.', what, array_to_string(names, ', ')))
$$;

-- the text of a numeric user id: zeros of a whole number are cut
CREATE OR REPLACE FUNCTION @extschema@.braze_client_numeric_id(number numeric)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF number IN ('NaN', 'Infinity', '-Infinity') THEN
		IF NOT @extschema@.braze_client_keeps_invalid() THEN
			PERFORM @extschema@.braze_client_fail('22023', format('user_id cannot be the numeric %s', number), NULL, NULL);
		END IF;
		RETURN jsonb_build_array(number::text);
	END IF;
	RETURN to_jsonb(CASE WHEN number = trunc(number) THEN trunc(number) ELSE number END::text);
END
$$;

-- domains are looked through
CREATE OR REPLACE FUNCTION @extschema@.braze_client_base_type(type oid)
RETURNS oid
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	base oid := type;
	below oid;
BEGIN
	LOOP
		SELECT t.typbasetype INTO below FROM pg_type t WHERE t.oid = base;
		EXIT WHEN below = 0;
		base := below;
	END LOOP;
	RETURN base;
END
$$;

-- A user id of any type, from the name of its type and its text: nothing but
-- the output functions of types is called, and not the casts that the owner of
-- a type may have made.
CREATE OR REPLACE FUNCTION @extschema@.braze_client_user_id(type oid, value text)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	base oid := type;
	kind "char";
	category "char";
	document jsonb;
BEGIN
	-- text, int4, int8, uuid
	IF base IN (25, 23, 20, 2950) THEN
		RETURN to_jsonb(value);
	END IF;
	base := @extschema@.braze_client_base_type(base);
	SELECT t.typtype, t.typcategory INTO kind, category FROM pg_type t WHERE t.oid = base;
	IF NOT (category = 'S' OR kind = 'e' OR
		base IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype, 'uuid'::regtype, 'jsonb'::regtype, '"char"'::regtype))
	THEN
		PERFORM @extschema@.braze_client_fail('42804', format('user_id cannot be of type %s', type::regtype), NULL,
			CASE
				WHEN base = 'json'::regtype THEN
					'Use ->> in place of ->, or cast the value to jsonb: the text of a json string has quotes around it.'
				WHEN base IN ('float4'::regtype, 'float8'::regtype) THEN
					'Cast it to bigint or numeric: the text of a large floating-point number is not its digits.'
				ELSE
					'Pass a string, an integer, a numeric, a uuid, an enum, or a jsonb string or number; '
					'or cast the value to text, if its text is the user''s id at Braze.'
			END);
	END IF;
	IF value IS NULL THEN
		RETURN NULL;
	END IF;
	IF base = 'bpchar'::regtype THEN
		RETURN to_jsonb(rtrim(value, ' '));
	ELSIF base = 'numeric'::regtype THEN
		RETURN @extschema@.braze_client_numeric_id(value::numeric);
	ELSIF base <> 'jsonb'::regtype THEN
		RETURN to_jsonb(value);
	END IF;

	document := value::jsonb;
	CASE jsonb_typeof(document)
		WHEN 'null' THEN
			RETURN NULL;
		WHEN 'string' THEN
			RETURN document;
		WHEN 'number' THEN
			RETURN @extschema@.braze_client_numeric_id((document #>> '{}')::numeric);
		ELSE
			IF NOT @extschema@.braze_client_keeps_invalid() THEN
				PERFORM @extschema@.braze_client_fail('22023', format('user_id cannot be a jsonb %s', jsonb_typeof(document)),
					NULL, 'Pass a jsonb string or number; -> and ->> take one out of an object.');
			END IF;
			RETURN document;
	END CASE;
END
$$;

-- in UTC, whatever the session's TimeZone
CREATE OR REPLACE FUNCTION @extschema@.braze_client_time(moment timestamptz)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	text text := to_jsonb(moment AT TIME ZONE 'UTC') #>> '{}';
BEGIN
	IF right(text, 3) = ' BC' THEN
		RETURN to_jsonb(left(text, -3) || '+00:00 BC');
	END IF;
	RETURN to_jsonb(CASE WHEN isfinite(moment) THEN text || '+00:00' ELSE text END);
END
$$;

-- Why the call would be rejected whatever the options of the destination say;
-- null: it may be sent.  The delivery node judges it again, with its options.
CREATE OR REPLACE FUNCTION @extschema@.braze_client_judge(call jsonb)
RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	blank CONSTANT text := E' \t\n\v\f\r';
	types CONSTANT text := 'it must be track, identify, page, screen, group, alias or delete.';
	type text := lower(call ->> 'type');
	user_id text := btrim(coalesce(call ->> 'userId', call ->> 'user_id'), blank);
	event text := btrim(call ->> 'event', blank);
	value jsonb;
	reason text;
BEGIN
	-- almost every call
	IF user_id <> '' AND octet_length(user_id) < 900 AND left(user_id, 1) NOT IN ('{', '[')
		AND (type IN ('identify', 'page', 'screen', 'alias', 'delete')
			OR type = 'track' AND event <> '' AND octet_length(event) < 200 AND left(event, 1) NOT IN ('{', '[', '$'))
		AND user_id NOT IN ('true', 'false') AND coalesce(event NOT IN ('true', 'false'), true)
	THEN
		RETURN NULL;
	END IF;

	IF jsonb_typeof(call) <> 'object' THEN
		RETURN 'The call is not a JSON object; a call has at least a type and a userId.';
	ELSIF jsonb_typeof(call -> 'type') IS DISTINCT FROM 'string' THEN
		RETURN 'The call has no type; ' || types;
	ELSIF type NOT IN ('track', 'identify', 'page', 'screen', 'group', 'alias', 'delete') THEN
		RETURN format('The call''s type "%s" is unknown; %s',
			regexp_replace(left(call ->> 'type', 60), '[\x01-\x1f\x7f]', ' ', 'g') ||
			CASE WHEN length(call ->> 'type') > 60 THEN '...' ELSE '' END, types);
	END IF;

	IF type = 'track' THEN
		value := call -> 'event';
		reason := CASE
			WHEN coalesce(value, 'null') = 'null' THEN 'The track call has no event; give it the name of one.'
			WHEN jsonb_typeof(value) NOT IN ('string', 'number') THEN 'The track call''s event is neither a string nor a number.'
			WHEN length(value #>> '{}') > 255 THEN
				'The track call''s event has a name of more than 255 characters, which Braze refuses; shorten it.'
			WHEN btrim(value #>> '{}', blank) = '' THEN 'The track call''s event is empty; give it a name.'
			WHEN left(value #>> '{}', 1) = '$' THEN 'The track call''s event begins with "$", which Braze refuses; rename it.'
		END;
	ELSIF type = 'group' THEN
		value := coalesce(nullif(call -> 'groupId', 'null'), nullif(call -> 'group_id', 'null'), call -> 'traits' -> 'groupId');
		reason := CASE
			WHEN coalesce(value, 'null') = 'null' THEN 'The group call has no groupId.'
			WHEN jsonb_typeof(value) NOT IN ('string', 'number') THEN 'The group call''s groupId is neither a string nor a number.'
			WHEN btrim(value #>> '{}', blank) = '' THEN 'The group call''s groupId is empty.'
		END;
	END IF;

	-- a user whom some setting of the option identifiers finds
	IF reason IS NULL
		AND coalesce(nullif(call -> 'anonymousId', 'null'), nullif(call -> 'anonymous_id', 'null')) IS NULL
		AND NOT jsonb_path_exists(call, '$.integrations.*.**{1}') AND NOT jsonb_path_exists(call, '$.context.integrations.*.**{1}')
		AND coalesce(nullif(call -> 'traits' -> 'email', 'null'), nullif(call -> 'traits' -> 'phone', 'null')) IS NULL
		AND coalesce(nullif(call -> 'context' -> 'traits' -> 'email', 'null'), nullif(call -> 'context' -> 'traits' -> 'phone', 'null')) IS NULL
	THEN
		value := coalesce(nullif(call -> 'userId', 'null'), nullif(call -> 'user_id', 'null'));
		reason := 'The call has no usable identifier; give it a userId.' || CASE
			WHEN value IS NULL THEN
				CASE WHEN coalesce(nullif(call -> 'traits' -> 'userId', 'null'), nullif(call -> 'traits' -> 'user_id', 'null')) IS NOT NULL
					THEN ' The userId of the traits was not used: it belongs beside them, as the call''s userId.' ELSE '' END
			WHEN jsonb_typeof(value) NOT IN ('string', 'number') THEN ' The userId was not used: it is neither a string nor a number.'
			WHEN octet_length(value #>> '{}') > 987 THEN ' The userId was not used: it is longer than the 987 bytes that Braze takes.'
			WHEN btrim(value #>> '{}', blank) = '' THEN ' The userId was not used: it is empty.'
		END;
	END IF;

	-- these may be skipped, for reasons that come before all others
	IF type = 'alias' OR jsonb_path_exists(call, '$.integrations.* ? (@ == false)')
		OR jsonb_path_exists(call, '$.context.integrations.* ? (@ == false)') OR call -> '_metadata' ? 'bundled'
	THEN
		RETURN NULL;
	END IF;
	RETURN reason;
END
$$;

-- Adds what must be the same each time the call is sent.
CREATE OR REPLACE FUNCTION @extschema@.braze_client_complete(call jsonb)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF jsonb_typeof(call) <> 'object' THEN
		RETURN call;
	END IF;
	IF coalesce(call ->> 'timestamp', call ->> 'originalTimestamp', call ->> 'original_timestamp',
		call ->> 'receivedAt', call ->> 'received_at', call ->> 'sentAt', call ->> 'sent_at') IS NULL
	THEN
		call := call || jsonb_build_object('timestamp', @extschema@.braze_client_time(clock_timestamp()));
	END IF;
	IF coalesce(call ->> 'messageId', call ->> 'message_id') IS NULL THEN
		call := call || jsonb_build_object('messageId', gen_random_uuid());
	END IF;
	RETURN call;
END
$$;

-- Judges the call and queues it.  A call that would be rejected is queued as
-- well where invalid calls are kept: the delivery node makes a dead letter of
-- it.  One that is too large, or cannot be jsonb (reason says so), goes there
-- as what no node takes for a call: a list of the reason and the beginning of
-- its text.
CREATE OR REPLACE FUNCTION @extschema@.braze_client_put(call jsonb, kind text, destination text, reason text)
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	max_call_size CONSTANT int := 1024 * 1024;
	problem text := reason;
	new_id bigint;
BEGIN
	IF problem IS NULL AND pg_column_size(call) > max_call_size THEN
		problem := format('The call has %s bytes, and segment_braze.max_call_size is %s kB.',
			pg_column_size(call), max_call_size / 1024);
		IF NOT @extschema@.braze_client_keeps_invalid() THEN
			PERFORM @extschema@.braze_client_fail('54000', 'call is too large', problem, 'Leave out what Braze does not need.');
		END IF;
		call := jsonb_build_array(problem, left(call::text, 100000));
	ELSIF problem IS NULL THEN
		problem := @extschema@.braze_client_judge(call);
		IF problem IS NOT NULL AND NOT @extschema@.braze_client_keeps_invalid() THEN
			PERFORM @extschema@.braze_client_fail('22023', 'call would be rejected', problem,
				'braze_map shows on the delivery node what becomes of a call.  With '
				'segment_braze.on_invalid_call = dead_letter such a call is kept in its braze_dead_letters instead.');
		END IF;
	END IF;
	IF coalesce(destination, '') = '' THEN
		INSERT INTO @extschema@.braze_outbox (call, call_kind) VALUES (call, kind) RETURNING id INTO new_id;
	ELSE
		INSERT INTO @extschema@.braze_outbox (destination, call, call_kind) VALUES (destination, call, kind) RETURNING id INTO new_id;
	END IF;
	RETURN CASE WHEN problem IS NULL THEN new_id END;
END
$$;

-- what all functions but braze_enqueue do with their arguments; null is absent
CREATE OR REPLACE FUNCTION @extschema@.braze_client_call(
	type text, kind text, destination name, user_id jsonb, anonymous_id text, moment timestamptz,
	context jsonb, integrations jsonb, message_id text, names text[], "values" jsonb[])
RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	call jsonb;
BEGIN
	SELECT jsonb_object_agg(m.name, m.value) INTO call
	FROM (VALUES
		('type', to_jsonb(type)),
		('userId', user_id),
		('anonymousId', to_jsonb(anonymous_id)),
		('timestamp', @extschema@.braze_client_time(coalesce(moment, clock_timestamp()))),
		('context', context),
		('integrations', integrations),
		('messageId', to_jsonb(coalesce(message_id, gen_random_uuid()::text)))
		UNION ALL
		SELECT * FROM unnest(names, "values")
	) m (name, value)
	WHERE m.value IS NOT NULL;
	RETURN @extschema@.braze_client_put(call, kind,
		coalesce(destination::text, current_setting('segment_braze.destination', true)), NULL);
END
$$;

-- SQL that makes jsonb of a value, an SQL expression, as to_jsonb does; but
-- to_jsonb runs the cast to json that a type's owner may have made, with the
-- rights of the owner of the outbox.  So it is called for built-in types and
-- for those of superusers alone.  Of all others there is the text, from the
-- output function.
--
-- The catalogs are read with the snapshot of the transaction, which may be
-- older than the table, and casts come and go.  So pg_typeof says in the same
-- statement which type the value has: what a type is made of never changes but
-- for composite types, and these are taken apart.  Their fields are named
-- without what they are fields of: (value).to_jsonb would be a call if there
-- were no such field.
CREATE OR REPLACE FUNCTION @extschema@.braze_client_expression(value text, type oid)
RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	leaf oid := @extschema@.braze_client_base_type(type);
	element oid;
	element_below oid;
	depth int := 0;
	relid oid;
	is_trusted boolean;
	result text;
BEGIN
	LOOP
		SELECT t.typelem, t.typrelid, t.oid < 16384 OR t.typrelid = 0 AND r.rolsuper
		INTO element_below, relid, is_trusted
		FROM pg_type t LEFT JOIN pg_roles r ON r.oid = t.typowner
		WHERE t.oid = leaf;
		EXIT WHEN leaf < 16384 OR element_below = 0;
		element := coalesce(element, element_below);
		leaf := @extschema@.braze_client_base_type(element_below);
		depth := depth + 1;
	END LOOP;
	IF is_trusted THEN
		RETURN format('CASE WHEN pg_typeof(%1$s)::oid = %2$s THEN to_jsonb(%1$s) WHEN num_nulls(%1$s) = 0 THEN to_jsonb(concat(%1$s)) END',
			value, type);
	ELSIF depth = 0 AND relid <> 0 THEN
		SELECT string_agg(format('(%L, %s)', a.attname, @extschema@.braze_client_expression(quote_ident(a.attname), a.atttypid)), ', ')
		INTO result
		FROM pg_attribute a
		WHERE a.attrelid = relid AND a.attnum > 0 AND NOT a.attisdropped;
		result := coalesce(format('(SELECT jsonb_object_agg(f.name, f.value) FROM (SELECT (%s).*) r, LATERAL (VALUES ', value) ||
			result || ') f (name, value))', 'jsonb ''{}''');
	ELSIF depth = 1 AND relid <> 0 THEN
		-- of more than one dimension it is the text
		result := format('CASE WHEN array_ndims(%1$s) > 1 THEN to_jsonb(concat(%1$s)) ELSE '
			'coalesce((SELECT jsonb_agg(%2$s) FROM (SELECT unnest(%1$s) AS element) r), ''[]'') END',
			value, @extschema@.braze_client_expression('element', element));
	ELSIF depth = 1 THEN
		result := format('to_jsonb(concat(%s)::text[])', value);
	ELSE
		result := format('to_jsonb(concat(%s))', value);
	END IF;
	RETURN format('CASE WHEN num_nulls(%s) = 0 THEN %s END', value, result);
END
$$;

-- the column of that name; argument says where it was given
CREATE OR REPLACE FUNCTION @extschema@.braze_client_column(name text, argument text, columns text[])
RETURNS text
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF name = ANY (columns) THEN
		RETURN name;
	END IF;
	PERFORM @extschema@.braze_client_fail('42703',
		format('column "%s" in argument "%s" of braze_trigger does not exist', name, argument),
		NULL, @extschema@.braze_client_name_hint(name, columns, 'columns'));
END
$$;

-- the columns of a list "a, b, c"
CREATE OR REPLACE FUNCTION @extschema@.braze_client_columns(list text, argument text, columns text[])
RETURNS text[]
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	result text[] := '{}';
	name text;
BEGIN
	IF btrim(list, ' ') = '' THEN
		RETURN result;
	END IF;
	FOREACH name IN ARRAY string_to_array(list, ',') LOOP
		name := @extschema@.braze_client_column(btrim(name, ' '), argument, columns);
		IF name = ANY (result) THEN
			PERFORM @extschema@.braze_client_fail('22023',
				format('column "%s" is in argument "%s" of braze_trigger twice', name, argument), NULL, NULL);
		END IF;
		result := result || name;
	END LOOP;
	RETURN result;
END
$$;

-- What the arguments of a trigger say: the type, what is at the top of the call
-- (literals, and the column of each field), the object and the name in it of
-- each column, what only_changed compares, and how a row becomes jsonb: by_row,
-- as a whole; else by the query.
CREATE OR REPLACE FUNCTION @extschema@.braze_client_plan(relid oid, arguments text[], before boolean)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- side by side: the arguments, what each is, the types it is for, its key
	-- in the call
	names CONSTANT text[] := '{type,event,event_column,user_id,anonymous_id,message_id,at,name,name_column,category,category_column,group_id,previous_id,properties,traits,except,names,context,integrations,only_changed,destination}';
	kinds CONSTANT text[] := '{"",literal,column,column,column,column,column,literal,column,literal,column,column,column,object,object,"","",json,json,"",""}';
	types CONSTANT text[] := '{"","track","track","","","","","page screen","page screen","page screen","page screen","group","alias","track page screen","identify group","identify track page screen group","identify track page screen group","","","",""}';
	keys CONSTANT text[] := '{"",event,event,userId,anonymousId,messageId,timestamp,name,name,category,category,groupId,previousId,properties,traits,"","",context,integrations,"",""}';
	call_types CONSTANT text[] := '{identify,track,page,screen,group,alias,delete}';
	given jsonb;
	given_numbers int[];
	seen text[] := '{}';
	i int;
	type text;
	object text;
	columns text[];
	json_columns text[];
	generated text[];
	by_row boolean;
	query text;
	taken text[] := '{}';
	compared text[] := '{}';
	listed text[];
	literals jsonb := '{}';
	fields jsonb := '{}';
	members jsonb := '{}';
	new_names jsonb;
	only_changed boolean := false;
	whole text;
	key text;
	value text;
	needed text;
	alternative text;
BEGIN
	IF cardinality(arguments) % 2 <> 0 THEN
		PERFORM @extschema@.braze_client_fail('22023',
			format('braze_trigger requires name/value pairs, but has %s arguments', cardinality(arguments)), NULL,
			'Each argument is followed by its value: braze_trigger(''type'', ''track'', ''event'', ''Order Placed'', ''user_id'', ''customer_id'').');
	END IF;
	given := jsonb_object(arguments);
	given_numbers := ARRAY(SELECT array_position(names, k) AS n FROM jsonb_object_keys(given) k ORDER BY n);
	IF cardinality(given_numbers) < cardinality(arguments) / 2 OR array_position(given_numbers, NULL) IS NOT NULL THEN
		FOR i IN 0 .. cardinality(arguments) / 2 - 1 LOOP
			-- TG_ARGV begins with 0
			key := arguments[array_lower(arguments, 1) + 2 * i];
			IF key <> ALL (names) THEN
				PERFORM @extschema@.braze_client_fail('22023', format('braze_trigger has no argument "%s"', key), NULL,
					@extschema@.braze_client_name_hint(key, names, 'arguments'));
			ELSIF key = ANY (seen) THEN
				PERFORM @extschema@.braze_client_fail('22023', format('argument "%s" of braze_trigger is given twice', key), NULL, NULL);
			END IF;
			seen := seen || key;
		END LOOP;
	END IF;

	-- an event is what track calls have
	type := coalesce(given ->> 'type', CASE WHEN given ?| '{event,event_column}' THEN 'track' END);
	IF type IS NULL THEN
		PERFORM @extschema@.braze_client_fail('22023', 'braze_trigger needs the argument "type"', NULL,
			format('Valid types are %s.', array_to_string(call_types, ', ')));
	ELSIF lower(type) <> ALL (call_types) THEN
		PERFORM @extschema@.braze_client_fail('22023', format('braze_trigger does not know the type "%s"', type), NULL,
			@extschema@.braze_client_name_hint(type, call_types, 'types'));
	END IF;
	type := lower(type);
	FOREACH i IN ARRAY given_numbers LOOP
		IF types[i] <> '' AND type <> ALL (string_to_array(types[i], ' ')) THEN
			PERFORM @extschema@.braze_client_fail('22023',
				format('argument "%s" of braze_trigger is not for calls of type "%s"', names[i], type), NULL,
				CASE names[i] WHEN 'properties' THEN 'Calls of this type have traits.'
					WHEN 'traits' THEN 'Calls of this type have properties.' END);
		END IF;
	END LOOP;
	needed := CASE type WHEN 'track' THEN 'event' WHEN 'group' THEN 'group_id' WHEN 'alias' THEN 'previous_id' END;
	alternative := CASE type WHEN 'track' THEN 'event_column' END;
	IF needed IS NOT NULL AND NOT given ?| ARRAY[needed, alternative] THEN
		PERFORM @extschema@.braze_client_fail('22023',
			format('braze_trigger needs the argument "%s" for calls of type "%s"', needed, type), NULL,
			CASE WHEN alternative IS NULL THEN format('Give "%s" the name of a column.', needed)
				ELSE format('Give "%s" a text, or "%s" the name of a column.', needed, alternative) END);
	END IF;

	SELECT coalesce(array_agg(a.attname ORDER BY a.attnum), '{}'),
		coalesce(array_agg(a.attname) FILTER (WHERE
			CASE WHEN a.atttypid < 16384 THEN a.atttypid ELSE @extschema@.braze_client_base_type(a.atttypid) END
			IN ('json'::regtype, 'jsonb'::regtype)), '{}'),
		coalesce(array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attgenerated <> ''), '{}'),
		-- of a transaction's old snapshot nobody knows what the columns are by
		-- now
		current_setting('transaction_isolation') IN ('read committed', 'read uncommitted')
			AND bool_and(a.atttypid < 16384 OR @extschema@.braze_client_base_type(a.atttypid) < 16384)
			AND NOT (before AND bool_or(a.attgenerated <> ''))
	INTO columns, json_columns, generated, by_row
	FROM pg_attribute a
	WHERE a.attrelid = relid AND a.attnum > 0 AND NOT a.attisdropped;

	-- what goes to the top of the call
	FOREACH i IN ARRAY given_numbers LOOP
		value := given ->> names[i];
		IF fields ? keys[i] OR literals ? keys[i] THEN
			-- side by side in the list
			PERFORM @extschema@.braze_client_fail('22023',
				format('arguments "%s" and "%s" of braze_trigger exclude each other', names[i - 1], names[i]), NULL, NULL);
		END IF;
		IF kinds[i] = 'literal' THEN
			literals := literals || jsonb_build_object(keys[i], value);
		ELSIF kinds[i] IN ('column', 'json') THEN
			value := @extschema@.braze_client_column(value, names[i], columns);
			IF kinds[i] = 'json' AND value <> ALL (json_columns) THEN
				PERFORM @extschema@.braze_client_fail('42804',
					format('column "%s" in argument "%s" of braze_trigger is not of type json or jsonb', value, names[i]), NULL, NULL);
			END IF;
			fields := fields || jsonb_build_object(keys[i], value);
			taken := taken || value;
			-- these differ with each UPDATE, and do not say that anything has
			-- changed
			IF names[i] NOT IN ('message_id', 'at') THEN
				compared := compared || value;
			END IF;
		ELSIF names[i] = 'only_changed' THEN
			BEGIN
				only_changed := value::boolean;
			EXCEPTION WHEN invalid_text_representation THEN
				PERFORM @extschema@.braze_client_fail('22023',
					format('invalid value of argument "only_changed" of braze_trigger: "%s"', value), NULL,
					'Valid values are true and false.');
			END;
		END IF;
	END LOOP;

	-- the object: the columns of a list, one json column, or all that have no
	-- other place
	object := CASE WHEN type IN ('identify', 'group') THEN 'traits' WHEN type IN ('track', 'page', 'screen') THEN 'properties' END;
	IF given ? object THEN
		IF given ? 'except' THEN
			PERFORM @extschema@.braze_client_fail('22023',
				format('arguments "%s" and "except" of braze_trigger exclude each other', object), NULL,
				format('"except" leaves out columns where "%s" names none.', object));
		END IF;
		listed := @extschema@.braze_client_columns(given ->> object, object, columns);
		whole := CASE WHEN cardinality(listed) = 1 AND listed[1] = ANY (json_columns) THEN listed[1] END;
	ELSIF object IS NOT NULL THEN
		taken := taken || @extschema@.braze_client_columns(coalesce(given ->> 'except', ''), 'except', columns);
		listed := ARRAY(SELECT c FROM unnest(columns) c WHERE c <> ALL (taken));
	END IF;
	IF object IS NOT NULL THEN
		compared := compared || listed;
		members := coalesce((SELECT jsonb_object_agg(c, c) FROM unnest(listed) c), '{}');
	END IF;
	IF given ? 'names' THEN
		new_names := (given ->> 'names')::jsonb;
		IF jsonb_typeof(new_names) <> 'object' THEN
			PERFORM @extschema@.braze_client_fail('22023', 'argument "names" of braze_trigger is not a JSON object', NULL,
				'It gives columns other names: ''{"plan_type": "plan"}''.');
		END IF;
		FOR key IN SELECT jsonb_object_keys(new_names) LOOP
			PERFORM @extschema@.braze_client_column(key, 'names', columns);
			IF jsonb_typeof(new_names -> key) <> 'string' THEN
				PERFORM @extschema@.braze_client_fail('22023',
					format('the name of column "%s" in argument "names" of braze_trigger is not a string', key), NULL, NULL);
			END IF;
			-- a column that is not a member may be named: the list may change
			IF members ? key THEN
				members := members || jsonb_build_object(key, new_names -> key);
			END IF;
		END LOOP;
		SELECT m.value INTO key FROM jsonb_each_text(members) m GROUP BY m.value HAVING count(*) > 1 LIMIT 1;
		IF FOUND THEN
			PERFORM @extschema@.braze_client_fail('22023',
				format('two columns are named "%s" by argument "names" of braze_trigger', key), NULL, NULL);
		END IF;
	END IF;

	IF before AND only_changed THEN
		FOREACH key IN ARRAY generated LOOP
			IF key = ANY (compared) THEN
				PERFORM @extschema@.braze_client_fail('0A000',
					format('argument "only_changed" of braze_trigger cannot depend on generated column "%s" in a BEFORE trigger', key), NULL,
					'The column is computed after the trigger.  Create the trigger AFTER UPDATE, or name the columns without it.');
			END IF;
		END LOOP;
	END IF;
	SELECT 'SELECT coalesce(jsonb_object_agg(f.name, f.value) FILTER (WHERE f.is_there), ''{}'') '
		'FROM (SELECT ($1).*) r, LATERAL (VALUES ' || string_agg(format('(%L, %s, %s)', a.attname, @extschema@.braze_client_expression(quote_ident(a.attname), a.atttypid),
			CASE WHEN a.attname = ANY (json_columns) THEN format('num_nulls(%I) = 0', a.attname) ELSE 'true' END), ', ') ||
		') f (name, value, is_there)'
	INTO query
	FROM pg_attribute a
	WHERE a.attrelid = relid AND a.attnum > 0 AND NOT a.attisdropped AND NOT (before AND a.attgenerated <> '')
		AND (members ? a.attname OR EXISTS (SELECT FROM jsonb_each_text(fields) f WHERE f.value = a.attname));
	RETURN jsonb_build_object('type', type, 'literals', literals, 'fields', fields, 'object', object, 'whole', whole,
		'members', members, 'only_changed', only_changed, 'compared', to_jsonb(compared), 'json', to_jsonb(json_columns),
		'by_row', by_row, 'query', query, 'destination', given -> 'destination');
END
$$;

-- The call of a row's values.  old_row is the row before an update, null: it
-- does not count.
CREATE OR REPLACE FUNCTION @extschema@.braze_client_row_call(plan jsonb, new_row jsonb, old_row jsonb)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	call jsonb := jsonb_build_object('type', plan -> 'type') || (plan -> 'literals');
	object text := plan ->> 'object';
	whole text := plan ->> 'whole';
BEGIN
	call := call || coalesce((
		SELECT jsonb_object_agg(f.key, new_row -> f.value) FROM jsonb_each_text(plan -> 'fields') f
		WHERE new_row -> f.value <> 'null' OR plan -> 'json' ? f.value AND new_row ? f.value), '{}');
	IF whole IS NOT NULL THEN
		IF new_row ? whole THEN
			call := call || jsonb_build_object(object, new_row -> whole);
		END IF;
	ELSIF object IS NOT NULL THEN
		-- what an update has removed is removed at Braze
		call := call || jsonb_build_object(object, coalesce((
			SELECT jsonb_object_agg(m.value, coalesce(new_row -> m.key, 'null')) FROM jsonb_each_text(plan -> 'members') m
			WHERE new_row -> m.key <> 'null' OR plan -> 'json' ? m.key AND new_row ? m.key
				OR old_row -> m.key <> 'null'), '{}'));
	END IF;
	RETURN call;
END
$$;

--
-- The functions of segment_braze
--
-- With the rights of the owner of the outbox, so that who may call them needs
-- no right on it.
--

CREATE OR REPLACE FUNCTION @extschema@.braze_enqueue(call jsonb, destination name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF call IS NULL THEN
		RAISE EXCEPTION 'call must not be null' USING ERRCODE = 'null_value_not_allowed',
			HINT = 'Pass a Segment call, such as ''{"type": "track", "userId": "u1", "event": "Song Played"}''.';
	END IF;
	RETURN @extschema@.braze_client_put(@extschema@.braze_client_complete(call), 'segment',
		coalesce(destination::text, current_setting('segment_braze.destination', true)), NULL);
END
$$;

COMMENT ON FUNCTION @extschema@.braze_enqueue(jsonb, name) IS
'queues a Segment call; returns its id in braze_outbox, null where the delivery node makes a dead letter of it';

CREATE OR REPLACE FUNCTION @extschema@.braze_enqueue_batch(calls jsonb, destination name DEFAULT NULL)
RETURNS SETOF bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	call jsonb;
BEGIN
	IF jsonb_typeof(calls) IS DISTINCT FROM 'array' THEN
		RAISE EXCEPTION 'calls must be a list' USING ERRCODE = 'invalid_parameter_value',
			HINT = 'Pass Segment calls, such as ''[{"type": "track", "userId": "u1", "event": "Song Played"}]''.';
	END IF;
	FOR call IN SELECT c FROM jsonb_array_elements(calls) WITH ORDINALITY a (c, n) ORDER BY n LOOP
		RETURN NEXT @extschema@.braze_enqueue(call, destination);
	END LOOP;
END
$$;

COMMENT ON FUNCTION @extschema@.braze_enqueue_batch(jsonb, name) IS
'queues a list of Segment calls; returns what braze_enqueue returns for each of them';

CREATE OR REPLACE FUNCTION @extschema@.braze_identify(
	user_id anycompatible,
	traits jsonb DEFAULT '{}',
	anonymous_id text DEFAULT NULL,
	at timestamptz DEFAULT NULL,
	context jsonb DEFAULT NULL,
	integrations jsonb DEFAULT NULL,
	message_id text DEFAULT NULL,
	destination name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN @extschema@.braze_client_call('identify', 'segment', destination, @extschema@.braze_client_user_id(
			pg_typeof(user_id)::oid, CASE WHEN user_id IS NOT NULL THEN concat(user_id) END),
		anonymous_id, "at", context, integrations, message_id,
		ARRAY['traits'], ARRAY[traits]);
END
$$;

COMMENT ON FUNCTION @extschema@.braze_identify(
	anycompatible, jsonb, text, timestamptz, jsonb, jsonb, text, name) IS
'queues an identify call: who a user is';

CREATE OR REPLACE FUNCTION @extschema@.braze_track(
	user_id anycompatible,
	event text,
	properties jsonb DEFAULT '{}',
	anonymous_id text DEFAULT NULL,
	at timestamptz DEFAULT NULL,
	context jsonb DEFAULT NULL,
	integrations jsonb DEFAULT NULL,
	message_id text DEFAULT NULL,
	destination name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN @extschema@.braze_client_call('track', 'segment', destination, @extschema@.braze_client_user_id(
			pg_typeof(user_id)::oid, CASE WHEN user_id IS NOT NULL THEN concat(user_id) END),
		anonymous_id, "at", context, integrations, message_id,
		ARRAY['event', 'properties'], ARRAY[to_jsonb(event), properties]);
END
$$;

COMMENT ON FUNCTION @extschema@.braze_track(
	anycompatible, text, jsonb, text, timestamptz, jsonb, jsonb, text, name) IS
'queues a track call: what a user did';

CREATE OR REPLACE FUNCTION @extschema@.braze_page(
	user_id anycompatible,
	name text DEFAULT NULL,
	properties jsonb DEFAULT '{}',
	category text DEFAULT NULL,
	anonymous_id text DEFAULT NULL,
	at timestamptz DEFAULT NULL,
	context jsonb DEFAULT NULL,
	integrations jsonb DEFAULT NULL,
	message_id text DEFAULT NULL,
	destination name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN @extschema@.braze_client_call('page', 'segment', destination, @extschema@.braze_client_user_id(
			pg_typeof(user_id)::oid, CASE WHEN user_id IS NOT NULL THEN concat(user_id) END),
		anonymous_id, "at", context, integrations, message_id,
		ARRAY['name', 'category', 'properties'], ARRAY[to_jsonb(name), to_jsonb(category), properties]);
END
$$;

COMMENT ON FUNCTION @extschema@.braze_page(
	anycompatible, text, jsonb, text, text, timestamptz, jsonb, jsonb, text, name) IS
'queues a page call: a page that a user saw';

CREATE OR REPLACE FUNCTION @extschema@.braze_screen(
	user_id anycompatible,
	name text DEFAULT NULL,
	properties jsonb DEFAULT '{}',
	category text DEFAULT NULL,
	anonymous_id text DEFAULT NULL,
	at timestamptz DEFAULT NULL,
	context jsonb DEFAULT NULL,
	integrations jsonb DEFAULT NULL,
	message_id text DEFAULT NULL,
	destination name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN @extschema@.braze_client_call('screen', 'segment', destination, @extschema@.braze_client_user_id(
			pg_typeof(user_id)::oid, CASE WHEN user_id IS NOT NULL THEN concat(user_id) END),
		anonymous_id, "at", context, integrations, message_id,
		ARRAY['name', 'category', 'properties'], ARRAY[to_jsonb(name), to_jsonb(category), properties]);
END
$$;

COMMENT ON FUNCTION @extschema@.braze_screen(
	anycompatible, text, jsonb, text, text, timestamptz, jsonb, jsonb, text, name) IS
'queues a screen call: a screen that a user saw';

CREATE OR REPLACE FUNCTION @extschema@.braze_group(
	user_id anycompatible,
	group_id text,
	traits jsonb DEFAULT '{}',
	anonymous_id text DEFAULT NULL,
	at timestamptz DEFAULT NULL,
	context jsonb DEFAULT NULL,
	integrations jsonb DEFAULT NULL,
	message_id text DEFAULT NULL,
	destination name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN @extschema@.braze_client_call('group', 'segment', destination, @extschema@.braze_client_user_id(
			pg_typeof(user_id)::oid, CASE WHEN user_id IS NOT NULL THEN concat(user_id) END),
		anonymous_id, "at", context, integrations, message_id,
		ARRAY['groupId', 'traits'], ARRAY[to_jsonb(group_id), traits]);
END
$$;

COMMENT ON FUNCTION @extschema@.braze_group(
	anycompatible, text, jsonb, text, timestamptz, jsonb, jsonb, text, name) IS
'queues a group call: a group that a user belongs to';

CREATE OR REPLACE FUNCTION @extschema@.braze_alias(
	user_id anycompatible,
	previous_id text,
	anonymous_id text DEFAULT NULL,
	at timestamptz DEFAULT NULL,
	context jsonb DEFAULT NULL,
	integrations jsonb DEFAULT NULL,
	message_id text DEFAULT NULL,
	destination name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN @extschema@.braze_client_call('alias', 'segment', destination, @extschema@.braze_client_user_id(
			pg_typeof(user_id)::oid, CASE WHEN user_id IS NOT NULL THEN concat(user_id) END),
		anonymous_id, "at", context, integrations, message_id,
		ARRAY['previousId'], ARRAY[to_jsonb(previous_id)]);
END
$$;

COMMENT ON FUNCTION @extschema@.braze_alias(
	anycompatible, text, text, timestamptz, jsonb, jsonb, text, name) IS
'queues an alias call: another id that a user had';

CREATE OR REPLACE FUNCTION @extschema@.braze_delete_user(
	user_id anycompatible,
	anonymous_id text DEFAULT NULL,
	at timestamptz DEFAULT NULL,
	context jsonb DEFAULT NULL,
	integrations jsonb DEFAULT NULL,
	message_id text DEFAULT NULL,
	destination name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	RETURN @extschema@.braze_client_call('delete', 'delete_user', destination, @extschema@.braze_client_user_id(
			pg_typeof(user_id)::oid, CASE WHEN user_id IS NOT NULL THEN concat(user_id) END),
		anonymous_id, "at", context, integrations, message_id, '{}'::text[], '{}'::jsonb[]);
END
$$;

COMMENT ON FUNCTION @extschema@.braze_delete_user(
	anycompatible, text, timestamptz, jsonb, jsonb, text, name) IS
'queues the deletion of a user, whatever the option delete_calls says';

-- Who may create a trigger with it may queue what its table has; who writes to
-- the table needs no right.  The setting segment_braze.destination does not
-- count here: the session that writes does not choose for the table's owner.
CREATE OR REPLACE FUNCTION @extschema@.braze_trigger()
RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	plan jsonb;
	by_row boolean;
	images int;
	the_row record;
	the_values jsonb;
	new_row jsonb;
	old_row jsonb;
	call jsonb;
	reason text;
BEGIN
	IF TG_LEVEL <> 'ROW' THEN
		RAISE EXCEPTION 'trigger "%" must be fired for each row', TG_NAME
			USING ERRCODE = 'trigger_protocol_violated', HINT = 'Create it with FOR EACH ROW.';
	END IF;
	plan := @extschema@.braze_client_plan(TG_RELID, coalesce(TG_ARGV, '{}'), TG_WHEN = 'BEFORE' AND TG_OP <> 'DELETE');

	-- a row that jsonb cannot have: without what is not in the call, then as
	-- its text
	images := CASE WHEN TG_OP = 'UPDATE' AND ((plan -> 'only_changed')::boolean OR plan ->> 'type' = 'identify') THEN 2 ELSE 1 END;
	by_row := (plan -> 'by_row')::boolean;
	FOR attempt IN 0 .. 1 LOOP
		BEGIN
			FOR image IN 1 .. images LOOP
				IF image = 2 OR TG_OP = 'DELETE' THEN
					the_row := OLD;
				ELSE
					the_row := NEW;
				END IF;
				the_values := CASE WHEN by_row AND attempt = 0 THEN to_jsonb(the_row) END;

				-- A json column that is null is left out, since JSON's null is
				-- a value; all others that are null have it.
				IF the_values IS NULL OR plan -> 'json' <> '[]' AND EXISTS (
					SELECT FROM jsonb_array_elements_text(plan -> 'json') j WHERE the_values -> j = 'null')
				THEN
					EXECUTE coalesce(plan ->> 'query', 'SELECT jsonb ''{}''') INTO the_values USING the_row;
				END IF;
				IF image = 2 THEN
					old_row := the_values;
				ELSE
					new_row := the_values;
				END IF;
			END LOOP;
			EXIT;
		EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
			CONTINUE WHEN attempt = 0;
			IF NOT @extschema@.braze_client_keeps_invalid() THEN
				RAISE;
			END IF;
			reason := format('What the call was to contain cannot be stored as jsonb: %s.', SQLERRM);
			call := jsonb_build_array(reason, left(concat(CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END), 100000));
		END;
	END LOOP;

	IF reason IS NULL AND TG_OP = 'UPDATE' AND (plan -> 'only_changed')::boolean AND NOT EXISTS (
		SELECT FROM jsonb_array_elements_text(plan -> 'compared') c
		WHERE (new_row -> c)::text IS DISTINCT FROM (old_row -> c)::text)
	THEN
		RETURN NEW;
	END IF;
	IF reason IS NULL THEN
		call := @extschema@.braze_client_complete(@extschema@.braze_client_row_call(plan, new_row,
			CASE plan ->> 'type' WHEN 'identify' THEN old_row END));
	END IF;
	PERFORM @extschema@.braze_client_put(call, 'segment', plan ->> 'destination', reason);
	RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END
$$;

COMMENT ON FUNCTION @extschema@.braze_trigger() IS
'trigger function that queues a call for each row';

-- A row that can be seen, and whose transaction is still under way, is our own.
-- It reads the outbox with the rights of the caller: an application in
-- production is not to have them.
CREATE OR REPLACE FUNCTION @extschema@.braze_queued(
	OUT id bigint,
	OUT destination text,
	OUT call jsonb,
	OUT call_kind text,
	OUT queued_at timestamptz)
RETURNS SETOF record
LANGUAGE sql VOLATILE ROWS 10
SET search_path = pg_catalog, pg_temp
AS $$
SELECT o.id, o.destination, o.call, o.call_kind, o.queued_at
FROM @extschema@.braze_outbox o,
	LATERAL (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next, o.xmin::text::bigint AS xid) s,
	LATERAL (SELECT s.next - (s.next & 4294967295) + s.xid AS xid8) e,
	LATERAL (SELECT CASE WHEN e.xid8 - s.next > 2147483647 THEN e.xid8 - 4294967296
		WHEN s.next - e.xid8 > 2147483647 THEN e.xid8 + 4294967296 ELSE e.xid8 END AS xid8) w
-- in this order: of its own transaction nobody sees a row that is older than it
WHERE CASE WHEN w.xid8 >= pg_current_xact_id_if_assigned()::text::bigint
	THEN pg_xact_status(w.xid8::text::xid8) = 'in progress' END
ORDER BY o.id
$$;

COMMENT ON FUNCTION @extschema@.braze_queued() IS
'what this transaction has put into braze_outbox so far, for those who may read it';

CREATE OR REPLACE FUNCTION @extschema@.braze_drop_client(discard boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	object text;
BEGIN
	LOCK TABLE @extschema@.braze_outbox IN ACCESS EXCLUSIVE MODE;
	IF NOT discard AND EXISTS (SELECT FROM @extschema@.braze_outbox) THEN
		RAISE EXCEPTION 'braze_outbox has calls that were not collected'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Wait until the delivery node has collected them, or call braze_drop_client(true) to lose them.';
	END IF;
	DROP VIEW @extschema@.braze_collect_locks;
	DROP TABLE @extschema@.braze_outbox;
	FOR object IN
		SELECT p.oid::regprocedure FROM pg_proc p
		WHERE p.pronamespace = to_regnamespace('@extschema@') AND (p.proname LIKE 'braze\_client\_%' OR p.proname IN (
			'braze_enqueue', 'braze_enqueue_batch', 'braze_identify', 'braze_track', 'braze_page', 'braze_screen',
			'braze_group', 'braze_alias', 'braze_delete_user', 'braze_trigger', 'braze_queued', 'braze_drop_client'))
	LOOP
		EXECUTE format('DROP FUNCTION %s CASCADE', object);
	END LOOP;
END
$$;

COMMENT ON FUNCTION @extschema@.braze_drop_client(boolean) IS
'removes the outbox, these functions, and the triggers that call braze_trigger';
$sql$, '@extschema@', quote_ident(schema));

	-- Nothing is left to anybody by accident, not even by ALTER DEFAULT
	-- PRIVILEGES.  What was granted on purpose, before this was run again,
	-- stays.
	FOR object IN
		SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.oid::regclass::text AS name,
			a.grantee
		FROM pg_catalog.pg_class c
			CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a
		WHERE c.relnamespace = quote_ident(schema)::regnamespace AND c.relname IN ('braze_outbox', 'braze_outbox_id_seq', 'braze_collect_locks')
			AND c.oid <> ALL (old_relations) AND a.grantee <> c.relowner
		UNION
		SELECT 'FUNCTION', p.oid::regprocedure::text, a.grantee
		FROM pg_catalog.pg_proc p CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
		WHERE p.pronamespace = quote_ident(schema)::regnamespace AND p.proname LIKE 'braze\_%'
			AND p.oid <> ALL (old_functions) AND a.grantee <> p.proowner
	LOOP
		EXECUTE format('REVOKE ALL ON %s %s FROM %s CASCADE', object.kind, object.name,
			CASE WHEN object.grantee = 0 THEN 'PUBLIC' ELSE object.grantee::regrole::text END);
	END LOOP;
END
$client$;
