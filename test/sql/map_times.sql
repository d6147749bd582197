\set ECHO none
\i test/map.psql
\set ECHO all

--
-- Times and dates: one reader for the call's time, birthdays and all others
--
CREATE SERVER times FOREIGN DATA WRAPPER segment_braze OPTIONS (datacenter 'US-01');

-- the same text as a call's time, a birthday, a field of Braze's and a "$time"
CREATE FUNCTION cases.read(value jsonb, OUT call text, OUT birthday text, OUT field text, OUT nested text)
LANGUAGE sql AS $$
	SELECT (SELECT payload->>'time' FROM braze_map(jsonb_build_object('type', 'track', 'userId', 'u1', 'event', 'E',
				'timestamp', value, 'sentAt', '2000-01-01'), 'times')),
		(SELECT payload->>'dob' FROM braze_map(jsonb_build_object('type', 'identify', 'userId', 'u1',
				'traits', jsonb_build_object('birthday', value)), 'times')),
		(SELECT payload->>'date_of_first_session' FROM braze_map(jsonb_build_object('type', 'identify', 'userId', 'u1',
				'traits', jsonb_build_object('date_of_first_session', value)), 'times')),
		(SELECT payload->'x'->>'$time' FROM braze_map(jsonb_build_object('type', 'identify', 'userId', 'u1',
				'traits', jsonb_build_object('x', jsonb_build_object('$time', value))), 'times'))
$$;
\pset null '-'

-- what BigQuery, Mozilla's tables, HTTP, mail and programming languages write
SELECT value, r.* FROM unnest('{
	2013-07-16T19:20:30Z,2013-07-16 19:20:30 UTC,2013-07-16 19:20:30.123456 UTC,2013-07-16T19:20:30 GMT,2013-07-16 19:20:30 utc,
	2013-07-16T19:20:30 +02:00,2013-07-16 19:20:30 -0530,2013-07-16T19:20:30+2,2013-07-16 19:20:30-8,2013-07-16 19:20:30+2:30,2013-07-16T19:20+00:00,
	2013-07-16 19:20:30 UTC+2,2013-07-16T19:20:30 GMT-03:00,
	"2013-07-16T19:20:30,5Z",2013-07-16T19:20:30:500Z,2013-07-16 19:20:30:5 +01,
	2013-07-16-04:00,2013-07-16 UTC,2013-07-16Z,2013-07-16T19Z,2013-07-16T19-08:00,2013-07-16  19:20:30,
	20130716T192030Z,20130716T192030.25+0200,20130716t1920Z,20130716T19,20130716 192030,20130716T19:20:30Z,20130716,
	"Tue, 16 Jul 2013 19:20:30 GMT","Tue, 16 Jul 2013 19:20:30 +0200","16 Jul 2013 19:20 GMT","Tuesday, 16-Jul-2013 19:20:30 UTC","tue, 6 aug 2013 01:02:03 gmt",
	"Tue Jul 16 2013 19:20:30 GMT+0200 (Central European Summer Time)","Jul 16, 2013 19:20:30",
	"Tue Jul 16 19:20:30 2013","Tue Jul 16 19:20:30 +0000 2013","Tue Jul 16 19:20:30 UTC 2013",
	1374002430,1374002430.25,1374002430250,
	" 2013-07-16T19:20:30Z "}'::text[]) value, read(to_jsonb(value)) r;

-- what is not read: which is the month, whose zone, what is it at all
SELECT value, r.* FROM unnest('{
	07/16/2013,16.07.2013,2013-7-16,2013-07-16T19:20:30 PST,2013-07-16T19:20:30+123,2013-07-16T19:20:30+1:2,2013-07-16T19:20:30+16,
	2013-07-16-05,2013-07-16 19,2013-07-16T1:20,2013-07-16T19:20:30Zulu,2013-07-16T19:20:30 U,2013-07-16T19:20:30.,2013-07-16T19:20:30Z+02:00,
	"Wed, 16 Jul 2013 19:20:30 GMT","Tue, 16 Juli 13 19:20:30 GMT","Tue, 31 Jun 2013 19:20:30 GMT","Tue, 16 Ju 2013","Tue 16 Jul 2013 19:20:30 (","Jul 16","Tue","Tue Jul 16 2013","July 16, 2013","16 Jul 2013","Tue Jul 16 19:20:30","Tue Jul 16 19:20:302013",
	20130230,201307,20130716192030,1e5,-,.,1.2.3,+1374002430,01374002430,""}'::text[]) value, read(to_jsonb(value)) r;

-- the usual form is read in a shorter way, and one with a blank before it in
-- the other: whatever stands in it, both say the same
SELECT count(*), count(*) FILTER (WHERE one.call NOT LIKE '2000%') AS of_the_call, bool_and(one::text = other::text)
FROM unnest('{2013-07-16T19:20:30Z,2016-02-29T23:59:59.987Z,2013-07-16T19:20:30.98Z,2013-07-16T19:20:30.9876Z,2013-07-16T19:20:30.987+Z}'::text[]) usual,
	generate_series(1, length(usual)) place, unnest('{"",0,1,2,3,6,9,":",-,.,T,Z,z," ",/,+,é}'::text[]) c,
	overlay(usual placing c from place for 1) text,
	read(to_jsonb(text)) one, read(to_jsonb(' ' || text)) other;

-- numbers: eight digits that are a date are that date, other small ones are no
-- epoch
SELECT value, r.* FROM unnest('{
	1984,1984.0,0,1,-1,19840304,19840304.0,19840304.5,-19840304,19840230,18991231,19000101,21001231,21010101,
	86400,99999999,-99999999,100000000,-100000000,-100000000.5,-315619200,-2208988800,-2208988801,
	4133980799,4133980800,4133980799999,4133980800000,20130716192030,1374002430000000,1e30}'::numeric[]) value, read(to_jsonb(value)) r;
SELECT value, r.* FROM unnest('{1984,19840304,19850726,-19840304,99999999,-315619200}'::text[]) value, read(to_jsonb(value)) r;

-- from when to when
SELECT value, r.* FROM unnest('{
	1970-01-01T23:59:59.999Z,1970-01-02,2100-12-31T23:59:59.999Z,2101-01-01,2100-12-31T23:59:59-01:00,
	3000-12-31T23:59:59Z,3000-12-31T23:59:59-01:00,3001-01-01T00:59:59+01:00,3001-01-01,9999-12-31,0001-01-01,0000-12-31,0001-01-01T00:00:00+01:00,1899-12-31,1900-01-01}'::text[]) value, read(to_jsonb(value)) r;

-- whatever is passed over or left out has a note
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": 20240102}');
SELECT map('{"type": "track", "userId": "u1", "event": "E", "timestamp": 1984, "originalTimestamp": "3000-01-01", "receivedAt": "Tue, 16 Jul 2013 19:20:30 GMT"}');
SELECT identify('{"birthday": 1984}');
SELECT identify('{"birthday": "1985", "dob": "19850726"}');
SELECT identify('{"birthday": 20851301, "date_of_last_session": "07/16/2013"}');
SELECT identify('{"o": {"a": {"$time": "3001-01-01"}, "b": {"$time": 19840304}, "c": {"$time": "2013-07-16 19:20:30 UTC"}, "d": {"$time": 1984}}}');
SELECT track('E', '{"o": {"a": {"$time": "0000-01-01"}, "b": {"$time": "20130716T192030Z"}}}');

ROLLBACK;
