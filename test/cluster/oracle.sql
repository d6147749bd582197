-- What the oracle of test/torture cannot know: what the writers were told of
-- their transactions, and which node sent a request.  Variables: asynchronous.

CREATE TABLE outcomes AS
SELECT entry->>'transaction' AS transaction, entry->>'outcome' AS outcome, (c->>0)::name AS destination, (c->>1)::bigint AS number, c->>2 AS nonce
FROM outcome_lines, jsonb_array_elements(entry->'calls') c;
CREATE INDEX ON outcomes (destination, number, nonce);

-- A standby that is behind has not settled what was settled, and so is more
-- than what was in flight.
CREATE TABLE tolerated AS
SELECT * FROM violations
WHERE :asynchronous AND what IN ('too much was sent again', 'counted more than was delivered', 'not counted', 'duplicate', 'an older value stands');
DELETE FROM violations WHERE what IN (SELECT what FROM tolerated);

-- A call in the ledger that no database has.
CREATE TABLE ghosts AS
SELECT DISTINCT s.destination, s.number, s.nonce, coalesce(o.outcome, 'unheard of') AS outcome
FROM seen s
LEFT JOIN committed c USING (destination, number, nonce)
LEFT JOIN outcomes o USING (destination, number, nonce)
WHERE c.number IS NULL;

CREATE TABLE gone AS
SELECT o.*, EXISTS (SELECT FROM ghosts g WHERE (g.destination, g.number, g.nonce) = (o.destination, o.number, o.nonce)) AS sent
FROM outcomes o LEFT JOIN committed c USING (destination, number, nonce)
WHERE o.outcome = 'acknowledged' AND c.number IS NULL;

INSERT INTO violations
SELECT 'acknowledged, but not committed', destination, format('%s in %s', number, transaction) FROM gone WHERE NOT :asynchronous;

INSERT INTO violations
SELECT 'rolled back, but committed', o.destination, format('%s in %s (%s)', o.number, o.transaction, o.outcome)
FROM outcomes o JOIN committed c USING (destination, number, nonce) WHERE o.outcome IN ('rolled back', 'failed');

INSERT INTO violations
SELECT 'rolled back, but sent', destination, format('%s (%s)', number, outcome) FROM ghosts WHERE outcome IN ('rolled back', 'failed');

DELETE FROM violations WHERE :asynchronous AND what = 'not committed';

-- Each request, and which node sent it.  A node that was frozen is not the
-- leader from its thaw on, until it is back.
CREATE TABLE sent AS
SELECT r.destination, r.position, substring(r.entry->>'key' FROM '^key-of-[a-z]+-(.*)$') AS node, count(o.position) AS objects
FROM ledger r LEFT JOIN ledger o ON (o.destination, o.life, o.request, o.line) = (r.destination, r.life, r.request, 'object')
WHERE r.line = 'request'
GROUP BY r.destination, r.position, r.entry;
CREATE INDEX ON sent (destination, position);
ANALYZE;

CREATE TABLE marks AS
SELECT destination, position, string_to_array(entry->>'text', ' ') AS word FROM ledger WHERE line = 'mark';

CREATE TABLE thaws AS
SELECT f.destination, f.word[2]::int AS round, f.word[3] AS node, count(s.position) AS requests, coalesce(sum(s.objects), 0) AS objects
FROM marks f
JOIN marks t ON t.destination = f.destination AND t.word[1:2] = ARRAY['thawed', f.word[2]]
JOIN marks b ON b.destination = f.destination AND b.word[1:2] = ARRAY['back', f.word[2]]
LEFT JOIN sent s ON s.destination = f.destination AND s.node = f.word[3] AND s.position BETWEEN t.position AND b.position
WHERE f.word[1] = 'frozen'
GROUP BY f.destination, f.word;

INSERT INTO violations
SELECT 'sent by an old leader after its thaw', destination, format('%s requests of %s in round %s', requests, node, round)
FROM thaws WHERE requests > 0 AND NOT :asynchronous;

-- The nodes that sent, one after the other, must be among those that led, in
-- the same order: one that sends while another one leads is not.
CREATE TABLE turns AS
SELECT destination, turn, min(node) AS node, min(position) AS began, count(*) AS requests
FROM (
	SELECT *, count(*) FILTER (WHERE changed) OVER (PARTITION BY destination ORDER BY position) AS turn
	FROM (SELECT *, node IS DISTINCT FROM lag(node) OVER (PARTITION BY destination ORDER BY position) AS changed FROM sent) c) t
GROUP BY destination, turn;

-- The sums are written a second later than what they count is settled, and a
-- node that is promoted may lack them.  When the old one ended is not known so
-- well as with a kill: at any time until the cluster was whole again, or, if
-- nothing was done to it, after its last request.  What does not concern the
-- leader costs no sums.
DELETE FROM violations WHERE what = 'not counted';
DELETE FROM uncertain_times;
INSERT INTO uncertain_times
SELECT e.destination, l.life, max(l.ms) FILTER (WHERE l.position < e.began) - 5000, max(l.ms)
FROM (
	SELECT b.destination, b.position AS began, min(w.position) AS ended
	FROM marks b JOIN marks w ON w.destination = b.destination AND w.position > b.position AND w.word[1] = 'leads'
	WHERE b.word[1] = 'before' AND array_to_string(b.word[3:], ' ') NOT IN ('SIGKILL of a replica and its Patroni', 'patronictl reinit', 'SIGKILL of pgbouncer')
	GROUP BY b.destination, b.position
	UNION ALL
	SELECT t.destination, max(s.position) + 1, t.began
	FROM turns t JOIN sent s ON s.destination = t.destination AND s.position < t.began
	GROUP BY t.destination, t.began) e
JOIN ledger l ON l.destination = e.destination AND l.ms IS NOT NULL AND l.position < e.ended
GROUP BY e.destination, l.life, e.began, e.ended;
INSERT INTO violations SELECT * FROM not_counted WHERE NOT :asynchronous;
UPDATE figures SET figure = (SELECT count(*) FROM violations WHERE what = 'not counted')::text WHERE what = 'violation: not counted';

CREATE TABLE out_of_turn (destination name, turn bigint, node text, requests bigint);
DO $$
DECLARE
	t record;
	last_place int;
	next_place int;
	last_destination name;
BEGIN
	FOR t IN SELECT * FROM turns ORDER BY turns.destination, turn LOOP
		IF t.destination IS DISTINCT FROM last_destination THEN
			last_destination := t.destination;
			last_place := 0;
		END IF;
		SELECT min(place) INTO next_place FROM led l WHERE place > last_place AND l.node = t.node;
		IF next_place IS NULL THEN
			INSERT INTO out_of_turn VALUES (t.destination, t.turn, t.node, t.requests);
		ELSE
			last_place := next_place;
		END IF;
	END LOOP;
END $$;

INSERT INTO violations
SELECT 'two nodes sent in turns', destination, format('%s requests of %s in turn %s', requests, node, turn)
FROM out_of_turn WHERE NOT :asynchronous;

INSERT INTO figures (what, figure)
SELECT 'leaders, one after the other', count(*)::text FROM led;
INSERT INTO figures (what, figure)
SELECT 'requests of ' || node, count(*)::text FROM sent GROUP BY node ORDER BY node;
INSERT INTO figures (what, figure)
SELECT 'transactions ' || outcome, count(DISTINCT entry->>'transaction')::text FROM (SELECT entry, entry->>'outcome' AS outcome FROM outcome_lines) o GROUP BY outcome ORDER BY outcome;
INSERT INTO figures (what, figure)
SELECT 'transactions unknown, but committed', count(DISTINCT o.transaction)::text FROM outcomes o JOIN committed c USING (destination, number, nonce) WHERE o.outcome = 'unknown';
INSERT INTO figures (what, figure)
SELECT 'calls acknowledged, and lost with an old leader', count(*)::text FROM gone;
INSERT INTO figures (what, figure)
SELECT '  of them sent before', count(*) FILTER (WHERE sent)::text FROM gone;
INSERT INTO figures (what, figure)
SELECT 'calls sent that no database has', count(*)::text FROM ghosts;
INSERT INTO figures (what, figure)
SELECT '  ' || outcome, count(*)::text FROM ghosts GROUP BY outcome ORDER BY outcome;
INSERT INTO figures (what, figure)
SELECT 'thaws of an old leader', count(DISTINCT round)::text FROM thaws;
INSERT INTO figures (what, figure)
SELECT '  after which it sent', count(DISTINCT round) FILTER (WHERE requests > 0)::text FROM thaws;
INSERT INTO figures (what, figure)
SELECT '  requests of it', coalesce(sum(requests), 0)::text FROM thaws;
INSERT INTO figures (what, figure)
SELECT '  objects of them', coalesce(sum(objects), 0)::text FROM thaws;
INSERT INTO figures (what, figure)
SELECT 'turns out of the order of the leaders', count(*)::text FROM out_of_turn;
INSERT INTO figures (what, figure)
SELECT 'tolerated: ' || what, count(*)::text FROM tolerated GROUP BY what ORDER BY what;
INSERT INTO figures (what, figure)
SELECT 'violation: ' || v.what, count(w.what)::text
FROM unnest(ARRAY['acknowledged, but not committed', 'rolled back, but committed', 'rolled back, but sent', 'sent by an old leader after its thaw', 'two nodes sent in turns'])
	WITH ORDINALITY v(what, n) LEFT JOIN violations w USING (what) GROUP BY v.what, v.n ORDER BY v.n;
