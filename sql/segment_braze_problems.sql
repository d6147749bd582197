-- What is wrong with delivery now, a line each; nothing when all is well:
--
--	psql -X -At -d shop -f segment_braze_problems.sql
--
-- For members of pg_monitor.  It asks for numbers that cost the same however
-- much is queued, so it may run every minute.  doc/monitoring.md says more.

SELECT concat_ws(': ', current_database(), destination, problem)
FROM (
	SELECT NULL AS destination, 'there is no worker, nothing is delivered' AS problem
	FROM braze_metrics()
	WHERE name = 'segment_braze_worker_running' AND value = 0
	UNION ALL
	SELECT destination, CASE
			WHEN state IN ('paused', 'not_started', 'off') THEN
				format('%s, and calls wait', CASE state WHEN 'not_started' THEN 'not started here' ELSE state END)
			WHEN state <> 'no_worker' AND age > 900 AND coalesce(success_age, age) > 900 THEN
				format('%s, and nothing was delivered for %s minutes', state, (least(success_age, age) / 60)::int)
			WHEN state <> 'no_worker' AND age > 3600 THEN format('the oldest call has waited for %s minutes', (age / 60)::int)
		END
	FROM (
		SELECT destination,
			min(labels ->> 'state') FILTER (WHERE name = 'segment_braze_destination_state' AND value = 1) AS state,
			sum(value) FILTER (WHERE name = 'segment_braze_oldest_call_id') AS oldest,
			sum(value) FILTER (WHERE name = 'segment_braze_oldest_call_age_seconds') AS age,
			sum(value) FILTER (WHERE name = 'segment_braze_last_success_age_seconds') AS success_age
		FROM braze_metrics()
		WHERE destination IS NOT NULL
		GROUP BY destination
	) d
	WHERE oldest > 0
) p
WHERE problem IS NOT NULL AND NOT pg_is_in_recovery()
ORDER BY destination NULLS FIRST;
