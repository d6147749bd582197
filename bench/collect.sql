-- What dev/bench measures collecting with: an origin, which is another
-- database, and procedures that wait.  host: where this server's socket is.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;
SELECT current_setting('port') AS port \gset
CREATE SERVER origin FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host :'host', port :'port', dbname 'origin', fetch_size '500');
CREATE USER MAPPING FOR CURRENT_USER SERVER origin;
CREATE FOREIGN TABLE origin_rows (id bigint, destination text, call jsonb, queued_at timestamptz, objects int[], dead_letter bigint, call_kind text)
	SERVER origin OPTIONS (table_name 'braze_queue');
CREATE OR REPLACE PROCEDURE collect_all(calls bigint) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM braze_collect('origin', 'braze_queue');
	COMMIT;
	LOOP
		EXIT WHEN (SELECT collected >= calls FROM braze_origins);
		COMMIT;
		PERFORM pg_sleep(0.02);
	END LOOP;
	-- the last ones are deleted there by the round that follows
	LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM origin_rows);
		COMMIT;
		PERFORM pg_sleep(0.02);
	END LOOP;
END $$;
CREATE OR REPLACE PROCEDURE collector_gone() LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'segment_braze collector')
			AND NOT EXISTS (SELECT FROM braze_collectors());
		COMMIT;
		PERFORM pg_sleep(0.1);
	END LOOP;
END $$;
CREATE OR REPLACE PROCEDURE move_by_hand() LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO braze_queue (destination, call, queued_at, objects, call_kind)
	SELECT destination, call, queued_at, objects, call_kind FROM origin_rows ORDER BY id;
	COMMIT;
	DELETE FROM origin_rows;
	COMMIT;
END $$;
