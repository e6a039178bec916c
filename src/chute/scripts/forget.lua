-- The first half of a requeue whose result is not beside its queue: the old result is gone before the job runs anew.
-- KEYS: result
-- ARGV:
-- Spares a completed one: then somebody else has put the letter back, and the job has run since. Returns how many were deleted.
local status = redis.pcall('HGET', KEYS[1], 'status')
if status == 'completed' then return 0 end
return redis.call('DEL', KEYS[1])
