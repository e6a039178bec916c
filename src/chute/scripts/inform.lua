#!lua flags=allow-oom
-- What a worker says of itself, for people to read: gone with the worker, or `ttl` seconds after its last word.
-- KEYS: workers, info
-- ARGV: worker, text, ttl
-- Returns 1, or 0 when the worker is unknown or dead: of who is closed nothing is written any more.
local b = redis.call('HGET', KEYS[1], ARGV[1])
if not b or b == 'dead' then return 0 end
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
