"""A server that refuses everything needs rest: the rule by which lines ask it seldom until it accepts something again. Pure but for the clock.

What it says of itself then: it loads its data, a script keeps it busy, its disk is full, it is a replica, it misses its replicas, its
cluster is down. A server that is full is not among them: it can be drained, and should be.
"""

import time
from collections import Counter

import redis

PAUSE = 2.0
"""Seconds between two exchanges while it lasts."""
_WORDS = ("BUSY ", "MISCONF", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY")
_CLASSES = {
    redis.exceptions.BusyLoadingError: "LOADING",
    redis.exceptions.NoScriptError: "NOSCRIPT",
    redis.exceptions.ReadOnlyError: "READONLY",
    redis.exceptions.NoPermissionError: "NOPERM",
    redis.exceptions.OutOfMemoryError: "OOM",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.TryAgainError: "TRYAGAIN",
    redis.exceptions.MovedError: "MOVED",
    redis.exceptions.AskError: "ASK",
}
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
        self.errors: Counter[str] = Counter()
        """What the server refused so far, by the word that its refusals begin with."""

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
        if isinstance(reply, Exception):
            self.errors[_kind(reply)] += 1
            if _refuses_all(reply):
                self._until = time.monotonic() + PAUSE
                return
        if self._until:
            self._until = 0.0


def _kind(error: Exception) -> str:
    """LOADING, NOPERM and so on; redis-py makes classes of some of these words, and takes them away."""
    if known := next((word for kind, word in _CLASSES.items() if isinstance(error, kind)), None):
        return known
    if "ACL failure in script" in str(error) or "user executing the script can't run" in str(error):
        return "NOPERM"  # in the words of Redis 7.2 and Valkey, and of Redis 7.0
    word = str(error).partition(" ")[0]
    return word if word.isupper() and word.isalpha() else "ERR"


def _refuses_all(error: Exception) -> bool:
    return isinstance(error, _KINDS) or str(error).startswith(_WORDS)
