#!lua flags=allow-oom
-- Adds to the counters of one minute. In one step with its end: of a program that is cut off between the two, a key would stay for ever.
-- KEYS: counts
-- ARGV: ttl, ...
-- After `ttl`, in seconds: name, count, name, count, ... Returns 1.
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
