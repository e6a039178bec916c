"""Row S02: the power goes. What the operating system had not yet put on the disk is gone, so the server comes back with the beginning of its file.

A process that is killed proves nothing here: the system still has what it wrote. So the file is copied while work goes on, and each copy is cut
somewhere behind what was on the disk a moment before; a server that starts with such a piece must have every job that was confirmed by then.
"""

import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos import final, oracle
from chaos.checker import Fault
from chaos.rows import Row
from chaos.stage import Stage
from servers import Server

FILES = "appendonlydir"
COPIES, CUTS = 40, 5
SYNCED = ("--appendonly", "yes", "--appendfsync", "always")
"""Who is answered is on the disk. With `everysec` WAITAOF should tell, and a Valkey 9.1.2 does not: it confirms what it has not yet synced."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The server's files at one moment. `confirmed` were on its disk a moment before; so were the first `least` bytes of the last file."""

    files: Path
    confirmed: frozenset[str]
    least: int
    held: int


def power_loss(stage: Stage) -> None:
    """Copies while workers and producers are at it; then the cuts, one after the other. Only a Valkey has WAITAOF, here."""
    stage.workers(2)
    stage.produce(150, kinds=("plain", "durable" if stage.server.kind == "valkey" else "chute"))
    time.sleep(2)
    copies = [_copy(stage, n) for n in range(COPIES * stage.times)]
    stage.drain()
    lost, twice = set[str](), set[str]()
    with_power = Server(stage.server.kind, "--appendonly", "yes", "--aof-load-truncated", "yes")
    try:
        for copy in copies * CUTS:
            found = _cut(stage, copy, with_power)
            lost |= {job for job in copy.confirmed if not found[job]}
            twice |= {job for job, count in found.items() if count > 1}
    finally:
        with_power.stop()
    stage.expect(not lost, f"{len(lost)} lost that were confirmed on disk: {sorted(lost)[:3]}")
    stage.expect(not twice, f"{len(twice)} are in two places: {sorted(twice)[:3]}")


def _copy(stage: Stage, number: int) -> Copy:
    """First who was answered, then how long the file is, a moment later the files: what came between is in doubt, and may be cut off."""
    confirmed = frozenset(oracle.read(stage.notes).accepted)
    least, held = _last(stage.server.directory / FILES).stat().st_size, stage.gauge.leases
    time.sleep(stage.chance.uniform(0.05, 0.15))
    files = stage.notes / f"copy-{number}"
    shutil.copytree(stage.server.directory / FILES, files)
    return Copy(files, confirmed, least, held)


def _cut(stage: Stage, copy: Copy, server: Server) -> Counter[str]:
    """Starts the server with a piece of the copy; in how many places each job is then."""
    shutil.rmtree(server.directory / FILES, ignore_errors=True)
    shutil.copytree(copy.files, server.directory / FILES)
    file = _last(server.directory / FILES)
    length = stage.chance.randint(copy.least, file.stat().st_size)
    with file.open("r+b") as opened:
        opened.truncate(length)
    at = oracle.now()
    server.start()
    with server.new_client() as client:
        found = _places(client)
    server.kill()
    stage.faults.append(Fault("power loss", "none", frozenset(), at, at, copy.held))
    return found


def _last(files: Path) -> Path:
    (found,) = files.glob("*.incr.aof")
    return found


def _places(client: Any) -> Counter[str]:
    """In how many places each job is: ready, scheduled, held, or at its end."""
    bodies = [*client.lrange(final.QUEUE, 0, -1), *client.lrange(f"first:{{{final.QUEUE}}}", 0, -1)]
    bodies += [member[16:] for member in client.zrange(f"scheduled:{{{final.QUEUE}}}", 0, -1)]
    for key in client.scan_iter(f"leases:{{{final.QUEUE}}}:*", count=10_000):
        bodies += client.hvals(key)
    found = Counter(job for body in bodies for job in final.jobs_of([body]))
    ended = {key.decode().removeprefix("result:") for key in client.scan_iter("result:*", count=10_000)}
    found.update(ended | {fields[b"job_id"].decode() for _, fields in client.xrange(f"dead:{{{final.QUEUE}}}")})
    return found


ROWS = (
    Row(
        "S02", "the power goes: the server's file ends anywhere", "nothing lost that was confirmed on disk", power_loss, 200, options=SYNCED
    ),
)
