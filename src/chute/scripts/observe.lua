#!lua flags=no-writes,allow-stale
-- A queue at one moment, for who measures it. Changes nothing.
-- KEYS: queue, first, scheduled, dead, refused, workers, ...
-- What follows the named keys are the lease hashes of the workers that the caller knows.
-- Returns {server ms, length of queue, of first, scheduled, dead, refused, held under the given hashes, fields of workers, the next body or nil}.
local time = redis.call('TIME')
local held = 0
for i = 7, #KEYS do held = held + redis.call('HLEN', KEYS[i]) end
local nextBody = redis.call('LINDEX', KEYS[2], -1) or redis.call('LINDEX', KEYS[1], -1)
return {
  time[1] * 1000 + math.floor(time[2] / 1000),
  redis.call('LLEN', KEYS[1]), redis.call('LLEN', KEYS[2]), redis.call('ZCARD', KEYS[3]),
  redis.call('XLEN', KEYS[4]), redis.call('XLEN', KEYS[5]), held, redis.call('HKEYS', KEYS[6]), nextBody,
}
