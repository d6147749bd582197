-- What PUBLIC may do with each object, and what a dump carries.
BEGIN;
SET LOCAL client_min_messages = warning;

-- a careless administrator's defaults change nothing
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO PUBLIC;
CREATE SCHEMA "Segment calls";
CREATE EXTENSION segment_braze SCHEMA "Segment calls";
SET LOCAL search_path = "Segment calls";

-- functions: EXECUTE for PUBLIC is meant for these alone
SELECT p.oid::regprocedure AS may_be_called_by_public
FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'segment_braze') AND d.deptype = 'e'
	AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee = 0)
ORDER BY p.oid::regprocedure::text COLLATE "C";

-- tables, views, sequences, the wrapper: nothing
SELECT c.oid::regclass AS relation, a.privilege_type
FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))) a
WHERE c.relnamespace = '"Segment calls"'::regnamespace AND c.relkind IN ('r', 'v', 'S', 'm') AND a.grantee = 0
ORDER BY 1, 2;
SELECT a.privilege_type
FROM pg_foreign_data_wrapper w, aclexplode(coalesce(w.fdwacl, acldefault('F', w.fdwowner))) a
WHERE w.fdwname = 'segment_braze' AND a.grantee = 0;

-- functions in SQL or PL/pgSQL have a search_path of their own; none is
-- SECURITY DEFINER without one
SELECT p.oid::regprocedure
FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
	JOIN pg_language l ON l.oid = p.prolang
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'segment_braze') AND d.deptype = 'e'
	AND (l.lanname <> 'c' OR p.prosecdef) AND p.prokind <> 'a'
	AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);

-- every object says what it is
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend d
WHERE d.refclassid = 'pg_extension'::regclass
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'segment_braze') AND d.deptype = 'e'
	AND d.classid <> 'pg_type'::regclass
	AND NOT (d.classid = 'pg_class'::regclass AND (SELECT relkind FROM pg_class WHERE oid = d.objid) NOT IN ('r', 'v'))
	AND obj_description(d.objid, (SELECT relname FROM pg_class WHERE oid = d.classid)) IS NULL
ORDER BY 1;
SELECT c.oid::regclass AS "table", a.attname AS without_comment
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = '"Segment calls"'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
	AND col_description(c.oid, a.attnum) IS NULL
ORDER BY 1, 2;

-- a dump carries each table and each of its sequences
SELECT c.oid::regclass AS relation, c.relkind, c.oid = ANY (e.extconfig) AS dumped
FROM pg_class c, pg_extension e
WHERE e.extname = 'segment_braze' AND c.relnamespace = '"Segment calls"'::regnamespace AND c.relkind IN ('r', 'S')
ORDER BY c.oid::regclass::text COLLATE "C";

-- it works from a schema that has to be quoted and is not in the search_path
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
SET LOCAL search_path = pg_catalog;
SELECT "Segment calls".braze_track('u1', 'Song Played', at => '2026-01-02 03:04:05+00') IS NOT NULL AS queued;
SELECT destination, outcome, payload FROM "Segment calls".braze_pending;

-- it cannot move, and goes without a trace
ALTER EXTENSION segment_braze SET SCHEMA public;
ROLLBACK;
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
SELECT braze_track('u1', 'Song Played') IS NOT NULL AS queued;
DROP EXTENSION segment_braze CASCADE;
SELECT count(*) FROM pg_foreign_server WHERE srvname = 'braze';
SELECT relname FROM pg_class WHERE relname LIKE 'braze%';
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
SELECT braze_track('u1', 'Song Played') AS first_id_again;
ROLLBACK;

-- a role without USAGE gets nothing done by any function that PUBLIC may call,
-- nor by one that somebody has let it call; the arguments go by their names
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at)
VALUES ('braze', '{"type": "track", "userId": "u1", "event": "A"}', 'a reason', '2026-01-01');
CREATE ROLE regress_braze_nobody;
CREATE FUNCTION attempt(f regprocedure) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	arguments text;
	result text;
BEGIN
	SELECT string_agg(format('%I => %s', a.name, a.value), ', ')
	INTO arguments
	FROM (
		SELECT n.name, v.value
		FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY n (name, i)
			JOIN (VALUES ('call', $v$'{"type": "track", "userId": "u1", "event": "A"}'$v$), ('user_id', $v$'u1'$v$), ('event', $v$'A'$v$),
				('group_id', $v$'g'$v$), ('previous_id', $v$'p'$v$), ('name', $v$'n'$v$), ('destination', $v$'braze'$v$),
				('type', $v$'track'$v$), ('row', $v$row('u1')$v$), ('objects', 'NULL'), ('letter', '1'), ('dead_letters', 'false'), ('platform', $v$'web'$v$), ('calls', $v$'[{"type": "track", "userId": "u1", "event": "A"}]'$v$),
				('role', $v$'regress_braze_nobody'$v$), ('path', $v$'/v1/t'$v$), ('body', $v$'{"userId": "u1", "event": "A"}'$v$), ('to_destination', $v$'braze'$v$), ('write_key', $v$'a key'$v$), ('role_oid', 'NULL'), ('system_identifier', 'NULL')
			) v (name, value) ON v.name = n.name
		WHERE p.oid = f AND n.i <= p.pronargs) a;
	EXECUTE format('SELECT * FROM %s(%s) AS t', f::regproc, arguments) INTO result;
	RETURN 'done';
EXCEPTION
	WHEN OTHERS THEN
		RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO regress_braze_nobody;
-- one of two rights is not enough
GRANT INSERT ON braze_paused TO regress_braze_nobody;
SET LOCAL ROLE regress_braze_nobody;
SELECT attempt('braze_lock_destination'::regproc::regprocedure);
RESET ROLE;
REVOKE INSERT ON braze_paused FROM regress_braze_nobody;
GRANT DELETE ON braze_paused TO regress_braze_nobody;
SET LOCAL ROLE regress_braze_nobody;
SELECT attempt('braze_lock_destination'::regproc::regprocedure);
RESET ROLE;
REVOKE DELETE ON braze_paused FROM regress_braze_nobody;
SET LOCAL ROLE regress_braze_nobody;
SELECT p.oid::regproc AS function, attempt(p.oid)
FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'segment_braze') AND d.deptype = 'e'
	AND p.prokind <> 'p' AND p.prorettype <> 'trigger'::regtype AND p.proname NOT IN ('braze_validator', 'braze_flush')
ORDER BY p.oid::regproc::text COLLATE "C";
-- nor by a trigger on a table of its own
CREATE TEMPORARY TABLE own (id text);
SAVEPOINT s;
CREATE TRIGGER own AFTER INSERT ON own FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'A', 'user_id', 'id', 'destination', 'braze');
ROLLBACK TO s;
-- nor by a trigger that was created before the right was taken away
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_braze_nobody;
SET LOCAL ROLE regress_braze_nobody;
CREATE TRIGGER own AFTER INSERT ON own FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('event', 'A', 'user_id', 'id', 'destination', 'braze');
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_braze_nobody;
SET LOCAL ROLE regress_braze_nobody;
SAVEPOINT s;
INSERT INTO own VALUES ('u1');
ROLLBACK TO s;
-- USAGE on the wrapper, which makes servers, is nobody's either
CREATE SERVER mine FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
ROLLBACK TO s;
CREATE USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (rest_api_key 'k');
ROLLBACK TO s;
-- a right on all tables does not let anybody collect with the rights of another
RESET ROLE;
GRANT SELECT, INSERT ON braze_collecting, braze_collected TO regress_braze_nobody;
SET LOCAL ROLE regress_braze_nobody;
SAVEPOINT s;
INSERT INTO braze_collecting VALUES ('braze', 'public.t', 1, 1, 10);
ROLLBACK TO s;
INSERT INTO braze_collected VALUES ('braze', 'public.t', 1, now(), 1, '{1}', '{1}');
ROLLBACK TO s;
RESET ROLE;
SELECT count(*) AS queued FROM braze_queue;
SELECT count(*) AS dead_letters FROM braze_dead_letters;
ROLLBACK;
