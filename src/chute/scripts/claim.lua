#!lua flags=allow-oom
-- queued -> running.
-- KEYS: first, queue, leases, workers, tags
-- ARGV: worker, call, want, bytes, deadline
-- `bytes` bounds the sum of the bodies, `deadline` is in server ms ('' = none). Of a longer body come its first `bytes` + 1, so that who reads it
-- need not have room for what is refused anyway.
-- Body i (1..1000) of this call is held under lease call*1000+i, so a lease's call is (lease-1)//1000. `call` is the worker's own number and
-- is never used twice, not even for a repeat.
-- A request that was on its way past its deadline takes nothing (first tag -1). Want 0 only passes a wake on.
-- Returns 'FENCED' | 'PAUSED' | {now ms, first tag, bodies oldest first}.
local state = redis.call('HMGET', KEYS[4], ARGV[1], '@paused')
if state[2] then
  -- A wait that was open moves what is pushed meanwhile: it goes back, oldest last, so that the public list shows all that is ready.
  for _ = 1, 1000 do
    if not redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT') then break end
  end
  return 'PAUSED'
end
local fenced = not state[1] or state[1] == 'dead'
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local late = ARGV[5] and ARGV[5] ~= '' and now > tonumber(ARGV[5])
local want, most, base, out = math.min(tonumber(ARGV[3]), 1000), tonumber(ARGV[4]), ARGV[2] * 1000, {}
local room = most
if fenced or late then want = 0 end
if not fenced then redis.call('HINCRBY', KEYS[4], ARGV[1], 1) end   -- working is a beat too
for s = 1, 2 do
  local taken, more = 0, true
  while more and #out < want and room > 0 do
    local step = math.min(16, want - #out)
    local bodies = redis.call('LRANGE', KEYS[s], -taken - step, -taken - 1)
    local held = {}
    for k = #bodies, 1, -1 do
      if room <= 0 then break end
      room = room - #bodies[k]
      out[#out + 1] = #bodies[k] > most and string.sub(bodies[k], 1, most + 1) or bodies[k]
      held[#held + 1] = base + #out
      held[#held + 1] = bodies[k]
    end
    if #held > 0 then redis.call('HSET', KEYS[3], unpack(held)) end
    taken = taken + #held / 2
    more = #bodies == step
  end
  if taken > 0 then redis.call('LTRIM', KEYS[s], 0, -taken - 1) end
end
-- WAKE: a worker sleeps only while the public list is empty, so what is left elsewhere must show there.
if redis.call('LLEN', KEYS[2]) == 0 and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
end
if fenced then return 'FENCED' end
if late then return {now, -1, {}} end
local tag = #out > 0 and redis.call('INCRBY', KEYS[5], #out) - #out + 1 or 0
return {now, tag, out}
