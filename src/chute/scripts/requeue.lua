-- dead -> queued.
-- KEYS: letters, queue, result
-- ARGV: body, id
-- `letters` is the dead or the refused stream, `result` the key of the old result (the stream again where there is none to delete).
-- Body is the kept one, with its counters reset by the caller. Returns 1, or 0 when it is gone.
if #redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2]) == 0 then return 0 end
redis.call('LPUSH', KEYS[2], ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[2])
if KEYS[3] ~= KEYS[1] then redis.call('DEL', KEYS[3]) end
return 1
