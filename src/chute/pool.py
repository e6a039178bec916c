"""The connections of blocking code to one server: redis-py's own pool, and a few of its connections in hand for whoever comes next.

To take one out of that pool and to give it back costs more than the command that is sent in between.
"""

import os
from threading import Lock
from typing import Any

import redis

SIZE = 64
"""Connections at the most: who needs another waits for one."""
_IN_HAND = 4


class Pool:
    """Made anew after a fork, its lock with it: one that another thread holds during a fork stays locked in the child for ever."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.pid = os.getpid()
        self._pool = redis.BlockingConnectionPool(**{"max_connections": SIZE, **options})
        self._full = self._pool.max_connections - _IN_HAND
        self._lock = Lock()
        self._in_hand: list[Any] = []
        self._out = 0
        """Those that are not in redis-py's pool, and those that are waited for."""

    def take(self) -> Any:
        """A connected connection. Raises as redis-py does."""
        with self._lock:
            connection = self._in_hand.pop() if self._in_hand else None
        if connection is not None:
            if _fresh(connection):
                return connection
            self.drop(connection)
        with self._lock:
            self._out += 1
        try:
            return self._pool.get_connection()
        except BaseException:
            with self._lock:
                self._out -= 1
            raise

    def give(self, connection: Any) -> None:
        """Takes it back after a whole exchange. While others may be waiting for one none is held back."""
        with self._lock:
            if len(self._in_hand) < _IN_HAND and self._out <= self._full:
                self._in_hand.append(connection)
                return
            self._out -= 1
        self._pool.release(connection)

    def drop(self, connection: Any) -> None:
        """Takes it back closed: half an exchange must not be read as another's."""
        connection.disconnect()
        with self._lock:
            self._out -= 1
        self._pool.release(connection)

    def beside(self) -> Any:
        """A connection that the pool does not know, not yet connected."""
        return self._pool.connection_class(**self._pool.connection_kwargs)

    def close(self) -> None:
        """Closes all of them."""
        with self._lock:
            self._in_hand.clear()
        self._pool.disconnect()


def _fresh(connection: Any) -> bool:
    """Whether nobody has said anything on it, nor hung up, while it was in hand."""
    try:
        return not connection.can_read(timeout=0)
    except (redis.RedisError, OSError):
        return False
