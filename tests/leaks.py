"""What may stay on a server after a clean stop of all workers, and what is a leak. Reads only."""

import re

import redis

_LIST = r"queue:[A-Za-z0-9._-]{1,64}(:\d{1,2})?"
_MAY_STAY = re.compile(rf"queues|{_LIST}|(tags|cancelled|first|scheduled|dead|refused|cron):\{{{_LIST}\}}")
"""What may stay for ever. Everything else has a TTL; `workers:{...}` may stay with the field `@paused` alone."""


def leaks(client: redis.Redis, kinds: set[str]) -> list[str]:
    """The keys on the server that have no TTL, may not stay and are of none of the kinds (the word before the first colon)."""
    return sorted(
        name
        for key in client.scan_iter(count=1000)
        if not _MAY_STAY.fullmatch(name := key.decode(errors="backslashreplace"))
        and name.split(":")[0] not in kinds
        and client.ttl(key) == -1
        and not (name.startswith("workers:") and client.hkeys(key) == [b"@paused"])
    )
