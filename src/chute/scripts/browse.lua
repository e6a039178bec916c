#!lua flags=no-writes
-- A piece of what is ready, for who looks for a job: from the end that is handed out first. Changes nothing.
-- KEYS: list, tags
-- ARGV: passed, count, tag
-- `passed` entries were looked at when `tags` stood at `tag` ('' = this is the first piece). What was claimed since then has moved the rest on,
-- so the piece begins as much sooner: no entry slips by, some are seen twice.
-- Returns {tags, how many stand before the piece, bodies as in the list}.
local now = tonumber(redis.call('GET', KEYS[2]) or 0)
local before = tonumber(ARGV[1])
if ARGV[3] ~= '' then before = math.max(0, before - math.max(0, now - ARGV[3])) end
return {now, before, redis.call('LRANGE', KEYS[1], -before - ARGV[2], -before - 1)}
