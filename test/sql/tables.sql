--
-- The tables of a fresh install
--
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE ACCESS METHOD regress_braze_other TYPE TABLE HANDLER heap_tableam_handler;
SET LOCAL default_table_access_method = regress_braze_other;
CREATE EXTENSION IF NOT EXISTS segment_braze;
SET LOCAL default_table_access_method = heap;
CREATE TEMPORARY VIEW tables AS
SELECT c.oid FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND c.relkind = 'r'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'segment_braze');
SELECT count(*) > 0 AS there_are FROM tables;
\set VERBOSITY terse

-- the worker reads and writes heaps
SELECT c.oid::regclass FROM tables JOIN pg_class c USING (oid) JOIN pg_am a ON a.oid = c.relam WHERE a.amname <> 'heap';

-- a new version of a locale must not break an index: text in one is compared
-- byte by byte, and so are the columns
SELECT i.indexrelid::regclass AS index, a.attname
FROM tables t JOIN pg_index i ON i.indrelid = t.oid,
	unnest(i.indkey::int2[], i.indcollation::oid[]) k (attnum, collation_oid)
	JOIN pg_attribute a ON a.attnum = k.attnum
WHERE a.attrelid = t.oid AND a.attcollation <> 0 AND
	('pg_catalog."C"'::regcollation <> ALL (ARRAY[k.collation_oid, a.attcollation]));

-- what the worker writes while it settles, VACUUM does not lock to shorten it
SELECT t.oid::regclass AS "table", c.reloptions @> '{vacuum_truncate=off}' AS stays, o.reloptions @> '{vacuum_truncate=off}' AS toast_stays
FROM tables t JOIN pg_class c USING (oid) LEFT JOIN pg_class o ON o.oid = c.reltoastrelid
WHERE c.reloptions IS NOT NULL
ORDER BY t.oid::regclass::text COLLATE "C";

-- a destination takes up no more than it has letters, and is no longer than a
-- server's name
SELECT a.attrelid::regclass AS "table", format_type(a.atttypid, a.atttypmod) AS type, a.attcollation::regcollation,
	pg_get_constraintdef(c.oid) AS "check"
FROM tables t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'destination'
	LEFT JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'c' AND c.conkey = ARRAY[a.attnum]
ORDER BY a.attrelid::regclass::text COLLATE "C";
SAVEPOINT s;
INSERT INTO braze_queue (destination, call) VALUES (repeat('x', 64), '{}');
ROLLBACK TO s;
INSERT INTO braze_queue (destination, call) VALUES (repeat('é', 32), '{}');
ROLLBACK TO s;
INSERT INTO braze_queue (destination, call) VALUES ('braze', '{"type": "track", "userId": "u1", "event": "A"}');
SELECT pg_column_size(q.*) - pg_column_size(call) < 64 AS little_beside_the_call FROM braze_queue q;

-- what else a row cannot be
INSERT INTO braze_queue (destination, call, call_kind) VALUES ('braze', '{}', 'track');
ROLLBACK TO s;
INSERT INTO braze_dead_letters (destination, call, call_kind, reason, queued_at) VALUES ('braze', '{}', 'track', 'why', now());
ROLLBACK TO s;
INSERT INTO braze_dead_letters (destination, call, state, reason, queued_at) VALUES ('braze', '{}', 'dead', 'why', now());
ROLLBACK TO s;

\set VERBOSITY default

-- a dead letter without a call is left alone, and can be repaired
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
INSERT INTO braze_dead_letters (destination, call, call_text, reason, queued_at) VALUES
	('braze', NULL, '{"type": "track", "userId": "u1", "event": "\u0000"}', 'text', now()),
	('braze', NULL, NULL, 'neither', now()),
	('braze', '{"type": "track", "userId": "u1", "event": "A"}', NULL, 'call', now());
SELECT braze_retry(reason => 'neither');
SELECT braze_retry();
SELECT reason, retry_id IS NOT NULL AS queued FROM braze_dead_letters ORDER BY id;
UPDATE braze_dead_letters SET call = replace(call_text, '\u0000', 'B')::jsonb WHERE reason = 'text';
SELECT braze_retry(reason => 'text');
-- nothing of the call is left to be sent: only joining two identifiers was
-- refused
INSERT INTO braze_dead_letters (destination, call, objects, reason, queued_at) VALUES ('braze', '{"type": "track"}', '{}', 'joining', now());
SELECT braze_retry(reason => 'joining');
SELECT retry_id IS NULL AS kept FROM braze_dead_letters WHERE reason = 'joining';
SELECT braze_purge('braze', 'dead letters');
SELECT q.call, q.call_kind FROM braze_queue q ORDER BY id;
ROLLBACK;
