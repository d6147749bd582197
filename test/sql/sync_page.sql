-- The examples of doc/syncs.md run, and queue what the page says.
\set ON_ERROR_STOP on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01', app_identifier 'app');
\! awk '/^\140\140\140sql/ { on = 1; next } /^\140\140\140/ { on = 0 } on' doc/syncs.md > results/sync_examples.sql
\o results/sync_examples.out
\set ECHO none
\i results/sync_examples.sql
\set ECHO all
\o

SELECT sync, added, changed, removed, unchanged, rejected, error FROM braze_sync_runs ORDER BY started;
SELECT m.endpoint, m.kind, m.payload, m.notes
FROM braze_queue q, braze_map(q.call, 'braze') m
ORDER BY m.kind, m.payload ->> 'external_id', q.id;
ROLLBACK;
