#!lua flags=allow-oom
-- running -> running: a worker takes up leases of its own that it did not know of (the claim's reply was lost), under new tags.
-- KEYS: leases, tags
-- ARGV: ...
-- What follows are leases. Returns {first tag, {body or nil of each}}.
local bodies = redis.call('HMGET', KEYS[1], unpack(ARGV))
return {redis.call('INCRBY', KEYS[2], #ARGV) - #ARGV + 1, bodies}
