#!lua flags=allow-oom
-- A paused queue hands out jobs again.
-- KEYS: workers, first, queue
-- ARGV:
-- Returns 1, or 0 when the queue was not paused.
local was = redis.call('HDEL', KEYS[1], '@paused')
-- WAKE: see claim. Who waited when the queue was paused may have died with a job moved and nobody told.
if redis.call('LLEN', KEYS[3]) == 0 and redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('LMOVE', KEYS[2], KEYS[3], 'LEFT', 'RIGHT')
end
return was
