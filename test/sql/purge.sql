-- braze_purge: which calls and dead letters its arguments choose.
\set ON_ERROR_ROLLBACK on
BEGIN;
SET LOCAL client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
CREATE SERVER other FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');
CREATE FUNCTION call(text) RETURNS jsonb LANGUAGE sql
AS $$ SELECT jsonb_build_object('type', 'track', 'userId', $1, 'event', 'e') $$;

INSERT INTO braze_queue (destination, call, queued_at) VALUES
	('braze', call('old'), '2026-01-01'),
	('braze', call('new'), '2026-01-03'),
	('other', call('other'), '2026-01-01'),
	('gone', call('gone'), '2026-01-01');
INSERT INTO braze_dead_letters (destination, call, reason, queued_at, failed_at) VALUES
	('braze', call('old letter'), 'no email', '2026-01-01', '2026-01-01'),
	('braze', call('new letter'), 'no user', '2026-01-01', '2026-01-03'),
	('other', call('other letter'), 'no email', '2026-01-01', '2026-01-01'),
	(NULL, call('letter of none'), 'no server', '2026-01-01', '2026-01-01');
CREATE VIEW left_over AS
SELECT (SELECT string_agg(call ->> 'userId', ', ' ORDER BY id) FROM braze_queue) AS queue,
	(SELECT string_agg(call ->> 'userId', ', ' ORDER BY id) FROM braze_dead_letters) AS letters;

SAVEPOINT start;
SELECT braze_purge('braze');
TABLE left_over;
ROLLBACK TO start;
SELECT braze_purge('braze', before => '2026-01-03');
TABLE left_over;
ROLLBACK TO start;
SELECT braze_purge('braze', 'dead letters');
TABLE left_over;
ROLLBACK TO start;
SELECT braze_purge('braze', 'dead letters', '%user');
TABLE left_over;
ROLLBACK TO start;
SELECT braze_purge('braze', 'dead letters', 'no%', '2026-01-02');
TABLE left_over;
ROLLBACK TO start;
SELECT braze_purge('braze', 'both', before => '2026-01-02');
TABLE left_over;
ROLLBACK TO start;
SELECT braze_purge('gone', 'both');
TABLE left_over;
ROLLBACK TO start;
SELECT braze_purge('nobody', 'both');
SELECT braze_purge(NULL, 'dead letters', '%server%');
TABLE left_over;
ROLLBACK TO start;
SELECT braze_purge(NULL, 'both');
TABLE left_over;
ROLLBACK TO start;

-- a call that is queued again takes its letter along, and keeps it from being a
-- letter
SELECT braze_retry(reason => 'no email', destination => 'braze');
SELECT braze_purge('braze', 'dead letters');
TABLE left_over;
SELECT braze_purge('braze');
TABLE left_over;
ROLLBACK TO start;

-- unless somebody deleted it from the queue
SELECT braze_retry(reason => 'no email', destination => 'braze');
DELETE FROM braze_queue WHERE dead_letter IS NOT NULL;
SELECT braze_purge('braze', 'dead letters');
TABLE left_over;

-- what makes no sense
SELECT braze_purge('braze', 'everything');
SELECT braze_purge('braze', NULL);
SELECT braze_purge('braze', reason => '%');
SELECT braze_purge('braze', 'both', '%');
ROLLBACK;
