-- A report on what was delivered to Braze, as one HTML file without scripts:
--
--	psql -d DATABASE -f segment_braze_report.sql -o report.html
--	psql -d DATABASE -v days=90 -f segment_braze_report.sql -o report.html
--
-- It reads the views and tables of the extension segment_braze, and says so
-- where the role may not.  All of it is from one snapshot.
\set QUIET on
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\pset pager off
\pset recordsep '\n'
\pset null ''
\if :{?days}
\else
	\set days 30
\endif

BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL client_encoding = 'UTF8';
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO';
SELECT pg_catalog.set_config('search_path', pg_catalog.format('%s, pg_catalog, pg_temp', extnamespace::regnamespace), true) AS schema
FROM pg_catalog.pg_extension WHERE extname = 'segment_braze' \gset

SELECT pg_catalog.has_table_privilege('braze_status', 'SELECT') AS may_status,
	pg_catalog.has_table_privilege('braze_event_counts', 'SELECT') AS may_events,
	pg_catalog.has_table_privilege('braze_revenue', 'SELECT') AS may_revenue,
	pg_catalog.has_table_privilege('braze_throughput', 'SELECT') AS may_throughput,
	pg_catalog.has_table_privilege('braze_activity_users', 'SELECT') AS may_users,
	pg_catalog.has_table_privilege('braze_dead_letters', 'SELECT') AS may_letters,
	pg_catalog.has_table_privilege('braze_notes', 'SELECT') AS may_notes \gset

-- Text from outside reaches the page only by these two: :as_text of a column t,
-- and :as_rows, the rows of a table from the text arrays "cells" of :rows.
\set as_text 'replace(replace(replace(replace(regexp_replace(t, ''[[:cntrl:]]'', '' '', ''g''), ''&'', ''&amp;''), ''<'', ''&lt;''), ''>'', ''&gt;''), ''"'', ''&quot;'')'
\set as_rows 'SELECT coalesce(string_agg(''<tr>'' || (SELECT string_agg(''<td>'' || coalesce(:as_text, '''') || ''</td>'', '''' ORDER BY i) FROM unnest(cells) WITH ORDINALITY u(t, i)) || ''</tr>'', E''\\n'' ORDER BY place), ''<tr><td class="none">nothing</td></tr>'') FROM (SELECT row_number() OVER () AS place, cells FROM (:rows) r) n'

\qecho '<!DOCTYPE html>'
\qecho '<html lang="en"><head><meta charset="utf-8"/>'
\qecho '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
\qecho '<title>Delivered to Braze</title>'
\qecho '<style>'
\qecho ':root { color-scheme: light dark; --back: #ffffff; --card: #f6f7f9; --text: #1c2330; --dim: #5b6472; --line: #d5d9e0; --bar: #2f6fdb; }'
\qecho '@media (prefers-color-scheme: dark) { :root { --back: #14171c; --card: #1d2128; --text: #e7eaf0; --dim: #a0a8b6; --line: #39404c; --bar: #6da2ff; } }'
\qecho '* { box-sizing: border-box; }'
\qecho 'body { margin: 0 auto; max-width: 1080px; padding: 16px; background: var(--back); color: var(--text); font: 15px/1.45 system-ui, sans-serif; }'
\qecho 'h1 { font-size: 24px; margin: 8px 0; } h2 { font-size: 18px; margin: 32px 0 8px; }'
\qecho 'p { margin: 4px 0 12px; } .dim, .none { color: var(--dim); }'
\qecho '.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 16px; }'
\qecho 'figure, .table { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px; }'
\qecho 'figcaption { font-weight: 600; overflow-wrap: anywhere; } figcaption span { display: block; font-weight: 400; color: var(--dim); }'
\qecho 'svg { display: block; width: 100%; height: auto; } svg text { fill: var(--dim); font: 11px system-ui, sans-serif; }'
\qecho 'svg .bar { fill: var(--bar); } svg line { stroke: var(--line); stroke-width: 1; }'
\qecho '.table { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }'
\qecho 'th, td { text-align: left; vertical-align: top; padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; min-width: 6em; }'
\qecho 'th { color: var(--dim); font-weight: 600; white-space: nowrap; } tr:last-child td { border-bottom: 0; }'
\qecho 'td:nth-child(2) { min-width: 12em; } #status td:last-child { min-width: 24em; }'
\qecho '@media (max-width: 600px) { table { width: 720px; } }'
\qecho '</style></head><body>'

SELECT '<h1>Delivered to Braze</h1><p class="dim">Database ' || (SELECT :as_text FROM (SELECT current_database()::text AS t) d)
	|| ', the last ' || (:'days')::int || ' days, at ' || to_char(now(), 'YYYY-MM-DD HH24:MI') || ' UTC. Days are those of UTC.</p>';

\qecho '<h2>Delivery now</h2><div class="table" id="status">'
\if :may_status
	\set rows 'SELECT ARRAY[destination, state, coalesce(pending::text, ''not counted yet''), coalesce(date_trunc(''second'', oldest_pending)::text, ''''), delivered::text, rejected::text, coalesce(dead_letters::text, ''not counted yet''), coalesce(to_char(last_success, ''YYYY-MM-DD HH24:MI:SS''), ''never''), last_error] AS cells FROM braze_status ORDER BY destination'
	\qecho '<table><thead><tr><th>Destination</th><th>State</th><th>Waiting</th><th>Oldest</th><th>Delivered</th><th>Rejected</th><th>Dead letters</th><th>Last success</th><th>Last error</th></tr></thead><tbody>'
	:as_rows;
	\qecho '</tbody></table><p class="dim">Delivered and rejected count calls since the server started.</p>'
\else
	\qecho '<p class="none">Not shown: this needs SELECT on braze_status.</p>'
\endif
\qecho '</div>'

-- ----- charts: one per destination, what is counted, and unit -----
\if :may_events
	\set events 'SELECT destination, 1 AS place, ''Events'' AS title, '''' AS unit, day, sum(count)::numeric AS value FROM braze_event_counts GROUP BY destination, day'
\else
	\set events 'SELECT '''', 1, '''', '''', current_date, 0::numeric WHERE false'
\endif
\if :may_users
	\set users 'SELECT destination, 2, ''Users with events (estimated)'', '''', day, braze_count_users(sketch)::numeric FROM braze_activity_users WHERE kind = ''events'' GROUP BY destination, day'
\else
	\set users 'SELECT '''', 2, '''', '''', current_date, 0::numeric WHERE false'
\endif
\if :may_revenue
	\set revenue 'SELECT destination, 3, ''Revenue'', currency, day, sum(revenue) FROM braze_revenue GROUP BY destination, currency, day'
\else
	\set revenue 'SELECT '''', 3, '''', '''', current_date, 0::numeric WHERE false'
\endif
\if :may_throughput
	\set cost 'SELECT destination, 4 + n, title, '''', hour::date, sum(value) FROM braze_throughput, LATERAL (VALUES (0, ''Data points sent'', data_points::numeric), (1, ''Data points saved by changed_attributes_only'', data_points_saved)) v(n, title, value) GROUP BY destination, n, title, hour::date'
\else
	\set cost 'SELECT '''', 4, '''', '''', current_date, 0::numeric WHERE false'
\endif

\qecho '<h2>Over time</h2><div class="charts" id="charts">'
WITH given (destination, place, title, unit, day, value) AS (
	:events UNION ALL :users UNION ALL :revenue UNION ALL :cost
), span AS (
	SELECT (now() AT TIME ZONE 'UTC')::date - (:'days')::int + 1 AS first, (:'days')::int AS days
), series AS (
	SELECT destination, place, title, coalesce(unit, '') AS unit, day - first AS at, day, value
	FROM given, span WHERE day >= first AND value IS NOT NULL
), totals AS (
	SELECT destination, place, title, unit, sum(value) AS total, max(value) AS highest,
		CASE WHEN max(value) > 0 THEN 10::numeric ^ floor(log(max(value) / 4)) END AS power
	FROM series GROUP BY destination, place, title, unit HAVING max(value) > 0
), steps AS (
	SELECT *, power * CASE WHEN highest / 4 <= power THEN 1 WHEN highest / 4 <= 2 * power THEN 2
		WHEN highest / 4 <= 5 * power THEN 5 ELSE 10 END AS step FROM totals
), axes AS (
	-- the area of the bars is from 46 to 352 and from 12 to 152
	SELECT *, ceil(highest / step) * step AS top, 306.0 / days AS width FROM steps, span
)
SELECT '<figure><figcaption>' || (SELECT :as_text FROM (SELECT title AS t) x)
	|| '<span>' || (SELECT :as_text FROM (SELECT destination || CASE place WHEN 2 THEN ', at most ' || round(highest) || ' on a day' WHEN 3 THEN ', total ' || trim_scale(total) ELSE ', total ' || round(total) END || rtrim(' ' || unit) AS t) x)
	|| '</span></figcaption><svg viewBox="0 0 360 176" role="img">'
	|| (SELECT string_agg(format('<line x1="46" x2="352" y1="%s" y2="%s"/><text x="42" y="%s" text-anchor="end">%s</text>', y, y, y + 4, label), '' ORDER BY y)
		FROM (SELECT round(152 - 140 * (n * step) / top, 1) AS y,
				CASE WHEN n * step >= 1000000 THEN trim_scale(n * step / 1000000) || 'M' WHEN n * step >= 1000 THEN trim_scale(n * step / 1000) || 'k'
					ELSE trim_scale(n * step)::text END AS label
			FROM generate_series(0, (top / step)::int) n) t)
	|| (SELECT string_agg(format('<rect class="bar" x="%s" y="%s" width="%s" height="%s"><title>%s: %s</title></rect>',
			round(46 + s.at * width, 2), round(152 - 140 * greatest(s.value, 0) / top, 2), round(greatest(width * 0.8, 0.5), 2),
			round(140 * greatest(s.value, 0) / top, 2), s.day, trim_scale(s.value)), '' ORDER BY s.day)
		FROM series s WHERE (s.destination, s.place, s.title, s.unit) = (a.destination, a.place, a.title, a.unit))
	|| (SELECT string_agg(format('<text x="%s" y="170" text-anchor="middle">%s</text>', round(46 + (n + 0.4) * width, 1), to_char(first + n, 'FMDD Mon')), '' ORDER BY n)
		FROM generate_series(days / 10, days - 1, greatest(days / 5, 1)) n)
	|| '</svg></figure>'
FROM axes a ORDER BY destination, place, unit;
\qecho '</div>'
\if :may_events
\else
	\qecho '<p class="none">Events are not shown: this needs SELECT on braze_event_counts.</p>'
\endif
\if :may_users
\else
	\qecho '<p class="none">Users over time are not shown: this needs SELECT on braze_activity_users.</p>'
\endif
\if :may_revenue
\else
	\qecho '<p class="none">Revenue is not shown: this needs SELECT on braze_revenue.</p>'
\endif
\if :may_throughput
\else
	\qecho '<p class="none">Cost is not shown: this needs SELECT on braze_throughput.</p>'
\endif

\qecho '<h2>Top events</h2><div class="table" id="events">'
\if :may_events
	\set rows 'SELECT ARRAY[destination, coalesce(event, ''(further names)''), sum(count)::text, max(users)::text] AS cells FROM braze_event_counts WHERE day > (now() AT TIME ZONE ''UTC'')::date - (:''days'')::int GROUP BY destination, event ORDER BY sum(count) DESC, destination, event LIMIT 20'
	\qecho '<table><thead><tr><th>Destination</th><th>Event</th><th>Count</th><th>Users on the best day (estimated)</th></tr></thead><tbody>'
	:as_rows;
	\qecho '</tbody></table>'
\else
	\qecho '<p class="none">Not shown: this needs SELECT on braze_event_counts.</p>'
\endif
\qecho '</div>'

\qecho '<h2>Refused</h2><div class="table" id="refused">'
\if :may_letters
	\set rows 'SELECT ARRAY[coalesce(destination, ''''), reason, count(*)::text, string_agg(DISTINCT http_status::text, '', ''), to_char(max(failed_at), ''YYYY-MM-DD HH24:MI''), max(id)::text, (array_agg(concat_ws('' '', call ->> ''type'', coalesce(call ->> ''event'', call ->> ''name'')) ORDER BY id DESC))[1]] AS cells FROM braze_dead_letters GROUP BY destination, reason ORDER BY count(*) DESC, destination, reason LIMIT 20'
	\qecho '<table><thead><tr><th>Destination</th><th>Reason</th><th>Dead letters</th><th>HTTP status</th><th>Last</th><th>Its id</th><th>Its call</th></tr></thead><tbody>'
	:as_rows;
	\qecho '</tbody></table>'
\else
	\qecho '<p class="none">Not shown: this needs SELECT on braze_dead_letters.</p>'
\endif
\qecho '</div>'

\qecho '<h2>What the mapping leaves out</h2><div class="table" id="notes">'
\if :may_notes
	\set rows 'SELECT ARRAY[destination, CASE outcome WHEN ''skip'' THEN ''whole call skipped'' WHEN ''reject'' THEN ''call rejected'' ELSE ''sent without it'' END, note, calls::text, to_char(last_at, ''YYYY-MM-DD HH24:MI'')] AS cells FROM braze_notes ORDER BY outcome = ''skip'' DESC, calls DESC, destination, note LIMIT 40'
	\qecho '<table><thead><tr><th>Destination</th><th>What became of it</th><th>Note</th><th>Calls</th><th>Last</th></tr></thead><tbody>'
	:as_rows;
	\qecho '</tbody></table>'
\else
	\qecho '<p class="none">Not shown: this needs SELECT on braze_notes.</p>'
\endif
\qecho '</div>'

\qecho '<h2>Cost</h2><div class="table" id="cost">'
\if :may_throughput
	\set rows 'SELECT ARRAY[destination, coalesce(sum(requests), 0)::text, sum(objects)::text, coalesce(sum(data_points), 0)::text, coalesce(sum(data_points_saved), 0)::text, round(100 * sum(data_points_saved) / nullif(sum(data_points) + sum(data_points_saved), 0))::text || '' %'', sum(refused)::text] AS cells FROM braze_throughput WHERE hour >= ((now() AT TIME ZONE ''UTC'')::date - (:''days'')::int + 1)::timestamptz GROUP BY destination ORDER BY destination'
	\qecho '<table><thead><tr><th>Destination</th><th>Requests</th><th>Objects</th><th>Data points</th><th>Saved by changed_attributes_only</th><th>Saved</th><th>Refused</th></tr></thead><tbody>'
	:as_rows;
	\qecho '</tbody></table>'
\else
	\qecho '<p class="none">Not shown: this needs SELECT on braze_throughput.</p>'
\endif
\qecho '</div></body></html>'
COMMIT;
