-- Compares what was committed at the origins with what the delivery node has
-- queued, and with what the writers were told.  Numbers of different origins
-- differ.  After a failover to an asynchronous standby a number may be that of
-- another call, whatever was queued with it by the old primary; the time, which
-- is that of its transaction, tells the two apart.  Not every call has a nonce.
-- Variables: asynchronous.

CREATE TABLE outcomes AS
SELECT entry->>'transaction' AS transaction, entry->>'outcome' AS outcome, (c->>0)::name AS destination, (c->>1)::bigint AS number, c->>2 AS nonce,
	(c->>3)::timestamptz AS queued_at
FROM outcome_lines, jsonb_array_elements(entry->'calls') c;
CREATE INDEX ON outcomes (destination, queued_at);
CREATE INDEX ON committed (destination, number);
CREATE INDEX ON committed (who) WHERE 'link' = ANY (parts);
ANALYZE;

CREATE TABLE queued AS
SELECT q.id, q.destination, q.queued_at, q.call, coalesce((q.call->'properties'->>'number')::bigint,
	(SELECT substring(key FROM 2)::bigint FROM jsonb_object_keys(q.call->'traits') key WHERE key ~ '^n\d+$'),
	substring(q.call->>'groupId' FROM 2)::bigint,
	-- these have the number that follows that of the call before
	(SELECT number FROM committed c WHERE (c.destination, c.queued_at) = (q.destination, q.queued_at) AND c.kind IN ('alias', 'delete')
		AND 'link' = ANY (c.parts) AND coalesce(q.call->>'previousId', q.call->>'userId') = ANY (c.who))) AS number
FROM braze_queue q;
CREATE INDEX ON queued (destination, number);
ANALYZE queued;

CREATE TABLE violations (what text NOT NULL, detail text);

INSERT INTO violations
SELECT 'lost', format('%s of %s (%s)', number, origin, kind)
FROM committed c WHERE NOT EXISTS (SELECT FROM queued q WHERE (q.destination, q.number, q.queued_at) = (c.destination, c.number, c.queued_at));

INSERT INTO violations
SELECT 'queued twice', format('%s, %s times', number, count(*)) FROM queued GROUP BY destination, number, queued_at, call HAVING count(*) > 1;

-- What an old primary lost may have been collected before; the number of an
-- alias or a deletion is lost with it.
CREATE TABLE gone AS
SELECT q.id, q.number, coalesce((SELECT string_agg(DISTINCT o.outcome, ', ') FROM outcomes o
	WHERE (o.destination, o.queued_at) = (q.destination, q.queued_at) AND o.number = coalesce(q.number, o.number)), 'unheard of') AS outcome
FROM queued q
WHERE NOT EXISTS (SELECT FROM committed c WHERE (c.destination, c.number, c.queued_at) = (q.destination, q.number, q.queued_at));

INSERT INTO violations
SELECT 'not committed', format('%s at %s (%s)', number, id, outcome)
FROM gone WHERE NOT :asynchronous OR outcome !~ 'acknowledged|unknown';

INSERT INTO violations
SELECT 'order', format('%s of %s at %s came after %s', number, who, origin, highest)
FROM (
	SELECT c.destination, c.origin, w.who, q.number, max(q.number) OVER (
		PARTITION BY c.destination, c.origin, w.who ORDER BY q.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
	FROM queued q JOIN committed c USING (destination, number, queued_at) CROSS JOIN LATERAL unnest(c.who) AS w(who)) o
WHERE number < highest;

INSERT INTO violations
SELECT 'dead letter', format('%s: %s', id, reason) FROM braze_dead_letters;

CREATE TABLE forgotten AS
SELECT o.number, o.transaction
FROM outcomes o LEFT JOIN committed c USING (destination, number, nonce, queued_at) WHERE o.outcome = 'acknowledged' AND c.number IS NULL;

INSERT INTO violations
SELECT 'acknowledged, but not committed', format('%s in %s', number, transaction)
FROM forgotten WHERE NOT :asynchronous;

INSERT INTO violations
SELECT 'rolled back, but committed', format('%s in %s (%s)', o.number, o.transaction, o.outcome)
FROM outcomes o JOIN committed c USING (destination, number, nonce, queued_at) WHERE o.outcome IN ('rolled back', 'failed');

CREATE TABLE figures (position int GENERATED ALWAYS AS IDENTITY, what text, figure text);
INSERT INTO figures (what, figure)
SELECT 'calls committed at ' || origin, count(*)::text FROM committed GROUP BY origin ORDER BY origin;
INSERT INTO figures (what, figure)
SELECT 'calls queued at the delivery node', count(*)::text FROM queued;
INSERT INTO figures (what, figure)
SELECT 'transactions ' || outcome, count(*)::text FROM (SELECT entry->>'outcome' AS outcome FROM outcome_lines) o GROUP BY outcome ORDER BY outcome;
INSERT INTO figures (what, figure)
SELECT 'calls acknowledged, and lost with an old primary', count(*)::text FROM forgotten;
INSERT INTO figures (what, figure)
SELECT 'calls queued, and lost with an old primary', count(*)::text FROM gone;
INSERT INTO figures (what, figure)
SELECT '  of them with the number of another call', count(*)::text FROM gone WHERE number IN (SELECT number FROM committed);
INSERT INTO figures (what, figure)
SELECT 'violation: ' || v.what, count(w.what)::text
FROM unnest(ARRAY['lost', 'queued twice', 'not committed', 'order', 'dead letter', 'acknowledged, but not committed', 'rolled back, but committed'])
	WITH ORDINALITY v(what, n) LEFT JOIN violations w USING (what) GROUP BY v.what, v.n ORDER BY v.n;
