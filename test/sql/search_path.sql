-- Objects that somebody has planted under the names that our functions use, in
-- a schema that comes first in the search_path, and in pg_temp: none is used.
\set VERBOSITY terse
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;

-- what there is to be planted: each raises an error, or is an empty table
CREATE SCHEMA planted;
CREATE FUNCTION planted.plant_operators() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	o record;
	n int := 0;
BEGIN
	FOR o IN
		SELECT oprname, format_type(oprleft, NULL) AS l, format_type(oprright, NULL) AS r, format_type(oprresult, NULL) AS result
		FROM pg_operator
		WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprleft <> 0
			AND oprleft = ANY ('{name, text, bigint, integer, oid, boolean, timestamptz, interval, jsonb, bytea, pg_lsn, regclass}'::regtype[])
			AND oprright = ANY ('{name, text, bigint, integer, oid, boolean, timestamptz, interval, jsonb, bytea, pg_lsn, regclass}'::regtype[])
	LOOP
		n := n + 1;
		EXECUTE format('CREATE FUNCTION planted.operator_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE ''planted operator %s''; END $f$',
			n, o.l, o.r, o.result, replace(o.oprname, '%', '%%'));
		EXECUTE format('CREATE OPERATOR planted.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = planted.operator_%s)', o.oprname, o.l, o.r, n);
	END LOOP;
END
$$;
-- functions of pg_catalog whose names our functions and views have in them, of
-- whatever arguments
CREATE FUNCTION planted.plant_functions(source text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	f record;
BEGIN
	FOR f IN
		SELECT DISTINCT proname, pg_get_function_identity_arguments(oid) AS arguments, pg_get_function_result(oid) AS result
		FROM pg_proc
		WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND prorettype <> 'trigger'::regtype
			AND source ~ ('\m' || proname || '\M') AND pg_get_function_identity_arguments(oid) !~ 'internal|cstring|"any"|any|OUT |VARIADIC'
			AND pg_get_function_result(oid) !~ 'internal|cstring|any|trigger|handler'
	LOOP
		EXECUTE format('CREATE FUNCTION planted.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE ''planted function %s''; END $f$',
			f.proname, f.arguments, f.result, f.proname);
	END LOOP;
	CREATE FUNCTION planted.planted_step(bigint) RETURNS bigint LANGUAGE plpgsql AS $f$ BEGIN RAISE 'planted aggregate'; END $f$;
	CREATE AGGREGATE planted.count(*) (SFUNC = planted.planted_step, STYPE = bigint, INITCOND = '0');
END
$$;
CREATE FUNCTION planted.plant_tables(source text, extension oid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	t record;
BEGIN
	FOR t IN
		SELECT c.oid::regclass::text AS original, c.relname, (
			SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
			WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('xmin', 'xmax')) AS columns
		FROM pg_class c
		WHERE c.relkind IN ('r', 'v') AND
			(c.relnamespace = 'pg_catalog'::regnamespace AND source ~ ('\m' || c.relname || '\M')
				OR c.oid IN (SELECT objid FROM pg_depend WHERE refobjid = extension AND classid = 'pg_class'::regclass))
	LOOP
		EXECUTE format('CREATE TABLE planted.%I AS SELECT %s FROM %s WITH NO DATA', t.relname, t.columns, t.original);
		EXECUTE format('CREATE TEMPORARY TABLE %I AS SELECT %s FROM %s WITH NO DATA', t.relname, t.columns, t.original);
	END LOOP;
END
$$;

CREATE SCHEMA ours;
CREATE EXTENSION segment_braze SCHEMA ours;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', deduplicate '1 d', changed_attributes_only 'true');
CREATE SERVER other FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
CREATE TABLE ours.users (id text, plan text);
CREATE TRIGGER users AFTER INSERT OR UPDATE ON ours.users FOR EACH ROW
	EXECUTE FUNCTION ours.braze_trigger('type', 'identify', 'user_id', 'id', 'traits', 'plan', 'names', '{"plan": "tier"}',
		'only_changed', 'true', 'destination', 'braze');

-- beside ours, one that a call without the argument could mean as well
CREATE FUNCTION ours.braze_notify_worker() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'planted beside'; END $$;

-- every function of ours, and what it is called with
CREATE TABLE ours.attempts (n int GENERATED ALWAYS AS IDENTITY, functions text[], statement text);
INSERT INTO ours.attempts (functions, statement) VALUES
	('{braze_validator}', $$ALTER SERVER braze OPTIONS (ADD track_all_pages 'true')$$),
	('{braze_options}', $$SELECT true FROM ours.braze_options() LIMIT 1$$),
	('{braze_map}', $$SELECT true FROM ours.braze_map('{"type": "identify", "userId": "u1", "traits": {"email": "a@example.com", "age": 7}}', 'braze')$$),
	('{braze_call_from_row}', $$SELECT true FROM (SELECT ours.braze_call_from_row(r, 'track') FROM (VALUES ('u1', 'A')) AS r (user_id, event)) c$$),
	('{braze_enqueue}', $$SELECT ours.braze_enqueue('{"type": "track", "userId": "u1", "event": "A"}', 'braze') IS NOT NULL$$),
	('{braze_identify}', $$SELECT ours.braze_identify('u1', '{"age": 7}', destination => 'braze') IS NOT NULL$$),
	('{braze_track}', $$SELECT ours.braze_track('u1', 'A', message_id => 'm1', destination => 'braze') IS NOT NULL$$),
	('{braze_track}', $$SELECT ours.braze_track('u1', 'A', message_id => 'm1', destination => 'braze') IS NULL$$),
	('{braze_page}', $$SELECT ours.braze_page('u1', 'P', destination => 'braze') IS NOT NULL$$),
	('{braze_screen}', $$SELECT ours.braze_screen('u1', 'P', destination => 'braze') IS NOT NULL$$),
	('{braze_group}', $$SELECT ours.braze_group('u1', 'g', destination => 'braze') IS NOT NULL$$),
	('{braze_alias}', $$SELECT ours.braze_alias('u1', 'p', destination => 'braze') IS NOT NULL$$),
	('{braze_delete_user}', $$SELECT ours.braze_delete_user('u2', destination => 'braze') IS NOT NULL$$),
	('{braze_queued}', $$SELECT pg_catalog.count(*) FROM ours.braze_queued()$$),
	('{braze_trigger}', $$INSERT INTO ours.users VALUES ('u1', 'pro') RETURNING true$$),
	('{braze_trigger}', $$UPDATE ours.users SET plan = 'free' RETURNING true$$),
	('{braze_notify_queued}', $$INSERT INTO ours.braze_queue (destination, call) VALUES ('braze', '{"type": "track", "userId": "u1", "event": "A"}') RETURNING true$$),
	('{braze_notify_changed}', $$DELETE FROM ours.braze_paused RETURNING true$$),
	('{braze_map_queued}', $$SELECT pg_catalog.count(*) FROM ours.braze_pending$$),
	('{braze_worker_state,braze_not_counted,braze_counters}', $$SELECT destination, dead_letters FROM ours.braze_status ORDER BY 1$$),
	('{braze_test}', $$SELECT pg_catalog.min(t.what) IS NOT NULL FROM ours.braze_test('braze') t$$),
	('{braze_metrics}', $$SELECT name IS NOT NULL FROM ours.braze_metrics() LIMIT 1$$),
	('{braze_flush}', $$SELECT ours.braze_flush('0 s') IS NOT NULL$$),
	('{braze_sdk}', $$SELECT ours.braze_sdk('web options', 'braze') IS NOT NULL$$),
	('{braze_enqueue_batch}', $$SELECT b IS NOT NULL FROM ours.braze_enqueue_batch('[{"type": "track", "userId": "u1", "event": "A"}]', 'braze') b$$),
	('{braze_create_write_key}', $$SELECT ours.braze_create_write_key(CURRENT_USER, 'braze') IS NOT NULL$$),
	('{braze_receive,braze_receive_for,braze_receive_key}', $$SELECT ours.braze_receive('/v1/t', '{"userId": "u1", "event": "A", "messageId": "m9", "writeKey": "a key"}')$$),
	('{braze_is_small}', $$SELECT ours.braze_is_small(false)$$),
	('{braze_in_flight}', $$SELECT ours.braze_in_flight(1)$$),
	('{braze_user_hash}', $$SELECT ours.braze_user_hash('{"userId": "u1"}') IS NULL$$),
	('{braze_notify_worker}', $$SELECT ours.braze_notify_worker(false)$$),
	('{braze_pause,braze_here,braze_lock_destination}', $$SELECT ours.braze_pause('braze', 'why')$$),
	('{braze_pause}', $$SELECT ours.braze_pause('braze', 'why not')$$),
	('{braze_pause}', $$SELECT ours.braze_pause('nobody')$$),
	('{braze_start,braze_pass_ids}', $$SELECT ours.braze_start('braze')$$),
	('{braze_retry}', $$SELECT ours.braze_retry(id => 1, destination => 'braze', reason => '%word%', failed_since => '2026-01-01', to_destination => 'other')$$),
	('{braze_retry}', $$SELECT ours.braze_retry()$$),
	('{braze_retry}', $$SELECT ours.braze_retry(to_destination => 'nobody')$$),
	('{braze_sketch_merged,braze_sketch_users}', $$SELECT ours.braze_sketch_users(ours.braze_sketch_merged('\x010041', '\x010081'))$$),
	('{braze_merge_users,braze_count_users}', $$SELECT ours.braze_count_users(s), ours.braze_sketch_users(ours.braze_merge_users(s)) FROM (VALUES ('\x010041'::bytea)) v (s)$$),
	('{braze_explain_user}', $$SELECT server, what, call FROM ours.braze_explain_user('u1')$$),
	('{braze_count_users}', $$SELECT pg_catalog.count(*) FROM ours.braze_activity, ours.braze_event_counts, ours.braze_revenue, ours.braze_attribute_counts, ours.braze_throughput$$),
	('{braze_create_sync}', $$SELECT ours.braze_create_sync('users', 'SELECT id, plan FROM ours.users', 'id', destination => 'braze', on_remove => 'clear')$$),
	('{braze_preview_sync,braze_sync_calls}', $$SELECT outcome FROM ours.braze_preview_sync('users')$$),
	('{braze_run_sync}', $$CALL ours.braze_run_sync('users')$$),
	('{braze_run_sync}', $$UPDATE ours.users SET id = 'u2', plan = 'pro' RETURNING true$$),
	('{braze_run_sync}', $$CALL ours.braze_run_sync('users', 1)$$),
	('{braze_run_sync}', $$SELECT added, removed, error FROM ours.braze_sync_runs$$),
	('{braze_drop_sync}', $$SELECT ours.braze_drop_sync('users')$$),
	('{braze_collect}', $$SELECT ours.braze_collect('braze', 'public.outbox')$$),
	('{braze_stop_collecting}', $$SELECT ours.braze_stop_collecting('braze', 'public.outbox')$$),
	('{braze_collectors}', $$SELECT server, origin_table, state FROM ours.braze_origins$$),
	('{braze_purge}', $$SELECT ours.braze_purge('braze')$$);
INSERT INTO ours.braze_write_keys VALUES (sha256('a key'), current_user, 'braze');
INSERT INTO ours.braze_dead_letters (destination, call, reason, queued_at)
SELECT 'braze', '{"type": "track", "userId": "u1", "event": "A"}', 'a word', now() FROM generate_series(1, 2);

-- triggers that an administrator added run with the rights of the table's owner
CREATE FUNCTION ours.mask() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.call := NEW.call || '{"masked": true}';
	RETURN NEW;
END
$$;

CREATE FUNCTION ours.seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.message_id = 'nothing' THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END
$$;

-- a list that is not complete proves nothing; what ends transactions, backfill
-- has
SELECT p.oid::regprocedure AS not_attempted
FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'segment_braze') AND d.deptype = 'e'
	AND p.prokind <> 'p' AND p.proname NOT IN (SELECT unnest(functions) FROM ours.attempts)
ORDER BY 1;

SELECT planted.plant_functions(source), planted.plant_tables(source, (SELECT oid FROM pg_extension WHERE extname = 'segment_braze')),
	planted.plant_operators()
FROM (
	SELECT string_agg(prosrc, ' ') AS source
	FROM pg_proc WHERE pronamespace = 'ours'::regnamespace
) s \gset ignored_
SET LOCAL search_path = planted, pg_temp, pg_catalog;

-- they are there to be stepped on
SELECT count(*) FROM pg_foreign_server;
SELECT 1::bigint = 1::bigint;
SELECT true FROM pg_catalog.pg_class WHERE relname = 'braze_queue'::name LIMIT 1;
SELECT now();

\t on
SELECT statement FROM ours.attempts ORDER BY n \gexec
CREATE TRIGGER mask BEFORE INSERT ON ours.braze_queue FOR EACH ROW EXECUTE FUNCTION ours.mask();
CREATE TRIGGER seen BEFORE INSERT ON ours.braze_messages FOR EACH ROW EXECUTE FUNCTION ours.seen();
SELECT ours.braze_track('u1', 'A', message_id => 'm2', destination => 'braze') IS NOT NULL;
SELECT call OPERATOR(pg_catalog.->) 'masked' FROM ours.braze_queue ORDER BY id DESC LIMIT 1;
SELECT message_id FROM ours.braze_messages ORDER BY message_id COLLATE "C" DESC LIMIT 1;
SHOW search_path;
\t off
ROLLBACK;
