-- Segment's HTTP tracking API, by braze_receive: a handler for mod_lua.
require "apache2"

local QUERY = "SELECT FROM segment_http(%s, %s, %s)"

-- the answers, by the number of rows that segment_http returns
local ANSWERS = {
	{200, '{"success": true}'},
	{400, '{"success": false, "message": "the body or the path is not valid"}'},
	{401, '{"success": false, "message": "the write key is not valid"}'},
	{413, '{"success": false, "message": "the body is too large"}'},
	{503, '{"success": false, "message": "try again later"}'},
}

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

-- The number of rows.  The connection is of the pool of mod_dbd: one that broke,
-- because the database was restarted say, fails once and is opened anew when it
-- is taken next.
local function receive(r, body, key)
	local db, problem = r:dbacquire()
	if not db then
		return nil, problem
	end
	local statement, rows
	statement, problem = db:prepare(r, QUERY)
	if statement then
		rows, problem = statement:query(r.uri, body, key)
	end
	db:close()
	return rows, problem
end

function handle(r)
	r.headers_out["Access-Control-Allow-Origin"] = "*"
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
	if not is_text(body) then
		return answer(r, table.unpack(ANSWERS[2]))
	end
	local rows, problem = receive(r, body, write_key(r))
	if not rows or not ANSWERS[rows] then
		r:err("braze_receive: " .. tostring(problem))
		rows = 5
	end
	return answer(r, table.unpack(ANSWERS[rows]))
end
