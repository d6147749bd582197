-- Segment's HTTP tracking API, by braze_receive: a handler for mod_lua.
require "apache2"

-- the outcome, and how many calls came to what, each as a number of rows
local QUERY = "SELECT FROM segment_http(%s, %s, %s)"
local COUNT = "SELECT FROM segment_http_count('%s')"
local COUNTS = {"queued", "duplicates", "dead_letters", "dropped"}

-- the answers, by the number of rows that segment_http returns
local ANSWERS = {
	{200, '{"success": true}'},
	{400, '{"success": false, "message": "the body or the path is not valid"}'},
	{401, '{"success": false, "message": "the write key is not valid"}'},
	{413, '{"success": false, "message": "the body is too large"}'},
	{503, '{"success": false, "message": "try again later"}'},
}

-- more than the pool has connections: DBDMax
local MAX_CONNECTIONS = 10

-- above it, Segment's API takes no batch
local MAX_BODY = 500 * 1024

local function answer(r, status, body)
	r.status = status
	r.content_type = "application/json"
	r:write(body)
	return apache2.OK
end

-- the user name of an Authorization: the write key, with an empty password
local function write_key(r)
	local encoded = string.match(r.headers_in["Authorization"] or "", "^[Bb]asic%s+(%S+)$")
	if not encoded then
		return ""
	end
	return string.match(r:base64_decode(encoded) or "", "^([^:]*)") or ""
end

-- PostgreSQL refuses text with a zero byte, or that is not UTF-8
local function is_text(body)
	return utf8.len(body) ~= nil and not string.find(body, "\0", 1, true)
end

-- A connection of the pool of mod_dbd.  After a restart of the database each of
-- them is broken, which only its use shows; it is opened anew when it is taken
-- next.
local function connect(r)
	local db, problem, works
	for _ = 1, MAX_CONNECTIONS do
		db, problem = r:dbacquire()
		if not db then
			return nil, problem
		end
		works, problem = db:query(r, "SELECT")
		if works then
			return db
		end
		db:close()
	end
	return nil, problem
end

-- A text as an expression of SQL.  The values of a prepared statement would stay
-- in the memory of its connection, which is kept.
local function literal(r, text)
	return string.format("convert_from(decode('%s', 'base64'), 'UTF8')", r:base64_encode(text))
end

-- The number of rows, and for a success the answer.
local function receive(r, body, key)
	local db, problem = connect(r)
	local rows, count, text
	if not db then
		return nil, problem
	end
	rows, problem = db:query(r, string.format(QUERY, literal(r, r.uri), literal(r, body), literal(r, key)))
	if rows == 1 then
		text = '{"success": true'
		for _, name in ipairs(COUNTS) do
			count = db:query(r, string.format(COUNT, name))
			-- the calls are queued, whatever happens now
			if not count then
				text = '{"success": true'
				break
			end
			text = text .. string.format(', "%s": %d', name, count)
		end
		text = text .. "}"
	end
	db:close()
	return rows, problem, text
end

function handle(r)
	if r.method == "OPTIONS" then
		r.headers_out["Access-Control-Allow-Methods"] = "POST"
		r.headers_out["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-Retry-Count"
		r.headers_out["Access-Control-Max-Age"] = "86400"
		r.status = 204
		return apache2.OK
	end
	if r.method ~= "POST" then
		r.headers_out["Allow"] = "POST, OPTIONS"
		return answer(r, 405, '{"success": false, "message": "the method must be POST"}')
	end

	local length = tonumber(r.headers_in["Content-Length"] or "0") or 0
	local body = length <= MAX_BODY and r:requestbody() or ""
	if length > MAX_BODY then
		return answer(r, table.unpack(ANSWERS[4]))
	end
	local key = write_key(r)
	if not is_text(key) then
		return answer(r, table.unpack(ANSWERS[3]))
	end
	if not is_text(r.uri) or not is_text(body) then
		return answer(r, table.unpack(ANSWERS[2]))
	end
	local rows, problem, text = receive(r, body, key)
	if not rows or not ANSWERS[rows] then
		r:err("braze_receive: " .. tostring(problem))
		rows = 5
	end
	return answer(r, ANSWERS[rows][1], text or ANSWERS[rows][2])
end
