"""Counts the calls of a handler by its own clocks: BENCH_JOBS calls make a measurement, written to the file BENCH_OUT."""

import os
import time

_TOTAL, _OUT = int(os.environ["BENCH_JOBS"]), os.environ["BENCH_OUT"]
_count, _started, _cpu = 0, 0.0, 0.0


def hit() -> None:
    """One call. The last one writes jobs a second and microseconds of this process a job, from the first call on."""
    global _count, _started, _cpu  # noqa: PLW0603 - an object would cost the handler more
    if not _count:
        _started, _cpu = time.perf_counter(), time.process_time()
    _count += 1
    if _count == _TOTAL:
        rate = (_TOTAL - 1) / (time.perf_counter() - _started)
        cpu = (time.process_time() - _cpu) * 1e6 / (_TOTAL - 1)
        with open(_OUT + ".new", "w") as out:
            out.write(f"{rate} {cpu}")
        os.replace(_OUT + ".new", _OUT)
