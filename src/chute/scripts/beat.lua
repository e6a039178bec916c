#!lua flags=allow-oom
-- A sign of life. Raises the beat of each worker; returns those that are fenced (unknown or dead). Never registers one.
-- KEYS: workers
-- ARGV: ...
local fenced = {}
for _, w in ipairs(ARGV) do
  local b = redis.call('HGET', KEYS[1], w)
  if b and b ~= 'dead' then redis.call('HINCRBY', KEYS[1], w, 1) else fenced[#fenced + 1] = w end
end
return fenced
