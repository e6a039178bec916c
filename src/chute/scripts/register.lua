#!lua flags=allow-oom
-- The start of a worker's life.
-- KEYS: workers
-- ARGV: worker
-- Returns 1, or 0 when the id was taken before: an id is registered once, so that a late copy of this call brings no closed worker back.
return redis.call('HSETNX', KEYS[1], ARGV[1], 1)
