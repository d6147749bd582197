-- Syncs: what braze_create_sync refuses, who may do what, and what an error
-- says.
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', app_identifier 'app');
CREATE ROLE regress_sync_owner;
CREATE ROLE regress_sync_member;
CREATE ROLE regress_sync_other;
GRANT regress_sync_owner TO regress_sync_member;
CREATE SCHEMA shop AUTHORIZATION regress_sync_owner;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
CREATE TABLE shop.users (id text, email text, data json, seen timestamptz);
ALTER TABLE shop.users OWNER TO regress_sync_owner;
INSERT INTO shop.users VALUES ('u1', 'a@example.com', '{"a": 1}', now());

-- arguments
SELECT braze_create_sync(NULL, 'SELECT 1 AS id', 'id');
SELECT braze_create_sync('s', NULL, 'id');
SELECT braze_create_sync('s', 'SELECT 1 AS id', NULL);
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', on_remove => 'drop');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', max_removed => 10);
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', max_removed => 'nan');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', every => '0 s');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', every => '300000 years');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', every => '178000000 years -1 month');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', every => '5000000 years -1799999999 days');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', type => 'page');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', key => 'id');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', type => 'track', event => 'id', key => 'id');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', type => 'track', event => 'id', key => 'id', cursor_column => 'id', on_remove => 'clear');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', late => '-1 day');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', late => '290000 years');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', names => '[1]');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', names => '{"id": 1}');
SELECT braze_create_sync('s', 'SELECT 1 AS id', 'id', destination => 'nowhere');

-- the query and its columns
SELECT braze_create_sync('s', 'SELECT * FROM nowhere', 'id');
SELECT braze_create_sync('s', 'DELETE FROM shop.users RETURNING id', 'id');
SELECT braze_create_sync('s', 'SELECT 1 AS id; DELETE FROM shop.users', 'id');
SELECT braze_create_sync('s', 'SELECT 1 AS id) AS a; SELECT * FROM (SELECT 2 AS id', 'id');
SELECT braze_create_sync('s', 'SELECT * FROM shop.users', 'user_id');
SELECT braze_create_sync('s', 'SELECT * FROM shop.users', 'idd');
SELECT braze_create_sync('s', 'SELECT * FROM shop.users', 'seen');
SELECT braze_create_sync('s', 'SELECT id, email, seen AS email FROM shop.users', 'id');
SELECT braze_create_sync('s', 'SELECT * FROM shop.users', 'id', names => '{"mail": "email"}');
SELECT braze_create_sync('s', 'SELECT * FROM shop.users', 'id', names => '{"seen": "email"}');
SELECT braze_create_sync('s', 'SELECT id, data FROM shop.users', 'id', on_remove => 'clear');
SELECT braze_create_sync('s', 'SELECT *, 1 AS e FROM shop.users', 'id', type => 'track', event => 'e', key => 'id', cursor_column => 'seen');
SELECT braze_create_sync('s', 'SELECT *, ''x'' AS e FROM shop.users', 'id', type => 'track', event => 'e', key => 'id', cursor_column => 'email');
SELECT count(*) FROM braze_syncs;

-- what does not exist
SELECT braze_drop_sync('none');
CALL braze_run_sync('none');
SELECT * FROM braze_preview_sync('none');
SELECT braze_drop_sync(NULL);
CALL braze_run_sync(NULL);

-- USAGE is asked of the owner, and the caller needs the owner's rights
SET ROLE regress_sync_owner;
SELECT braze_create_sync('s', 'SELECT * FROM shop.users', 'id', destination => 'braze');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER braze TO regress_sync_owner;
SET ROLE regress_sync_other;
SELECT braze_create_sync('s', 'SELECT * FROM shop.users', 'id', owner => 'regress_sync_owner');
SET ROLE regress_sync_member;
SELECT braze_create_sync('s', 'SELECT id, email FROM users', 'id', owner => 'regress_sync_owner');
SET search_path = shop, public;
SELECT braze_create_sync('s', 'SELECT id, email FROM users', 'id', owner => 'regress_sync_owner');
SELECT braze_create_sync('s', 'SELECT id, email FROM users', 'id', owner => 'regress_sync_owner');
RESET search_path;
SELECT name, owner, search_path FROM braze_syncs;
SELECT key, payload FROM braze_preview_sync('s');

-- not from a database that does not deliver
CALL braze_run_sync('s');
RESET ROLE;
SELECT braze_start('braze');

-- others see nothing, and may do nothing; nobody but the owner of the table
-- sees the seed
SET ROLE regress_sync_other;
SELECT name FROM braze_syncs;
SELECT * FROM braze_sync_runs;
SELECT * FROM braze_sync_state;
CALL braze_run_sync('s');
SELECT braze_drop_sync('s');
SELECT * FROM braze_preview_sync('s');
SET ROLE regress_sync_member;
SELECT seed FROM braze_syncs;
INSERT INTO braze_sync_runs VALUES ('s', now());
CALL braze_run_sync('s');
SELECT sync, added, error FROM braze_sync_runs;

-- the query runs as the owner, by whomever it is run, and with the search_path
-- of then
RESET ROLE;
CREATE FUNCTION shop.who() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'CREATE TEMPORARY TABLE trap()';
	RETURN 'not reached';
END $$;
CREATE FUNCTION shop.me() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RESET ROLE;
	RETURN current_user;
END $$;
SELECT braze_create_sync('me', $$SELECT id, current_user::text AS me, current_setting('search_path') AS path FROM shop.users$$, 'id', owner => 'regress_sync_owner');
SELECT braze_create_sync('reset', $$SELECT id, shop.me() FROM shop.users$$, 'id', owner => 'regress_sync_owner');
SELECT braze_create_sync('writes', $$SELECT id, shop.who() FROM shop.users$$, 'id', owner => 'regress_sync_owner');
SELECT call->'traits' AS traits FROM braze_preview_sync('me');
CALL braze_run_sync('reset');
CALL braze_run_sync('writes');

-- USAGE that is revoked, a role that is gone
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_sync_owner;
CALL braze_run_sync('me');
GRANT USAGE ON FOREIGN SERVER braze TO regress_sync_owner;
-- but one that is renamed keeps its syncs
ALTER ROLE regress_sync_owner RENAME TO regress_sync_renamed;
SET ROLE regress_sync_renamed;
CALL braze_run_sync('me');
SELECT owner FROM braze_syncs WHERE name = 'me';
RESET ROLE;
ALTER ROLE regress_sync_renamed RENAME TO regress_sync_owner;

-- one who is created with the name of a role that was dropped has no part in
-- its syncs
CREATE ROLE regress_sync_gone;
GRANT USAGE ON FOREIGN SERVER braze TO regress_sync_gone;
SELECT braze_create_sync('gone', 'SELECT ''secret'' AS id', 'id', owner => 'regress_sync_gone');
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_sync_gone;
DROP ROLE regress_sync_gone;
CREATE ROLE regress_sync_gone;
GRANT USAGE ON FOREIGN SERVER braze TO regress_sync_gone;
SET ROLE regress_sync_gone;
SELECT name, query FROM braze_syncs;
CALL braze_run_sync('gone');
RESET ROLE;
CALL braze_run_sync('gone');
-- but a dump restored elsewhere goes by the name
UPDATE braze_syncs SET system_identifier = 1 WHERE name = 'gone';
SET ROLE regress_sync_gone;
SELECT name FROM braze_syncs;
CALL braze_run_sync('gone');
RESET ROLE;
SELECT owner_oid = 'regress_sync_gone'::regrole AS owned, system_identifier <> 1 AS here FROM braze_syncs WHERE name = 'gone';
SELECT braze_drop_sync('gone');
REVOKE USAGE ON FOREIGN SERVER braze FROM regress_sync_gone;
DROP ROLE regress_sync_gone;

-- a column that is gone, and an error in the query
ALTER TABLE shop.users DROP COLUMN email;
CALL braze_run_sync('s');
SELECT braze_create_sync('zero', 'SELECT id, 1 / (length(id) - 2) AS zero FROM shop.users', 'id');
CALL braze_run_sync('zero');
SELECT status FROM braze_syncs WHERE name = 'zero';
CALL braze_run_sync('zero', max_removed => 2);

-- text that is one statement to some settings and two to others is read alike
-- by all; before PostgreSQL 19 this one was one with the setting off
DO $$
BEGIN
	SET standard_conforming_strings = off;
EXCEPTION
	WHEN OTHERS THEN NULL;
END $$;
SELECT braze_create_sync('two', $q$SELECT 'u1'::text AS user_id, '\' AS b) AS rows; SELECT * FROM (SELECT 1::int8 AS user_id, ' AS b --' AS b$q$, 'user_id');
SELECT braze_create_sync('quote', $q$SELECT 'u1'::text AS user_id, '\' AS b$q$, 'user_id');
CALL braze_run_sync('quote');
RESET standard_conforming_strings;
CALL braze_run_sync('quote');

-- also where the query was written into the table
UPDATE braze_syncs SET query = $q$SELECT 'u1'::text AS user_id) AS a; SELECT * FROM (SELECT 1::int8 AS user_id$q$ WHERE name = 'quote';
CALL braze_run_sync('quote');
SELECT * FROM braze_preview_sync('quote');

-- nor is the limit of every passed by hand
\set VERBOSITY terse
UPDATE braze_syncs SET every = '300000 years' WHERE name = 'quote';
\set VERBOSITY default
UPDATE braze_syncs SET every = '1 year' WHERE name = 'quote';

-- a key that no index has room for stops nothing: of a user, of a user alias,
-- of an event
CREATE TABLE shop.long AS SELECT string_agg(sha512(n::text::bytea)::text, '') AS long FROM generate_series(1, 50) n;
SELECT braze_create_sync('long', 'SELECT long || x AS id, 1 AS a FROM shop.long, (VALUES (''a''), (''b'')) v (x) UNION ALL SELECT ''short'', 1', 'id', on_remove => 'delete');
SELECT braze_create_sync('long_alias', 'SELECT jsonb_build_object(''alias_name'', long, ''alias_label'', ''l'') AS id, 1 AS a FROM shop.long', 'id', on_remove => 'clear', max_removed => 1);
SELECT braze_create_sync('long_event', 'SELECT ''u1'' AS id, long AS key, ''Seen''::text AS event, now() - interval ''1 h'' AS at FROM shop.long', 'id',
	type => 'track', event => 'event', key => 'key', cursor_column => 'at');
CALL braze_run_sync('long');
CALL braze_run_sync('long');
CALL braze_run_sync('long_alias');
CALL braze_run_sync('long_event');
CALL braze_run_sync('long_event');
SELECT y.name, length(t.key) > 1500 AS is_long, left(t.key, 1) = '{' AS is_alias, count(*)
	FROM braze_sync_state t JOIN braze_syncs y ON y.id = t.sync WHERE y.name LIKE 'long%' GROUP BY 1, 2, 3 ORDER BY 1, 2;
TRUNCATE shop.long;
CALL braze_run_sync('long', max_removed => 1);
CALL braze_run_sync('long_alias');
SELECT count(*), min(left(reason, 100)) FROM braze_dead_letters;

DROP EXTENSION segment_braze CASCADE;
DROP SCHEMA shop CASCADE;
DROP ROLE regress_sync_owner, regress_sync_member, regress_sync_other;
