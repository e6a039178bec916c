#!lua flags=allow-oom
-- A queue stands still: from now on every claim is answered PAUSED. What runs is not touched.
-- KEYS: workers
-- ARGV:
-- The field holds since when, in server ms. Returns 1, or 0 when the queue was paused before.
local t = redis.call('TIME')
return redis.call('HSETNX', KEYS[1], '@paused', t[1] * 1000 + math.floor(t[2] / 1000))
