"""Clocks that are wrong, by libfaketime: those of one server, or of the processes that are started with them. The monotonic clock of the machine
stays as it is: all of its processes share that, which no library can imitate, and our own notes need it."""

import os
import time
from pathlib import Path
from typing import Any

from chaos.fleet import Skipped
from servers import Kind, Server

_LIBRARY = next(Path("/usr/lib").glob("**/faketime/libfaketime.so.1"), None)
_MALLOC = next(Path("/usr/lib").glob("**/libc_malloc_debug.so.0"), None)
"""Put before the allocator of Redis, jemalloc: that asks for the time while it begins, and libfaketime needs memory before it can tell it."""
_USUAL = {"LD_PRELOAD": str(_LIBRARY), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def needed(kind: Kind = "valkey") -> None:
    """Raises Skipped where there is no libfaketime, or none that such a server can live with."""
    if _LIBRARY is None:
        raise Skipped("libfaketime is not installed (Debian: apt-get install libfaketime)")
    if kind == "redis" and _MALLOC is None:
        raise Skipped(
            "jemalloc and libfaketime cannot live together, and there is no other allocator to put before it (glibc 2.34 has one)"
        )


def wrong(how: str) -> dict[str, str]:
    """The environment of a process whose clock is so: "+3600" is an hour ahead, "+0 x2" twice as fast."""
    return {**_USUAL, "FAKETIME": how}


class Clocked(Server):
    """A server whose clock can be set while it runs."""

    def __init__(self, kind: Kind, *options: str) -> None:
        super().__init__(kind, *options)
        self._offset = self.directory / "clock"

    def start(self, *more: str) -> None:
        """As any server; with the clock that it was given last."""
        self.shift(0)
        ours: dict[str, str] = {}
        if _LIBRARY is not None and (self.kind == "valkey" or _MALLOC is not None):
            before = f"{_MALLOC}:" if self.kind == "redis" else ""
            ours = {**_USUAL, "LD_PRELOAD": f"{before}{_LIBRARY}", "FAKETIME_TIMESTAMP_FILE": str(self._offset), "FAKETIME_NO_CACHE": "1"}
        os.environ.update(ours)  # inherited by what is started now, and by nobody else
        try:
            super().start(*more)
        finally:
            for name in ours:
                del os.environ[name]

    def shift(self, seconds: int) -> None:
        """From now on it is so many seconds ahead of the machine's."""
        new = self._offset.with_name("clock.new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._offset)

    def ahead(self, client: Any) -> float:
        """By how many seconds it is ahead, as it says itself."""
        whole, micro = client.time()
        return float(whole + micro / 1e6 - time.time())
