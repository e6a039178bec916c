#!lua flags=allow-oom
-- The first half of a finish whose result is not beside its queue: the result is there before the lease is gone.
-- KEYS: result
-- ARGV: queue, tag, record
-- The record as `finish` takes it, with a result in it. Writes it whole, over whatever was there, but not over that of a later
-- delivery out of the same queue: whoever writes late was taken for dead. Returns 1, or 0 when a later one is there.
local ok, r = pcall(cmsgpack.unpack, ARGV[3])
local from = ok and type(r) == 'table' and ({result = 4, fail = 5, refuse = 5})[r[1]]
if not from or type(r[3]) ~= 'number' or #r <= from then return redis.error_reply('ERR no record with a result') end
local old = redis.pcall('HMGET', KEYS[1], '@queue', '@tag')
if not old.err and old[1] == ARGV[1] and old[2] and (tonumber(old[2]) or 0) > tonumber(ARGV[2]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(r, from))
redis.call('EXPIRE', KEYS[1], r[3])
return 1
