-- Compares what was committed with what the stand-ins have in their ledgers and
-- with the dead letters.  Table lines (destination, position, entry) is filled;
-- variables: in_flight, the option max_requests_in_flight of the destinations,
-- and timeout, their request_timeout in ms.

CREATE TABLE ledger AS
SELECT destination, position, count(*) FILTER (WHERE entry->>'line' = 'start') OVER (PARTITION BY destination ORDER BY position) AS life,
	entry->>'line' AS line, (entry->>'request')::bigint AS request, (entry->>'connection')::bigint AS connection,
	(entry->>'ms')::bigint AS ms, entry
FROM lines;
CREATE INDEX ON ledger (destination, life, request, line);
ANALYZE ledger;

-- who would rather lose a call than have it counted twice
CREATE TABLE once AS
SELECT srvname FROM pg_foreign_server WHERE 'delivery=at_most_once' = ANY (srvoptions);

-- a dead letter has the number of its call where the call has it
CREATE TABLE letters AS
SELECT d.destination, d.reason, d.state IN ('in doubt', 'in flight') AND once.srvname IS NOT NULL AS doubt, coalesce((d.call->'properties'->>'number')::bigint,
	(SELECT substring(key FROM 2)::bigint FROM jsonb_object_keys(d.call->'traits') key WHERE key ~ '^n\d+$'),
	substring(d.call->>'groupId' FROM 2)::bigint,
	(SELECT number FROM committed c WHERE c.destination = d.destination AND 'link' = ANY (c.parts)
		AND coalesce(d.call->>'previousId', d.call->>'userId') = ANY (c.who) AND c.kind IN ('alias', 'delete'))) AS number
FROM braze_dead_letters d LEFT JOIN once ON once.srvname = d.destination;

CREATE TABLE requests AS
SELECT r.destination, r.life, r.request, r.connection, r.position, r.entry->>'path' AS path, a.position AS answered, (a.entry->>'status')::int AS status,
	a.entry->>'fault' AS fault, e.position AS ended, e.ms - r.ms AS took, coalesce((e.entry->>'complete')::boolean, false) AS complete,
	lead(r.position) OVER (PARTITION BY r.destination, r.life, r.connection ORDER BY r.position) IS NULL AS last,
	a.entry IS NULL OR (a.entry->>'status')::int IN (0, 408, 425) OR (a.entry->>'status')::int >= 500
		OR a.entry->>'fault' IN ('close', 'cut', 'huge', 'broken_json', 'empty', 'not_json') AS failed
FROM ledger r
LEFT JOIN ledger a ON (a.destination, a.life, a.request, a.line) = (r.destination, r.life, r.request, 'answer')
LEFT JOIN ledger e ON (e.destination, e.life, e.request, e.line) = (r.destination, r.life, r.request, 'end')
WHERE r.line = 'request';
CREATE INDEX ON requests (destination, life, request);

-- each kill, and where it lies in the ledger
CREATE TABLE kills AS
WITH marks AS (
	SELECT *, string_to_array(entry->>'text', ' ') AS word FROM ledger WHERE line = 'mark')
SELECT b.destination, b.word[2]::int AS round, array_to_string(b.word[3:], ' ') AS kind, b.position AS began, a.position AS done
FROM marks b JOIN marks a ON a.destination = b.destination AND a.word[2] = b.word[2] AND a.word[1] = 'after'
WHERE b.word[1] = 'before';

-- The parts of calls that were in requests; an attributes object has those of
-- several.  A request that was refused as a whole refuses what was alone in it.
CREATE TABLE seen AS
WITH objects AS (
	SELECT l.destination, l.position, l.life, l.request, r.path, l.entry->>'user' AS who, l.entry->>'kind' AS kind,
		l.entry->'object' AS object,
		CASE WHEN l.entry->>'outcome' IN ('accepted', 'no effect') THEN 'accepted'
			WHEN l.entry->>'outcome' = 'refused' OR r.status = 400 AND count(*) OVER (PARTITION BY l.destination, l.life, l.request) = 1
				THEN 'refused'
			ELSE 'lost' END AS outcome
	FROM ledger l JOIN requests r USING (destination, life, request)
	WHERE l.line = 'object')
SELECT destination, position, life, request, outcome, who, (p->>'number')::bigint AS number, p->>'nonce' AS nonce, p->>'part' AS part
FROM objects o, LATERAL (SELECT object->'properties') AS properties(p)
WHERE path = '/users/track' AND kind IN ('events', 'purchases')
UNION ALL
SELECT destination, position, life, request, outcome, who, substring(a.key FROM '\d+$')::bigint, a.value, 'attributes'
FROM objects, LATERAL jsonb_each_text(object) a
WHERE path = '/users/track' AND kind = 'attributes' AND a.key ~ '^(ab_segment_group_)?n\d+$'
UNION ALL
SELECT o.destination, o.position, o.life, o.request, o.outcome, o.who, c.number, c.nonce, 'link'
FROM objects o LEFT JOIN committed c
	ON c.destination = o.destination AND 'link' = ANY (c.parts) AND substring(o.object::text FROM '"((?:anon|old|gone)\.\d+)"') = ANY (c.who)
WHERE path <> '/users/track';
CREATE INDEX ON seen (destination, number, part);
CREATE INDEX ON seen (destination, position);
ANALYZE;

-- what may not be
CREATE TABLE violations (what text NOT NULL, destination name, detail text);

INSERT INTO violations
SELECT 'not committed', s.destination, format('%s (%s, %s) at %s of the ledger', s.number, s.nonce, s.part, s.position)
FROM seen s LEFT JOIN committed c USING (destination, number, nonce)
WHERE c.number IS NULL OR s.part <> ALL (c.parts);

-- each part, and what became of it
CREATE TABLE parts AS
SELECT c.destination, c.number, c.kind, c.who, p.part,
	min(s.position) FILTER (WHERE s.outcome = 'accepted') AS accepted,
	min(s.position) FILTER (WHERE s.outcome = 'refused') AS refused,
	min(s.position) FILTER (WHERE s.outcome IN ('accepted', 'refused')) AS judged,
	EXISTS (SELECT FROM letters l WHERE l.destination = c.destination AND l.number = c.number) AS dead_letter,
	EXISTS (SELECT FROM letters l WHERE l.destination = c.destination AND l.number = c.number AND l.doubt) AS doubt
FROM committed c CROSS JOIN LATERAL unnest(c.parts) AS p(part)
LEFT JOIN seen s USING (destination, number, nonce, part)
GROUP BY c.destination, c.number, p.part;
CREATE INDEX ON parts (destination, number);

-- An accepted deletion takes the dead letters of the user along, and a link to
-- somebody of whom nothing is known to be accepted by then is not made.
INSERT INTO violations
SELECT 'lost', p.destination, format('%s (%s, %s)', p.number, p.kind, p.part)
FROM parts p
WHERE p.accepted IS NULL AND NOT (p.dead_letter AND p.refused IS NOT NULL) AND NOT p.doubt
AND NOT ((p.refused IS NOT NULL OR p.destination IN (SELECT srvname FROM once)) AND EXISTS (
	SELECT FROM parts d WHERE d.destination = p.destination AND d.kind = 'delete' AND d.who[1] = p.who[1] AND d.accepted IS NOT NULL))
AND NOT (p.kind = 'join' AND p.part = 'link' AND EXISTS (
	SELECT FROM parts b JOIN parts j USING (destination)
	WHERE destination = p.destination AND b.kind = 'Before' AND b.who[1] = p.who[2] AND j.number = p.number AND j.part = 'attributes'
	AND (b.accepted IS NULL OR b.doubt OR b.accepted > j.judged OR b.refused < j.judged)));

INSERT INTO violations
SELECT 'dead letter that nothing refused', destination, format('%s (%s)', number, min(kind))
FROM parts GROUP BY destination, number
HAVING bool_or(dead_letter) AND bool_and(refused IS NULL AND NOT doubt);

INSERT INTO violations
SELECT 'dead letter of no committed call', destination, number::text
FROM letters l WHERE NOT EXISTS (SELECT FROM committed c WHERE c.destination = l.destination AND c.number = l.number);

INSERT INTO violations
SELECT 'poison that is no dead letter', destination, format('%s (%s)', number, kind)
FROM parts WHERE kind IN ('Poison', 'Malformed', 'poisoned identify') AND NOT dead_letter;

INSERT INTO violations
SELECT 'still in the queue', destination, id::text FROM braze_queue;

-- Order per user among first deliveries.  What was refused was in its place
-- then, and when the call is sent again without the bad one it comes later.
INSERT INTO violations
SELECT 'order', destination, format('%s of %s came after %s', number, who, highest)
FROM (
	SELECT p.destination, w.who, p.number, max(p.number) OVER (
		PARTITION BY p.destination, w.who ORDER BY p.judged, p.number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS highest
	FROM parts p CROSS JOIN LATERAL unnest(p.who) AS w(who)
	WHERE p.judged IS NOT NULL) o
WHERE number < highest;

-- What is left out because Braze has it, Braze has: after each object, the plan
-- is that of the last call in it.
CREATE TABLE plans AS
SELECT destination, who, position, first_value(plan) OVER (PARTITION BY destination, who, sent ORDER BY position) AS plan,
	(SELECT c.plan FROM seen s JOIN committed c USING (destination, number)
	WHERE s.destination = p.destination AND s.position = p.position AND c.plan IS NOT NULL
	ORDER BY c.number DESC LIMIT 1) AS expected
FROM (
	SELECT destination, position, entry->>'user' AS who, entry->'object'->>'plan' AS plan,
		count(entry->'object'->>'plan') OVER (PARTITION BY destination, entry->>'user' ORDER BY position) AS sent
	FROM ledger
	WHERE line = 'object' AND entry->>'kind' = 'attributes' AND entry->>'outcome' IN ('accepted', 'no effect')) p;

-- A call that is sent again may find a later one's value there, of a request of
-- which nobody knew that it was accepted: the later one is sent again, too.
INSERT INTO violations
SELECT 'an older value stands', p.destination, format('plan of %s is %s, not %s, at %s of the ledger', p.who, p.plan, p.expected, p.position)
FROM plans p
WHERE p.plan <> p.expected AND NOT EXISTS (
	SELECT FROM seen later JOIN committed c USING (destination, number)
	WHERE later.destination = p.destination AND later.who = p.who AND later.outcome = 'accepted' AND later.position < p.position
		AND c.plan = p.plan AND c.number > (SELECT max(s.number) FROM seen s
			WHERE s.destination = p.destination AND s.position = p.position));

-- Whatever was sent twice, the last value stands.  Of a call in doubt nobody
-- knows whether its value does.
INSERT INTO violations
SELECT 'an older value stands', e.destination, format('plan of %s is %s, not %s, in the end', e.who, a.plan, e.plan)
FROM (
	SELECT DISTINCT ON (c.destination, c.who[1]) c.destination, c.who[1] AS who, c.plan
	FROM committed c JOIN parts p USING (destination, number)
	WHERE c.plan IS NOT NULL AND NOT p.dead_letter AND c.destination NOT IN (SELECT srvname FROM once)
	ORDER BY c.destination, c.who[1], c.number DESC) e
LEFT JOIN (SELECT DISTINCT ON (destination, who) * FROM plans ORDER BY destination, who, position DESC) a USING (destination, who)
WHERE a.plan IS DISTINCT FROM e.plan;

-- Why something came twice, by how the request ended in which it came before.
CREATE TABLE duplicates AS
WITH deliveries AS (
	SELECT *, lead(position) OVER w AS next_position, lead(life) OVER w AS next_life, lead(request) OVER w AS next_request
	FROM seen WHERE outcome = 'accepted'
	WINDOW w AS (PARTITION BY destination, number, nonce, part ORDER BY position))
SELECT d.destination, d.number, d.part, d.position, d.next_position, n.position AS sent_again, k.round, k.kind,
	CASE
		WHEN d.life = d.next_life AND d.request = d.next_request THEN 'the same request'
		WHEN r.failed AND r.answered IS NOT NULL THEN 'a fault'
		WHEN k.round IS NOT NULL AND (r.ended IS NULL OR r.ended > k.began AND NOT r.complete) THEN 'under way when killed'
		WHEN k.round IS NOT NULL AND r.complete THEN 'not settled when killed'
		WHEN NOT r.complete THEN 'the connection ended'
		WHEN r.last AND n.life > r.life THEN 'the stand-in ended'
		WHEN r.last AND r.took > :timeout / 2 THEN 'the answer came late'
		ELSE 'no reason'
	END AS cause
FROM deliveries d
JOIN requests r USING (destination, life, request)
JOIN requests n ON n.destination = d.destination AND n.life = d.next_life AND n.request = d.next_request
LEFT JOIN LATERAL (
	SELECT * FROM kills k
	WHERE k.destination = d.destination AND r.position < k.done AND n.position > k.began
	ORDER BY r.position > k.began, k.began LIMIT 1) k ON true
WHERE d.next_position IS NOT NULL;

INSERT INTO violations
SELECT 'duplicate', destination, format('%s (%s) at %s and %s of the ledger: %s', number, part, position, next_position, cause)
FROM duplicates WHERE cause IN ('no reason', 'the same request');

INSERT INTO violations
SELECT 'sent twice, not at most once', destination, format('%s (%s) at %s and %s of the ledger: %s', number, part, position, next_position, cause)
FROM duplicates WHERE destination IN (SELECT srvname FROM once);

-- What belongs together counts once, as its first request: the halves of one
-- that was refused as a whole, and the several that a large call needs.
CREATE TABLE attempts AS
SELECT destination, number, position, failed, kills,
	first_value(position) OVER (PARTITION BY destination, number, kills, failures ORDER BY position) AS first
FROM (
	SELECT *, count(*) FILTER (WHERE failed) OVER (PARTITION BY destination, number, kills ORDER BY position
		ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS failures
	FROM (
		SELECT DISTINCT s.destination, s.number, r.position, r.failed OR r.status = 429 AS failed,
			(SELECT count(*) FROM kills k WHERE k.destination = r.destination AND k.began < r.position) AS kills
		FROM seen s JOIN requests r USING (destination, life, request)) a) b;
CREATE INDEX ON attempts (destination, number);

CREATE TABLE resent AS
SELECT a.*, r.ended IS NULL OR r.ended > k.began AS under_way, (
		SELECT count(DISTINCT s.part) FROM seen s
		WHERE s.destination = a.destination AND s.number = a.number AND s.outcome IN ('accepted', 'refused') AND s.position < k.done
		AND NOT EXISTS (SELECT FROM kills b WHERE b.destination = a.destination AND b.began < a.position AND b.began > s.position)
	) = (SELECT cardinality(c.parts) FROM committed c WHERE c.destination = a.destination AND c.number = a.number) AS complete
FROM (
	SELECT DISTINCT ON (d.destination, d.round, d.number) d.destination, d.round, d.kind, d.number, a.first, a.position
	FROM duplicates d JOIN kills k USING (destination, round) JOIN attempts a ON a.destination = d.destination AND a.number = d.number
	WHERE d.cause LIKE '%when killed' AND a.position < least(k.done, d.sent_again)
	ORDER BY d.destination, d.round, d.number, a.position DESC) a
JOIN kills k USING (destination, round) JOIN requests r USING (destination, position);

-- A call that needs several requests is under way between them, too; the
-- number of those is not bounded by that of requests.
CREATE TABLE resent_requests AS
SELECT destination, round, kind, count(DISTINCT first) AS requests
FROM resent WHERE under_way OR complete GROUP BY destination, round, kind;

INSERT INTO violations
SELECT 'too much was sent again', destination, format('%s requests after %s in round %s', requests, kind, round)
FROM resent_requests WHERE requests > 2 * :in_flight;

-- What was counted is what was delivered, once.  What was settled in the last
-- second before a kill need not be there, and what is accepted is settled a
-- little later.  The kill comes soon after the last request before its mark.  A
-- call with a dead letter may have been in doubt.
CREATE TABLE uncertain_times AS
SELECT k.destination, l.life, max(l.ms) - 2500 AS began, max(l.ms) + 500 AS ended
FROM kills k JOIN ledger l ON l.destination = k.destination AND l.ms IS NOT NULL AND l.position < k.began
WHERE k.kind NOT IN ('SIGKILL of the stand-in', 'end of all connections', 'SIGTERM of the launcher')
GROUP BY k.destination, k.round, l.life;

CREATE VIEW countable AS
SELECT p.destination,
	CASE WHEN p.part = 'event' THEN 'events' WHEN p.part = 'attributes' THEN 'attributes' ELSE 'purchases' END AS kind,
	CASE WHEN p.part = 'event' THEN p.kind WHEN p.part = 'attributes' THEN '' ELSE 'p' || substring(p.part FROM '\d+') END AS name,
	p.dead_letter OR p.doubt OR EXISTS (
		SELECT FROM seen s JOIN ledger a USING (destination, life, request) JOIN uncertain_times t USING (destination, life)
		WHERE s.destination = p.destination AND s.number = p.number AND a.line = 'answer'
			AND a.ms BETWEEN t.began AND t.ended) AS uncertain
FROM parts p
WHERE p.part <> 'link' AND p.accepted IS NOT NULL;

CREATE VIEW counted AS
SELECT d.destination, d.kind, d.name, d.most, d.least, coalesce(a.objects, 0) AS objects
FROM (
	SELECT destination, kind, name, count(*) AS most, count(*) FILTER (WHERE NOT uncertain) AS least
	FROM countable GROUP BY destination, kind, name) d
FULL JOIN (
	SELECT destination, kind, name, sum(objects) AS objects
	FROM braze_activity
	WHERE kind IN ('events', 'purchases') OR kind = 'attributes' AND name = ''
	GROUP BY destination, kind, name) a USING (destination, kind, name);

INSERT INTO violations
SELECT 'counted more than was delivered', destination, format('%s %s: %s of %s', kind, name, objects, coalesce(most, 0))
FROM counted WHERE objects > coalesce(most, 0);

CREATE VIEW not_counted AS
SELECT 'not counted' AS what, destination, format('%s %s: %s of %s to %s', kind, name, objects, least, most) AS detail
FROM counted WHERE objects < least;

INSERT INTO violations TABLE not_counted;

-- the figures
CREATE TABLE figures (position int GENERATED ALWAYS AS IDENTITY, what text, figure text);
INSERT INTO figures (what, figure)
SELECT 'calls committed', count(*)::text FROM committed;
INSERT INTO figures (what, figure)
SELECT '  their parts', count(*)::text FROM parts;
INSERT INTO figures (what, figure)
SELECT '  accepted', count(accepted)::text FROM parts;
INSERT INTO figures (what, figure)
SELECT '  objects of them', count(*)::text FROM countable;
INSERT INTO figures (what, figure)
SELECT '    that may be missing in the sums', count(*)::text FROM countable WHERE uncertain;
INSERT INTO figures (what, figure)
SELECT '    that are', sum(most - objects)::text FROM counted;
INSERT INTO figures (what, figure)
SELECT 'dead letters', count(*)::text FROM letters;
INSERT INTO figures (what, figure)
SELECT '  in flight or in doubt (at_most_once)', count(*)::text FROM letters WHERE doubt;
INSERT INTO figures (what, figure)
SELECT 'requests', count(*)::text FROM requests;
INSERT INTO figures (what, figure)
SELECT '  fault: ' || CASE WHEN fault = 'status' THEN 'status ' || status ELSE fault END, count(*)::text
FROM requests WHERE fault IS NOT NULL GROUP BY 1 ORDER BY 1;
INSERT INTO figures (what, figure)
SELECT '  refused objects', count(*)::text FROM ledger WHERE entry->>'outcome' = 'refused';
INSERT INTO figures (what, figure)
SELECT 'kills: ' || kind, count(DISTINCT round)::text FROM kills GROUP BY kind ORDER BY kind;
INSERT INTO figures (what, figure)
SELECT 'duplicates', count(*)::text FROM duplicates;
INSERT INTO figures (what, figure)
SELECT '  ' || cause, count(*)::text FROM duplicates GROUP BY cause ORDER BY cause;
INSERT INTO figures (what, figure)
SELECT 'requests sent again after a kill, at most', format('%s of %s allowed', coalesce(max(requests), 0), 2 * :in_flight) FROM resent_requests;
INSERT INTO figures (what, figure)
SELECT '  calls between two of their requests', count(*)::text FROM resent WHERE NOT under_way AND NOT complete;
INSERT INTO figures (what, figure)
SELECT 'violation: ' || v.what, count(w.what)::text
FROM unnest(ARRAY['lost', 'not committed', 'order', 'duplicate', 'sent twice, not at most once', 'too much was sent again', 'an older value stands',
	'counted more than was delivered', 'not counted', 'dead letter that nothing refused', 'dead letter of no committed call', 'poison that is no dead letter', 'still in the queue'])
	WITH ORDINALITY v(what, n) LEFT JOIN violations w USING (what) GROUP BY v.what, v.n ORDER BY v.n;
