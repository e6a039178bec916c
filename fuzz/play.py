"""Plays one target for a time: counts what was tried, and keeps what was found."""

import resource
import sys
import time
import traceback
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from fuzz.seeds import nearly

LONGEST = 0.1
"""Seconds of the processor for one value."""
LARGEST = 50 << 20
"""Bytes of memory for one value."""
LEAST = 50
"""Values that are tried in any case."""
BATCH = 300
"""Values of hypothesis between two looks at the clock; what it has learnt in them is thrown away."""
NEAR = 20
"""Values that are tried besides each that is or holds bytes or text: a few edits by chance, the same ones for the same value."""
SHOWN = 1_000


class Report(msgspec.Struct):
    """What came of a target."""

    target: str
    executions: int
    seconds: float
    findings: list[str]


class Costly(Exception):
    """It took too long, or too much."""


class Trial:
    """Looks at one value after the other until the time is over."""

    def __init__(self, look: Callable[[Any], None], until: float, varied: bool) -> None:
        self._look, self._until, self._varied = look, until, varied
        self.count = 0
        self.failing: Any = None
        self.error: BaseException | None = None
        self.failed = False

    def __call__(self, value: Any) -> None:
        """One value. What it raises is a finding."""
        if not self.failed and self.count > LEAST and time.monotonic() > self._until:
            return
        for each in (value, *(_neighbours(value) if self._varied else ())):
            self.count += 1
            try:
                self._measured(each)
            except BaseException as error:
                self.failed, self.failing, self.error = True, each, error
                raise

    def _measured(self, value: Any) -> None:
        peak, began = _peak(), time.thread_time()
        self._look(value)
        if time.thread_time() - began > LONGEST and (took := min(_time(self._look, value) for _ in range(3))) > LONGEST:
            raise Costly(f"{took:.3f} s of the processor")
        if _peak() - peak > LARGEST and (size := _size(self._look, value)) > LARGEST:
            raise Costly(f"{size >> 20} MB of memory")


def play(name: str, target: Any, seconds: float, start: int, smallest: bool = True) -> Report:
    """Tries a target for so many seconds, or until it has a finding. `start`: the seed of the first values. `smallest`: what is found is made small."""
    began = time.monotonic()
    trial = Trial(target.look, began + seconds, target.VARIED)
    findings: list[str] = []
    number = start
    phases = (Phase.generate, Phase.shrink) if smallest else (Phase.generate,)
    while time.monotonic() - began < seconds and not findings:
        try:
            _batch(target.VALUES, trial, number, phases)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and not trial.failed:
                raise
            what = "".join(traceback.format_exception(trial.error or error))[-2 * SHOWN :]
            findings.append(f"{name} with seed {number}: {_shown(trial.failing)}\n{what}")
        number += 1
    return Report(name, trial.count, time.monotonic() - began, findings)


def _neighbours(value: Any) -> Iterator[Any]:
    chance = Random(zlib.crc32(_shown(value).encode("utf-8", "surrogatepass")))
    for _ in range(NEAR if type(value) in (bytes, str, tuple, dict) else 0):
        yield nearly(value, chance)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
        return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]} ... {text[-SHOWN // 2 :]}"
    except Exception as error:
        return f"a {type(value).__name__} that cannot be shown ({error!r})"


def _batch(values: SearchStrategy[Any], trial: Trial, number: int, phases: tuple[Phase, ...]) -> None:
    @seed(number)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=phases,
    )
    @given(values)
    def each(value: Any) -> None:
        trial(value)

    each()


def _peak() -> int:
    if sys.platform == "linux":  # what getrusage says there is that of who started this process, where it was larger
        return int(Path("/proc/self/status").read_bytes().partition(b"VmHWM:")[2].split()[0]) << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _time(look: Callable[[Any], None], value: Any) -> float:
    began = time.thread_time()
    look(value)
    return time.thread_time() - began


def _size(look: Callable[[Any], None], value: Any) -> int:
    tracemalloc.start()
    try:
        look(value)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
