#!lua flags=allow-oom
-- The end of a worker, final: beat -> dead.
-- KEYS: workers
-- ARGV: worker, seen
-- `seen` is the beat that the judge saw last ('' = the worker itself, or who saw it die: these close it also where the registry was lost, or what
-- it holds would be nobody's; an id never comes back). Returns 1 when closed, 0 when it lives or is gone.
local b = redis.call('HGET', KEYS[1], ARGV[1])
if not b and ARGV[2] ~= '' then return 0 end
if b == 'dead' then return 1 end
if ARGV[2] ~= '' and b ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], 'dead')
return 1
