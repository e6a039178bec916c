"""Looks on while a row runs: how many jobs are held, and how late this machine is. Touches nothing."""

import os
import threading
import time
from typing import Any, Self

from chaos import final

LOOK_EVERY, DOZE = 0.03, 0.01


class Gauge:
    """`leases`: held at the last look that the server answered. `lag`: by how many seconds a short sleep was late at worst; what the machine is
    late is no fault of those who are measured. `crowd`: how many wished to run for each processor, at worst and at least 1."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._end = threading.Event()
        self._threads = [threading.Thread(target=look, daemon=True) for look in (self._count, self._doze)]
        self.leases = 0
        self.lag = 0.0
        self.crowd = 1.0

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(5)

    def _count(self) -> None:
        while not self._end.wait(LOOK_EVERY):
            try:
                self.leases = final.leases(self._client)
            except final.SILENT:
                continue  # it is down or busy: the last number stands

    def _doze(self) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            time.sleep(DOZE)
            self.crowd = max(self.crowd, os.getloadavg()[0] / (os.cpu_count() or 1))
            self.lag = max(self.lag, time.monotonic() - began - DOZE)
