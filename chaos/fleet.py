"""The workers of a stage: real `chute work` processes, with their children where they have some."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import canary
from chaos import ROOT, oracle, processes
from chaos.processes import Process
from servers import children, until

BEAT, DEAD_AFTER, GRACE = 0.2, 1.5, 5.0
"""The test clock in seconds: a twentieth of the defaults."""
Clock = tuple[float, float]
TEST_CLOCK: Clock = (BEAT, DEAD_AFTER)
SLOTS = 8


class Failure(Exception):
    """A row cannot go on: what it needs did not happen."""


class Skipped(Exception):
    """A row cannot be played here: what it needs is not there. It says why, and counts as neither passed nor red."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a process is started. `app`: what a worker works. `before`: words before its command, of a program that sets limits and then becomes
    it. `environment`: beside what all have. `out`: where it writes to, instead of a log of its own."""

    app: str = "chaos.app:jobs"
    before: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None


class Worker:
    """One `chute work`."""

    def __init__(self, process: Process, log: Path, notes: Path) -> None:
        self.process, self.log, self._notes = process, log, notes
        self.pid = process.pid

    def children(self) -> list[int]:
        """The processes that it started to run the jobs; none where it runs them itself."""
        return children(self.pid)

    def pids(self) -> list[int]:
        """Every process that may run jobs, or that keeps those; also below what made a namespace for them."""
        below = self.children()
        return [self.pid, *below, *[pid for child in below for pid in children(child)]]

    def held(self) -> int:
        """How many jobs it has started and not ended."""
        return sum(oracle.held(self._notes, pid) for pid in self.pids())

    def last_words(self) -> str:
        """The end of its log, on one line."""
        return _end_of(self.log)

    def signal(self, number: int) -> None:
        """Signals the process itself, not its children."""
        processes.send_signal([self.pid], number)

    def wait(self, seconds: float) -> int | None:
        """Its exit code; None when it is still there after so many seconds."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


class Fleet:
    """Starts workers and producers that write to the same notes. `src` is the folder of the package that those have which are started next."""

    def __init__(self, notes: Path, src: Path) -> None:
        self.notes, self.src = notes, src
        self.workers: list[Worker] = []
        self.terms = Terms()
        self._others: list[tuple[Process, Path]] = []
        self._started = 0

    @contextmanager
    def under(self, **terms: Any) -> Iterator[None]:
        """What is started inside is started under other terms, by the names of their fields."""
        usual, self.terms = self.terms, replace(self.terms, **terms)
        try:
            yield
        finally:
            self.terms = usual

    def worker(self, url: str, *options: str, clock: Clock = TEST_CLOCK) -> Worker:
        """Starts a worker. `clock`: its beat, and after how long it takes others for dead."""
        given = ("--concurrency", str(SLOTS), "--grace", str(GRACE), *options)
        process, log = self._spawn("worker", url, clock, "-m", "chute", "work", self.terms.app, *given)
        worker = Worker(process, log, self.notes)
        self.workers.append(worker)
        return worker

    def producer(self, url: str, *words: object) -> None:
        """Starts a producer; the words are those of `load`."""
        self.program(url, "chaos.load", *words)

    def program(self, url: str, module: str, *words: object, clock: Clock = TEST_CLOCK) -> Process:
        """Starts another program of the suite. It ends with the producers, if it has not before."""
        process, log = self._spawn(module.rpartition(".")[2], url, clock, "-m", module, *map(str, words))
        self._others.append((process, log))
        return process

    def producers(self) -> list[int]:
        """The processes that put jobs in."""
        return [process.pid for process, _ in self._others]

    def crowd(self, url: str, count: int) -> None:
        """Starts a process that is so many programs which wait."""
        self._others.append(self._spawn("crowd", url, TEST_CLOCK, "-m", "chaos.crowd", url, str(count)))

    def command(self, *words: str) -> tuple[int, str]:
        """A command of Chute's, to its end: its exit code, and all that it said."""
        return self.run("command", "", "-m", "chute", *words)

    def run(self, kind: str, url: str, *words: str) -> tuple[int, str]:
        """A program, to its end: its exit code, and all that it said."""
        process, log = self._spawn(kind, url, TEST_CLOCK, *words)
        return process.wait(120), log.read_text(errors="replace")

    def pids(self) -> list[int]:
        """Every process that may run jobs."""
        return [pid for worker in self.workers for pid in worker.pids()]

    def forget(self, worker: Worker) -> None:
        """It has ended, and that is known."""
        worker.process.wait()
        self.workers.remove(worker)

    def quiet(self) -> None:
        """Ends the producers, each after the job that it is sending."""
        for process, _ in self._others:
            process.terminate()
        for process, log in self._others:
            if process.wait(30):
                raise Failure(f"a producer ended with {process.returncode}: {_end_of(log)}")
        self._others.clear()

    def retire(self) -> list[str]:
        """Stops every worker as an operator does; what was not as it should be."""
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        wrong = []
        for worker in self.workers:
            if (code := worker.wait(GRACE + 5)) != 0:
                how = "did not end" if code is None else f"ended with {code}"
                wrong.append(f"a worker {how} after SIGTERM: {worker.last_words()}")
        return wrong

    def end(self) -> None:
        """Leaves no process behind."""
        for process in (*[worker.process for worker in self.workers], *[process for process, _ in self._others]):
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        until(lambda: not any(map(processes.alive, self.pids())), 2)

    def _spawn(self, kind: str, url: str, clock: Clock, *words: str) -> tuple[Process, Path]:
        self._started += 1
        log = self.terms.out or self.notes / f"{kind}-{self._started}.log"
        environment = {
            oracle.DIRECTORY: str(self.notes),
            "CHUTE_URL": url and canary.given(url),
            "CHUTE_BEAT": str(clock[0]),
            "CHUTE_DEAD_AFTER": str(clock[1]),
            "PYTHONPATH": f"{self.src}{os.pathsep}{ROOT}",
            **self.terms.environment,
        }
        return processes.spawn([*self.terms.before, sys.executable, *words], environment, log), log


def _end_of(log: Path) -> str:
    if not log.is_file():
        return f"(it wrote to {log})"
    return " | ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
