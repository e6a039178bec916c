#!lua flags=allow-oom
-- running -> completed | failed | scheduled | queued.
-- KEYS: leases, queue, scheduled, dead, refused, tags, ...
-- ARGV: ...
-- One more key for each record: its result key, or the lease key where it stores none. One msgpack record for each (strings and numbers,
-- no nil, no bin):
--   {'drop', lease} {'result', lease, ttl, field, value, ...} {'retry', lease, delay ms, body} {'release', lease}
--   {'fail', lease, ttl, {letter fields}, field, value, ...}   a dead letter with the whole body; the supervisor trims that stream
--   {'refuse', lease, ttl, {letter fields}, field, value, ...} a malformed entry: at most 64 KiB of it, and its
--                                                               length where that is more, in a stream with a cap of its own
-- Returns one string, a letter a record: 1 done, 0 not ours (stale, or done by a call whose reply was lost), E not accepted (lease kept).
-- What a record writes may fail and must not end the script: the records before it would be done again with every repetition.
local call, try, leases, answer, gone = redis.call, redis.pcall, KEYS[1], {}, {}
local function bad(reply) return type(reply) == 'table' and reply.err end
local function store(key, ttl, record, from)
  if try('HSET', key, unpack(record, from)) ~= (#record - from + 1) / 2 then   -- something was there, or refused
    try('DEL', key)
    if bad(try('HSET', key, unpack(record, from))) then return false end
  end
  return not bad(try('EXPIRE', key, ttl))
end
for i = 1, #ARGV do
  local ok, r = pcall(cmsgpack.unpack, ARGV[i])
  ok = ok and type(r) == 'table'
  local kind, lease, key = ok and r[1], ok and r[2], KEYS[6 + i]
  if not ok or not lease then ok = false
  elseif call('HEXISTS', leases, lease) == 0 then answer[i] = '0'
  elseif kind == 'result' then ok = store(key, r[3], r, 4)
  elseif kind == 'drop' then ok = true
  elseif kind == 'release' then ok = not bad(try('RPUSH', KEYS[2], call('HGET', leases, lease)))
  elseif kind == 'retry' and type(r[3]) == 'number' and type(r[4]) == 'string' then
    local now = call('TIME')
    local number = try('INCR', KEYS[6])
    ok = not bad(number) and not bad(try('ZADD', KEYS[3], now[1] * 1000 + math.floor(now[2] / 1000) + r[3], string.format('%016x', number) .. r[4]))
  elseif kind == 'fail' and type(r[4]) == 'table' then
    ok = (key == leases or store(key, r[3], r, 5)) and not bad(try('XADD', KEYS[4], '*', 'body', call('HGET', leases, lease), unpack(r[4])))
  elseif kind == 'refuse' and type(r[4]) == 'table' then
    local body, letter = call('HGET', leases, lease), r[4]
    if #body > 65536 then letter[#letter + 1], letter[#letter + 2], body = 'length', #body, string.sub(body, 1, 65536) end
    ok = (key == leases or store(key, r[3], r, 5)) and not bad(try('XADD', KEYS[5], 'MAXLEN', '~', 1000, '*', 'body', body, unpack(letter)))
  else ok = false end
  if not answer[i] then
    answer[i] = ok and '1' or 'E'
    if ok then gone[#gone + 1] = lease end
  end
end
if #gone > 0 then call('HDEL', leases, unpack(gone)) end
return table.concat(answer)
