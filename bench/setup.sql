-- What dev/bench measures with: a destination, plain tables for the baselines,
-- and procedures that watch a run.  fast: the address of the stand-in.
SET client_min_messages = warning;
CREATE EXTENSION segment_braze;
CREATE SERVER braze FOREIGN DATA WRAPPER segment_braze OPTIONS (custom_api_endpoint :'fast', ca_file '/etc/ssl/certs/ca-certificates.crt');
CREATE USER MAPPING FOR CURRENT_USER SERVER braze OPTIONS (rest_api_key 'test-key');
-- a revision from before braze_start delivers at once
SELECT 'SELECT FROM braze_start(''braze'')' FROM pg_proc WHERE proname = 'braze_start' \gexec
CREATE FUNCTION bench_map_length(jsonb) RETURNS bigint AS 'braze_bench' LANGUAGE C STRICT;
-- milliseconds that a query takes, the median of some
CREATE FUNCTION query_ms(query text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
	took double precision[];
BEGIN
	FOR i IN 1 .. 21 LOOP
		began := clock_timestamp();
		EXECUTE query;
		took[i] := extract(epoch FROM clock_timestamp() - began) * 1000;
	END LOOP;
	RETURN (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM unnest(took) t);
END $$;
CREATE TABLE calls (call jsonb);
CREATE TABLE plain_queue (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, call jsonb NOT NULL, queued_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE orders (id int, customer_id int, product text, total numeric);
CREATE TRIGGER to_braze AFTER INSERT ON orders FOR EACH ROW
	EXECUTE FUNCTION braze_trigger('type', 'track', 'event', 'Order Placed', 'user_id', 'customer_id');
CREATE FUNCTION plain_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO plain_queue (call) VALUES (jsonb_build_object('type', 'track', 'userId', NEW.customer_id::text, 'event', 'Order Placed',
		'messageId', gen_random_uuid(), 'timestamp', clock_timestamp(), 'properties', to_jsonb(NEW) - 'customer_id'));
	RETURN NULL;
END $$;
CREATE TRIGGER plain AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION plain_trigger();
CREATE PROCEDURE drain_plain(batch int) LANGUAGE plpgsql AS $$
DECLARE
	low bigint := 0;
	high bigint;
	bytes bigint;
BEGIN
	LOOP
		SELECT max(id), sum(length(t)) INTO high, bytes
		FROM (SELECT id, call::text AS t FROM plain_queue WHERE id > low ORDER BY id LIMIT batch) b;
		EXIT WHEN high IS NULL;
		DELETE FROM plain_queue WHERE id > low AND id <= high;
		COMMIT;
		low := high;
	END LOOP;
END $$;
CREATE PROCEDURE watch_age(duration double precision) LANGUAGE plpgsql AS $$
DECLARE
	until timestamptz := clock_timestamp() + duration * interval '1 s';
	age interval;
	oldest interval := '0';
BEGIN
	WHILE clock_timestamp() < until LOOP
		SELECT clock_timestamp() - min(queued_at) INTO age FROM braze_queue;
		oldest := greatest(oldest, age);
		COMMIT;
		PERFORM pg_sleep(0.005);
	END LOOP;
	RAISE NOTICE 'oldest %', extract(epoch FROM oldest) * 1000;
END $$;
-- What was delivered before is read before delivery begins.
CREATE PROCEDURE watch_backlog(n bigint, part bigint, begins text) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
	base bigint;
	now_at bigint;
	first_part double precision;
	last_began timestamptz;
BEGIN
	SELECT coalesce(max(delivered), 0) INTO base FROM braze_counters();
	EXECUTE format('SELECT %I(''braze'')', begins);
	COMMIT;
	began := clock_timestamp();
	LOOP
		PERFORM pg_sleep(0.002);
		SELECT delivered - base INTO now_at FROM braze_counters();
		IF first_part IS NULL AND now_at >= part THEN
			first_part := now_at / extract(epoch FROM clock_timestamp() - began);
		END IF;
		IF last_began IS NULL AND now_at >= n - part THEN
			last_began := clock_timestamp();
			base := base + now_at;
			part := n - now_at;
			now_at := 0;
		END IF;
		EXIT WHEN last_began IS NOT NULL AND now_at >= part;
	END LOOP;
	RAISE NOTICE 'rates % %', first_part, part / extract(epoch FROM clock_timestamp() - last_began);
END $$;
