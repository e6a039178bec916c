"""Rows U: two releases on one server. Workers and programs of both work one queue, come and go, and take over from each other."""

import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from io import BytesIO
from pathlib import Path

from chaos import ROOT, final
from chaos.fleet import GRACE, Skipped, Worker
from chaos.rows import Row
from chaos.stage import Stage
from servers import until

BEFORE = "adfe1def90f9"
"""The release before this one: the last commit without Sentinels, Cluster and partitions."""


def side_by_side(stage: Stage) -> None:
    """Up and down again, a worker at a time, with one of each release killed on the way."""
    new, folder = stage.fleet.src, Path(tempfile.mkdtemp(prefix="chute-before-"))
    try:
        old = _release(folder)
        stage.fleet.src = old
        stage.workers(2)
        stage.produce(100)
        stage.fleet.src = new
        stage.fleet.producer(stage.place.url, "chute", "newer", f"{stage.seed}newer", 50, 20, 100)
        for _ in range(stage.times):
            for release in (new, new, old, old):
                stage.fleet.src = release
                stage.workers(1)
                time.sleep(stage.chance.uniform(0.5, 1))
                leaving = stage.fleet.workers[0]
                stage.strike("SIGTERM", "none", leaving.pids(), lambda leaving=leaving: _ends(stage, leaving))
            stage.fleet.src = new
            stage.workers(1)
            for release in (old, new):  # the survivor is of the other release
                stage.fleet.src = release
                there = stage.client.hlen(final.WORKERS)
                (victim,) = stage.workers(1)
                stage.kill(victim, [victim.pid])
                stage.fleet.forget(victim)
                until(lambda there=there: stage.client.hlen(final.WORKERS) == there, 10)
    finally:
        stage.fleet.src = new
        shutil.rmtree(folder, ignore_errors=True)


def _release(folder: Path) -> Path:
    """The source of the release before, out of this repository's own history."""
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", BEFORE, "src"], capture_output=True, check=False)
    if packed.returncode:
        raise Skipped(f"the release before ({BEFORE}) is not in this clone; git fetch --unshallow brings its whole history")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def _ends(stage: Stage, worker: Worker) -> None:
    worker.signal(signal.SIGTERM)
    stage.expect(worker.wait(GRACE + 2) == 0, f"a worker did not end well: {worker.last_words()}")
    stage.fleet.forget(worker)


ROWS = (Row("U01", "two releases work one queue", "nothing lost, no duplicate but for a kill", side_by_side, 6, recovery=2.0),)
