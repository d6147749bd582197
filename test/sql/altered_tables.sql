--
-- What the owner of a table may change so that it cannot be used any more
--
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS segment_braze;
CREATE TEMPORARY VIEW columns AS
SELECT a.attrelid::regclass AS "table", a.attname AS "column", a.attnotnull, a.attidentity <> '' AS identity,
	a.attgenerated <> '' AS generated,
	EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)) AS key,
	EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND a.attnum = ANY (k.conkey)) AS checked,
	a.attcollation = 'pg_catalog."C"'::regcollation AS bytewise,
	format_type(a.atttypid, a.atttypmod) AS type, c.relname
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND c.relkind = 'r' AND a.attnum > 0
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'segment_braze')
	-- read by SQL alone
	AND c.relname <> 'braze_write_keys'
ORDER BY c.relname COLLATE "C", a.attnum;

-- views and policies keep columns as they are, but need not be there
DO $$
DECLARE
	view record;
	policy record;
BEGIN
	FOR policy IN SELECT p.polname AS name, p.polrelid::regclass AS "table" FROM pg_policy p WHERE p.polrelid IN (SELECT c."table" FROM columns c)
	LOOP
		EXECUTE format('DROP POLICY %I ON %s', policy.name, policy."table");
	END LOOP;
	FOR view IN SELECT c.oid::regclass AS name FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
		WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND c.relkind = 'v'
	LOOP
		EXECUTE format('ALTER EXTENSION segment_braze DROP VIEW %s', view.name);
		EXECUTE format('DROP VIEW %s CASCADE', view.name);
	END LOOP;
END
$$;

-- what is said once the statements have run; the hints are followed until all
-- is well
CREATE FUNCTION pg_temp.said_after(statements text[], OUT said text, OUT hint text) LANGUAGE plpgsql AS $$
DECLARE
	statement text;
	message text;
	next text;
BEGIN
	FOREACH statement IN ARRAY statements LOOP
		EXECUTE statement;
	END LOOP;
	LOOP
		BEGIN
			PERFORM braze_queued();
			EXIT;
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, next = PG_EXCEPTION_HINT;
		END;
		said := coalesce(said, message);
		hint := coalesce(hint, next);
		EXIT WHEN next LIKE 'Run ALTER EXTENSION %';
		EXECUTE regexp_replace(next, '^Run (.*)\.$', '\1');
	END LOOP;
	RAISE SQLSTATE 'ZZ000';
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
	NULL;
END
$$;

-- What is asked of a column, of each that is so in a fresh install; a fresh
-- install would not work with types other than those that are asked.  The
-- extension needs the sequence of an id.
CREATE TEMPORARY TABLE changes AS
SELECT v.change, c."table", c."column", (pg_temp.said_after(array_remove(v.statements, ''))).*
FROM columns c, LATERAL (VALUES
	('dropped', NOT identity AND relname = 'braze_queue', ARRAY[format('ALTER TABLE %s DROP %I CASCADE', "table", "column")]),
	('may be null', attnotnull AND NOT identity,
		ARRAY[CASE WHEN key THEN format('ALTER TABLE %s DROP CONSTRAINT %s', "table", relname || '_pkey') ELSE '' END,
		format('ALTER TABLE %s ALTER %I DROP NOT NULL', "table", "column")]),
	('another type', relname IN ('braze_queue', 'braze_profiles'),
		ARRAY[CASE WHEN identity THEN '' ELSE format('ALTER TABLE %s ALTER %I DROP DEFAULT', "table", "column") END,
		CASE WHEN checked THEN format('ALTER TABLE %s DROP CONSTRAINT %s', "table", relname || '_' || "column" || '_check') ELSE '' END,
		format('ALTER TABLE %s ALTER %I TYPE %s USING NULL', "table", "column",
			CASE WHEN type = 'bigint' THEN 'int' WHEN type LIKE '%[]' THEN 'text' ELSE 'bigint[]' END)]),
	('another collation', bytewise, ARRAY[format('ALTER TABLE %s ALTER %I TYPE text COLLATE "POSIX"', "table", "column")]),
	('no identity', identity, ARRAY[format('ALTER EXTENSION segment_braze DROP SEQUENCE %s', relname || '_id_seq'), format('ALTER TABLE %s ALTER %I DROP IDENTITY', "table", "column")]),
	('not generated', generated, ARRAY[format('ALTER TABLE %s ALTER %I DROP EXPRESSION', "table", "column")])
) v (change, possible, statements)
WHERE v.possible;
SELECT change, count(said) > 0 AS said, string_agg("table" || '.' || "column", ', ') FILTER (WHERE said IS NULL) AS not_said
FROM changes GROUP BY change ORDER BY change COLLATE "C";
SELECT change, said, hint FROM changes
WHERE "table" = 'braze_queue'::regclass AND "column" IN ('id', 'destination', 'call')
	OR "table" = 'braze_dead_letters'::regclass AND "column" = 'user_hash'
ORDER BY "table", "column" COLLATE "C", change COLLATE "C";

-- the primary key
SELECT said, hint FROM unnest(ARRAY[
	'ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_pkey',
	'ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_pkey, ADD PRIMARY KEY (destination, id)',
	'ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_pkey, ADD CONSTRAINT "A key" PRIMARY KEY (id, queued_at)',
	'ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_pkey, ADD PRIMARY KEY (id) INCLUDE (call_kind)',
	'ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_pkey, ADD PRIMARY KEY (id) DEFERRABLE',
	'ALTER TABLE braze_profiles DROP CONSTRAINT braze_profiles_pkey, ADD PRIMARY KEY ("user", destination)'
]) change, pg_temp.said_after(ARRAY[change]);

-- what does no harm
SELECT change, coalesce(said, 'nothing') AS said FROM unnest(ARRAY[
	'ALTER TABLE braze_queue RENAME call TO called',
	'ALTER TABLE braze_queue ADD more text DEFAULT ''a''',
	'ALTER TABLE braze_queue ALTER id SET GENERATED ALWAYS',
	'ALTER TABLE braze_queue ALTER call SET STORAGE EXTERNAL',
	'ALTER TABLE braze_dead_letters ALTER attempts DROP DEFAULT',
	'ALTER TABLE braze_queue DROP CONSTRAINT braze_queue_pkey, ADD CONSTRAINT other PRIMARY KEY (id)'
]) change, pg_temp.said_after(ARRAY[change]);

-- rows that cannot be are not inserted, and can be deleted
SAVEPOINT s;
ALTER TABLE braze_queue ALTER call DROP NOT NULL;
INSERT INTO braze_queue (destination) VALUES ('braze');
ROLLBACK TO s;
ALTER TABLE braze_queue ALTER call DROP NOT NULL, DISABLE TRIGGER USER;
INSERT INTO braze_queue (destination) VALUES ('braze');
ALTER TABLE braze_queue ENABLE TRIGGER USER;
DELETE FROM braze_queue WHERE call IS NULL;
ALTER TABLE braze_queue ALTER call SET NOT NULL;
SELECT count(*) FROM braze_queued();

-- also after a call in the same transaction
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
SELECT braze_track('u1', 'A') IS NOT NULL AS queued;
ALTER TABLE braze_queue ALTER destination DROP NOT NULL;
SELECT braze_track('u1', 'A');
ROLLBACK;
