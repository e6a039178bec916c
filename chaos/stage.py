"""One row's stage: a server, workers and producers around it, and the hand that strikes. Everything it starts ends with it."""

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from chaos import final, oracle, processes
from chaos.checker import Effect, Fault
from chaos.fleet import TEST_CLOCK, Clock, Failure, Fleet, Worker
from chaos.gauge import Gauge
from chaos.proxy import Proxy, script_names
from servers import Server, short_directory, until
from topologies import Cluster, Replicated

T = TypeVar("T")


class Way(Protocol):
    """What workers and producers are given instead of the place itself: a proxy, another name or user of it."""

    @property
    def url(self) -> str:
        """Where it is."""


class Place(contextlib.AbstractContextManager[Any], Protocol):
    """What is struck: one server, or several that belong together."""

    @property
    def url(self) -> str:
        """What workers and producers are given."""

    def new_client(self, **options: Any) -> Any:
        """A client that finds every key; closed by the caller."""

    def log(self) -> str:
        """What the servers said last."""


class Stage:
    """What a row acts on. `times`: how often it does what it would do once."""

    def __init__(self, place: Place, seed: int, times: int, src: Path) -> None:
        self.notes = short_directory()
        self.place = place
        self.fleet = Fleet(self.notes, src)
        self.chance = random.Random(seed)
        self.seed, self.times = seed, times
        self.faults: list[Fault] = []
        self.complaints: list[str] = []
        self._src = src
        self._listening = 0
        self._before: dict[int, tuple[int, int, list[str]]] = {}
        self._opened = ExitStack()
        self._sent = oracle.Notebook("sent")

    def __enter__(self) -> Self:
        os.environ[oracle.DIRECTORY] = str(self.notes)
        self._opened.callback(shutil.rmtree, self.notes, ignore_errors=True)
        self._opened.enter_context(self.place)
        self.client = self._client(5)
        self.gauge = self._opened.enter_context(Gauge(self._client(1)))
        self._opened.callback(self.fleet.end)
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def server(self) -> Server:
        """The one server, where there is one."""
        assert isinstance(self.place, Server)
        return self.place

    @property
    def replicated(self) -> Replicated:
        """The primary and its replica, where Sentinels watch them."""
        assert isinstance(self.place, Replicated)
        return self.place

    @property
    def cluster(self) -> Cluster:
        """The Cluster, where there is one."""
        assert isinstance(self.place, Cluster)
        return self.place

    def open(self, what: contextlib.AbstractContextManager[T]) -> T:
        """Opens something that stands until the row is judged."""
        return self._opened.enter_context(what)

    def partition(self, count: int) -> None:
        """Spreads the queue over so many lists; to be said before anybody starts."""
        os.environ[oracle.PARTITIONS] = str(count)

    def proxy(self) -> Proxy:
        """A new proxy before the server."""
        self._listening += 1
        return self._opened.enter_context(Proxy(self.server.socket, f"p{self._listening}", script_names(self._src), self._struck))

    def workers(self, count: int, *options: str, via: Way | None = None, clock: Clock = TEST_CLOCK) -> list[Worker]:
        """Starts workers, `via` a proxy where one is given, and waits until the server knows one more for each of their processes."""
        known = set(self.client.hkeys(final.WORKERS))
        started = [self.fleet.worker((via or self.place).url, *options, clock=clock) for _ in range(count)]
        processes_each = int(options[options.index("--processes") + 1]) if "--processes" in options else 1

        def there() -> bool:
            for worker in started:
                if worker.wait(0) is not None:
                    raise Failure(f"chute work {' '.join(options)} ended with {worker.wait(0)}: {worker.last_words()}")
            return len(set(self.client.hkeys(final.WORKERS)) - known) >= count * processes_each  # one that died may be forgotten meanwhile

        if not until(there, 20):
            raise Failure("the workers did not register within 20 s")
        return started

    def produce(
        self, rate: float, lowest: int = 20, highest: int = 100, via: Way | None = None, kinds: tuple[str, str] = ("plain", "chute")
    ) -> None:
        """Starts two producers, a plain one and one that uses Chute, each at half of the rate per second, with jobs of so many milliseconds."""
        url = (via or self.place).url
        for kind in kinds:
            self.fleet.producer(url, kind, kind, f"{self.seed}{kind}", rate / 2, lowest, highest)
        if not until(lambda: self._held(self.fleet.pids()) > 0, 20):
            raise Failure("no job was started within 20 s")
        self._look_before()

    def push(self, jobs: dict[str, dict[str, Any]], to: str = final.QUEUE) -> None:
        """Puts jobs in, in one command, as accepted ones."""
        self.client.lpush(to, *[json.dumps({"job_id": job, **fields}) for job, fields in jobs.items()])
        for job in jobs:
            self._sent.note("accepted", job, oracle.now())

    def strike(self, what: str, effect: Effect, pids: Sequence[int], act: Callable[[], object], held: int | None = None) -> Fault:
        """Does it, and notes it as a fault of these processes; they held what they had begun, unless the caller knows better. Waits
        a while for them to begin something: a blow in the air proves nothing."""
        self._look_before()
        if held is None:
            until(lambda: self._held(pids) > 0, 5)
            held = self._held(pids)
        began = oracle.now()
        act()
        self.faults.append(Fault(what, effect, frozenset(pids), began, oracle.now(), held))
        return self.faults[-1]

    def strike_server(self, what: str, act: Callable[[], object]) -> Fault:
        """As `strike`, for what strikes all alike and may cost no job a run."""
        return self.strike(what, "none", self.fleet.pids(), act, held=self.gauge.leases)

    def fail_over(self, what: str, act: Callable[[], object], gap: float | None) -> Fault:
        """As `strike`, for what puts another server in the place of one. What was accepted by that one alone may be gone with it, if it was in
        so many seconds before, or while it goes on; None: nothing may be gone."""
        until(lambda: self.gauge.leases > 0, 5)
        fault = self.strike(what, "failover", self.fleet.pids(), act, held=self.gauge.leases)
        self.faults[-1] = fault if gap is None else replace(fault, gap=round(self.limit(gap) * 1e9))
        return self.faults[-1]

    def kill(self, worker: Worker, targets: Sequence[int] = ()) -> None:
        """SIGKILL to processes of a worker; without any named, to all of them. Its children must die with it."""
        targets = targets or worker.pids()
        doomed = worker.pids() if worker.pid in targets else targets

        def act() -> None:
            processes.send_signal(targets, signal.SIGKILL)
            dead = until(lambda: not any(map(processes.alive, doomed)), self.limit(1))
            self.expect(dead, "children outlived their supervisor by a second")

        self.strike("kill -9", "death", doomed, act)

    def freeze(self, worker: Worker, seconds: float) -> None:
        """SIGSTOP to all processes of a worker that holds work, then SIGCONT."""
        pids = worker.pids()

        def act() -> None:
            processes.send_signal(pids, signal.SIGSTOP)
            time.sleep(seconds)
            processes.send_signal(pids, signal.SIGCONT)

        self.strike(f"SIGSTOP {seconds:g} s", "suspicion", pids, act)

    def rate_while(self, act: Callable[[], object]) -> float:
        """Outcomes stored a second while that is done: each is a key more."""
        before, began = self.client.dbsize(), time.monotonic()
        act()
        return (self.client.dbsize() - before) / (time.monotonic() - began)

    def limit(self, seconds: float) -> float:
        """What a limit that is meant for a machine with nothing else to do is here and now."""
        return seconds * self.gauge.crowd + self.gauge.lag

    def expect(self, met: bool, complaint: str) -> None:
        """What a row demands beside the common pass line."""
        if not met:
            self.complaints.append(complaint)

    def drain(self, seconds: float = 10.0) -> None:
        """Ends the producers and waits until nothing is on its way."""
        self.fleet.quiet()
        if not until(self._nothing_pending, self.limit(seconds)):
            self.complaints.append(f"not drained {seconds:g} s after the faults: {final.pending(self.client)}")

    def compare(self, asked: int) -> None:
        """The workers that lived through all of it have no more files open than before the first fault, but a connection to each of so many
        servers that they have asked since who has what; and about the memory that they had."""
        kept = [pid for pid in self._before if pid in self.fleet.pids()]
        if not until(lambda: all(self._size(pid)[0] <= self._before[pid][0] + asked for pid in kept), 5):
            more = {pid: files for pid in kept if len(files := self._files(pid)) > self._before[pid][0] + asked}
            self.complaints.append(f"workers keep more files open than before: {[(self._before[pid][2], more[pid]) for pid in more]}")
        grown = max([0, *[self._size(pid)[1] - self._before[pid][1] for pid in kept]])
        self.expect(grown < 20 << 20, f"a worker grew by {grown >> 20} MiB")

    def _client(self, timeout: float) -> Any:
        client = self.place.new_client(socket_timeout=timeout)
        self._opened.callback(client.close)
        return client

    def _look_before(self) -> None:
        """Notes the files and the memory of each process, once, before the first fault: while connections are cut one may be missing."""
        if not self._before:
            looks = []
            for _ in range(10):
                looks.append({pid: self._size(pid) for pid in self.fleet.pids()})
                time.sleep(0.03)
            files = {pid: self._files(pid) for pid in looks[-1]}
            self._before = {pid: (max(look.get(pid, size)[0] for look in looks), size[1], files[pid]) for pid, size in looks[-1].items()}

    def _held(self, pids: Sequence[int]) -> int:
        """How many jobs these processes have started and not ended."""
        return sum(oracle.held(self.notes, pid) for pid in pids)

    def _size(self, pid: int) -> tuple[int, int]:
        """Its open files, without its notes, and its memory."""
        return len(self._files(pid)), processes.memory(pid)

    def _files(self, pid: int) -> list[str]:
        return processes.files_open(pid, self.notes)

    def _struck(self, name: str) -> None:
        """A proxy did something to a command of that name."""
        at = oracle.now()
        self.faults.append(Fault(f"proxy: {name}", "none", frozenset(), at, at, self.gauge.leases))

    def _nothing_pending(self) -> bool:
        """Looks twice: a job that goes from where the look is yet to come to where it has been is not seen."""
        with contextlib.suppress(*final.SILENT):
            return not (final.pending(self.client) or final.pending(self.client))
        return False
