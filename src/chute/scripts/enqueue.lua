-- -> queued | scheduled.
-- KEYS: queue, first, scheduled, tags, unique
-- ARGV: body, job_id, due, priority, unique_ttl
-- `due` is in server ms ('' = now, '+n' = in n ms), `priority` is 'high' or '', `unique_ttl` is in s or ''.
-- Returns the job id that holds the unique key (ours = accepted; repeat with the same id is harmless), or our id.
if ARGV[5] ~= '' then
  local holder = redis.call('GET', KEYS[5])
  if holder then return holder end
end
if ARGV[3] ~= '' then
  local now = redis.call('TIME')
  local due = tonumber(ARGV[3])
  if string.sub(ARGV[3], 1, 1) == '+' then due = due + now[1] * 1000 + math.floor(now[2] / 1000) end
  redis.call('ZADD', KEYS[3], due, string.format('%016x', redis.call('INCR', KEYS[4])) .. ARGV[1])
elseif ARGV[4] == 'high' then
  if redis.call('LLEN', KEYS[1]) == 0 then redis.call('RPUSH', KEYS[1], ARGV[1]) else redis.call('LPUSH', KEYS[2], ARGV[1]) end
else
  redis.call('LPUSH', KEYS[1], ARGV[1])
end
if ARGV[5] ~= '' then redis.call('SET', KEYS[5], ARGV[2], 'EX', ARGV[5]) end
return ARGV[2]
