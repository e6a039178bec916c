"""Limits of the system around a process and all that it starts, by control groups. Needs root and a hierarchy that can be written."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from chaos import processes
from chaos.fleet import Skipped
from servers import until

_ROOT = Path("/sys/fs/cgroup")
JOIN = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')
"""Words that, with such a group, stand before the command of who is to be in it from its start."""
Controller = Literal["memory", "pids"]


@contextmanager
def confined(controller: Controller, limit: int) -> Iterator[Path]:
    """A group with that limit (bytes, or processes and threads): the file to which is written who is to be in it. Whoever is still in it at
    the end is killed. Raises Skipped."""
    try:
        group = _new_group(controller, limit)
    except OSError as error:
        raise Skipped(f"no control group can be made here: {error}") from error
    try:
        yield group / "cgroup.procs"
    finally:
        until(lambda: _emptied(group), 5)


def _new_group(controller: Controller, limit: int) -> Path:
    if (_ROOT / "cgroup.controllers").exists():
        above, names = _ROOT, {"memory": "memory.max", "pids": "pids.max"}
        (_ROOT / "cgroup.subtree_control").write_text(f"+{controller}")
    else:
        ours = next(line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines() if controller in line.split(":")[1])
        above, names = _ROOT / controller / ours.lstrip("/"), {"memory": "memory.limit_in_bytes", "pids": "pids.max"}
    group = above / f"chute-{os.getpid()}"
    group.mkdir(exist_ok=True)
    (group / names[controller]).write_text(str(limit))
    return group


def _emptied(group: Path) -> bool:
    processes.send_signal([int(pid) for pid in (group / "cgroup.procs").read_text().split()], signal.SIGKILL)
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()
