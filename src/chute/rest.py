"""A server that refuses everything needs rest: the rule by which lines ask it seldom until it accepts something again. Pure but for the clock.

What it says of itself then: it loads its data, a script keeps it busy, its disk is full, it is a replica, it misses its replicas, its
cluster is down. A server that is full is not among them: it can be drained, and should be.
"""

import time

import redis

PAUSE = 2.0
"""Seconds between two exchanges while it lasts."""
_WORDS = ("BUSY ", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY")
_KINDS = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.MasterDownError,
)


class Rest:
    """Shared by the lines of one worker: while it lasts, one of them may send one exchange every two seconds."""

    def __init__(self) -> None:
        self._until = 0.0
        """0 = none."""

    @property
    def over(self) -> bool:
        """Whether something may be sent."""
        return not self._until or time.monotonic() >= self._until

    def sends(self) -> None:
        """Something is sent; if the server refused all before, nothing else is until it is answered or the pause is over."""
        if self._until:
            self._until = time.monotonic() + PAUSE

    def answered(self, reply: object) -> None:
        """The server answered this."""
        if isinstance(reply, Exception) and _refuses_all(reply):
            self._until = time.monotonic() + PAUSE
        elif self._until:
            self._until = 0.0


def _refuses_all(error: Exception) -> bool:
    return isinstance(error, _KINDS) or str(error).startswith(_WORDS)
