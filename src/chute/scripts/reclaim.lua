#!lua flags=allow-oom
-- running -> queued.
-- KEYS: queue, leases, workers, info
-- ARGV: worker, ...
-- What follows the worker is lease, body, lease, body, youngest first (so the oldest ends at the very front); '' = as it is held.
-- Only for a closed worker. Returns how many were given back, -1 where it holds something and is not closed. Forgets the worker once it holds
-- nothing, with what it said of itself.
if redis.call('HGET', KEYS[3], ARGV[1]) ~= 'dead' then return -redis.call('EXISTS', KEYS[2]) end
local n = 0
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 1 then
    local body = ARGV[i + 1]
    redis.call('RPUSH', KEYS[1], body == '' and redis.call('HGET', KEYS[2], ARGV[i]) or body)
    redis.call('HDEL', KEYS[2], ARGV[i])
    n = n + 1
  end
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('DEL', KEYS[4])
end
return n
