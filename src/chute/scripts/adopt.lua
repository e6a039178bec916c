#!lua flags=allow-oom
-- running -> running: leases are taken up again, under new tags: a worker's own that it did not know of (the claim's reply was lost), or a dead one's.
-- KEYS: leases, tags
-- ARGV: bytes, ...
-- What follows are leases. Returns {first tag, {body or nil of each}}; of a body that is longer than `bytes`, its first `bytes` + 1.
local bodies, most = redis.call('HMGET', KEYS[1], unpack(ARGV, 2)), tonumber(ARGV[1])
for i = 1, #ARGV - 1 do
  if bodies[i] and #bodies[i] > most then bodies[i] = string.sub(bodies[i], 1, most + 1) end
end
return {redis.call('INCRBY', KEYS[2], #bodies) - #bodies + 1, bodies}
