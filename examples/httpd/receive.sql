-- What the web server calls, in the database that has the extension: run it as
-- a superuser.  segment_api is the role that the web server connects as.

CREATE ROLE segment_api LOGIN;
GRANT EXECUTE ON FUNCTION braze_receive TO segment_api;

-- What a request came to, as a number of rows: mod_lua cannot read the columns
-- of a result that APR's driver for PostgreSQL has.  What is not the client's
-- fault is 5, at which Segment's libraries try again later.
CREATE FUNCTION segment_http(path text, body text, write_key text) RETURNS SETOF int
LANGUAGE plpgsql AS $$
DECLARE
	outcome int := 1;
	answer text := '';
BEGIN
	BEGIN
		answer := braze_receive(path, body, write_key);
	EXCEPTION
		WHEN invalid_text_representation OR null_value_not_allowed OR invalid_parameter_value THEN
			outcome := 2;
		WHEN invalid_password THEN
			outcome := 3;
		WHEN program_limit_exceeded THEN
			outcome := 4;
		WHEN OTHERS THEN
			RAISE LOG 'segment_http: % (%)', SQLERRM, SQLSTATE;
			outcome := 5;
	END;
	PERFORM set_config('segment_http.answer', answer, false);
	RETURN QUERY SELECT generate_series(1, outcome);
END
$$;

-- A count of the answer to the request before, in the same session: as many
-- rows.
CREATE FUNCTION segment_http_count(name text) RETURNS SETOF int
LANGUAGE sql STABLE AS $$
	SELECT generate_series(1, (current_setting('segment_http.answer')::jsonb ->> name)::int)
$$;

REVOKE ALL ON FUNCTION segment_http, segment_http_count FROM PUBLIC;
GRANT EXECUTE ON FUNCTION segment_http, segment_http_count TO segment_api;
