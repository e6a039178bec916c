#!lua flags=allow-oom
-- scheduled -> queued.
-- KEYS: scheduled, queue
-- ARGV: want
-- Returns {moved, ms until the next one, or -1}.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for i = 1, #due do redis.call('LPUSH', KEYS[2], string.sub(due[i], 17)) end
if #due > 0 then redis.call('ZREM', KEYS[1], unpack(due)) end
local nxt = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {#due, nxt[2] and math.max(0, nxt[2] - now) or -1}
