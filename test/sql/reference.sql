-- doc/sql.md says what is there, and its examples run.
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL client_min_messages = warning;
\! awk '/^\140\140\140sql/ { on = 1; next } /^\140\140\140/ { on = 0 } on' doc/sql.md > results/reference_examples.sql
\o results/reference_examples.out
\set ECHO none
\i results/reference_examples.sql
\set ECHO all
\o
\set doc `cat doc/sql.md`

-- lines of the option tables that are not on the page as they should be
SELECT line AS missing
FROM (
	SELECT format('| `%s` | %s%s | %s | %s | %s%s |', name, type, ' (' || unit || ')',
			CASE WHEN "default" <> '' THEN '`' || "default" || '`' END, valid_values, description,
			CASE WHEN superuser THEN ' Superuser only.' END) AS line
	FROM braze_options()) o
WHERE strpos(:'doc', line || E'\n') = 0;

-- settings, and functions, tables and views, that are not on it
SELECT name AS missing FROM pg_settings
WHERE name LIKE 'segment\_braze.%' AND strpos(:'doc', '`' || name || '`') = 0
ORDER BY 1;
SELECT DISTINCT name AS missing
FROM pg_depend d, LATERAL (
	SELECT proname AS name FROM pg_proc WHERE d.classid = 'pg_proc'::regclass AND oid = d.objid
	UNION ALL
	SELECT relname FROM pg_class WHERE d.classid = 'pg_class'::regclass AND oid = d.objid AND relkind IN ('r', 'v')) o
WHERE d.refclassid = 'pg_extension'::regclass
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'segment_braze') AND d.deptype = 'e'
	AND strpos(:'doc', name) = 0
ORDER BY 1;

-- columns of tables and views that are not on it
SELECT c.relname, a.attname AS missing
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relname LIKE 'braze\_%' AND c.relkind IN ('r', 'v') AND a.attnum > 0
	AND strpos(:'doc', '`' || a.attname || '`') = 0
ORDER BY 1, 2;

-- what the examples queued is what they say
SELECT call ->> 'type' AS type, count(*) FROM braze_queue GROUP BY 1 ORDER BY 1;
ROLLBACK;
