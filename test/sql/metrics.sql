-- braze_metrics(): who may call it, and names and labels as Prometheus wants
-- them The numbers are in shared memory, so the library has to be preloaded.
SELECT NOT 'segment_braze' = ANY (string_to_array(current_setting('shared_preload_libraries'), ',')) AS not_preloaded \gset
\if :not_preloaded
\quit
\endif
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER "a ""b""" FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');

CREATE ROLE metrics_reader;
CREATE ROLE metrics_monitor IN ROLE pg_monitor;
SELECT has_function_privilege('metrics_reader', 'braze_metrics()', 'EXECUTE') AS reader,
	has_function_privilege('metrics_monitor', 'braze_metrics()', 'EXECUTE') AS monitor;
SET LOCAL ROLE metrics_monitor;
SELECT count(*) > 0 AS monitor_reads FROM braze_metrics();
RESET ROLE;
-- destinations of other tests may still have a place in shared memory
CREATE TEMP VIEW seen AS
	SELECT * FROM braze_metrics() WHERE destination IS NULL OR destination = 'a "b"';

-- a destination has its numbers once a call was queued for it
SELECT count(*) FROM seen WHERE destination IS NOT NULL;
SELECT braze_track('u1', 'A', destination => 'a "b"') IS NOT NULL AS queued;
SELECT DISTINCT destination FROM seen ORDER BY 1;
SELECT name, count(*) AS series, string_agg(DISTINCT keys, ' ') AS labels
FROM seen, LATERAL (
	SELECT string_agg(key, ',' ORDER BY key) AS keys FROM jsonb_object_keys(labels) key) k
WHERE name NOT LIKE 'segment_braze_pending_%' AND name <> 'segment_braze_dead_letters' GROUP BY name ORDER BY name COLLATE "C";
SELECT labels ->> 'kind' AS kind FROM seen WHERE name = 'segment_braze_accepted_objects_total';
SELECT DISTINCT labels ->> 'endpoint' AS endpoint FROM seen WHERE name = 'segment_braze_requests_total' ORDER BY 1;
SELECT string_agg(labels ->> 'le', ' ') AS bounds FROM seen
WHERE name = 'segment_braze_request_duration_seconds_bucket';

-- the rules for names, units and label values; no series stands twice
SELECT name FROM seen WHERE name !~ '^segment_braze_[a-z][a-z_]*[a-z]$';
SELECT name, labels FROM seen, jsonb_each(labels) l
WHERE l.key !~ '^[a-z][a-z_]*$' OR jsonb_typeof(l.value) <> 'string';
SELECT DISTINCT name FROM seen WHERE name ~ '(milliseconds|_ms|_kb|_minutes)(_|$)';
SELECT destination, name, labels FROM seen GROUP BY 1, 2, 3 HAVING count(*) > 1;
SELECT name FROM seen WHERE value = 'NaN' OR value < 0;

-- what is not committed does not count
SELECT value FROM seen WHERE name = 'segment_braze_queued_calls_total';
ROLLBACK;
