"""A process that has been set up is smaller after it has settled, and nothing of it is looked at by the collector. One that runs jobs stays small."""

import re
import signal
import subprocess
import sys

import pytest

SHOWN = """
import gc
from chute.cli import heap

def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])

keeps = []
parts = [bytes(1000) for _ in range(30_000)]
keeps = parts[::1000]
del parts
before = resident()
heap.settle()
print(before - resident(), gc.get_freeze_count())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_was_needed_in_passing_goes_back_to_the_system() -> None:
    said = subprocess.run([sys.executable, "-c", SHOWN], capture_output=True, text=True, check=True).stdout
    found = re.fullmatch(r"(\d+) (\d+)\n", said)
    assert found, said
    kib, frozen = map(int, found.groups())
    assert kib > 10_000
    assert frozen > 10_000


TRIMMED = """
import os, socket, threading, time
from chute.cli import child

def resident():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])

child.TRIM_EVERY = 0.05
parts = [bytes(1000) for _ in range(30_000)]
keeps = parts[::1000]
del parts
before = resident()
here, there = socket.socketpair()
threading.Thread(target=child._read_to_the_end, args=(here,), daemon=True).start()
end = time.monotonic() + 10
while before - resident() < 10_000 and time.monotonic() < end:
    time.sleep(0.05)
print(before - resident(), flush=True)
there.close()
time.sleep(10)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_jobs_needed_in_passing_goes_back_to_the_system_until_the_supervisor_has_gone() -> None:
    said = subprocess.run([sys.executable, "-c", TRIMMED], capture_output=True, text=True, start_new_session=True, check=False)
    assert int(said.stdout) > 10_000
    assert said.returncode == -signal.SIGKILL
