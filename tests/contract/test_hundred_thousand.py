"""A hundred thousand jobs through one worker process: none lost, none twice, its memory flat, and in the end the server as it was before."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from servers import Server, until

JOBS = 100_000
APP = """
import os
import chute

jobs = chute.Queue("jobs")
log = os.open("ran", os.O_WRONLY | os.O_APPEND | os.O_CREAT)


@jobs.task(result_ttl=3)
async def answer(number: int) -> dict[str, int]:
    os.write(log, b"%d\\n" % number)
    return {"answer": number}
"""
STAYS = {b"queues", b"tags:{queue:jobs}"}


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_hundred_thousand_jobs(server: Server, tmp_path: Path) -> None:
    client = server.client()
    (tmp_path / "app.py").write_text(APP)
    for start in range(0, JOBS, 1000):
        client.lpush("queue:jobs", *['{"job_id":"job_%d","number":%d}' % (i, i) for i in range(start, start + 1000)])
    ran = tmp_path / "ran"
    ran.touch()
    command = [sys.executable, "-m", "chute", "work", "app:jobs", "--url", server.url]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as worker:
        try:
            assert until(lambda: ran.stat().st_size > 120_000, 60)  # about a fifth
            early = memory(worker.pid)
            assert until(lambda: ran.read_bytes().count(b"\n") >= JOBS, 90)
            late = memory(worker.pid)
            assert client.hget(f"result:job_{JOBS - 1}", "answer") in (b"%d" % (JOBS - 1), None)
        finally:
            worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    runs = Counter(map(int, ran.read_text().split()))
    assert len(runs) == JOBS, f"{JOBS - len(runs)} lost"
    assert set(runs.values()) == {1}, "some ran twice"
    assert late - early < 8 << 20, f"grew from {early >> 20} to {late >> 20} MiB"
    assert until(lambda: {key for key in client.scan_iter("*", count=5000) if not key.startswith(b"counts:")} == STAYS, 20)
    assert client.dbsize() <= len(STAYS) + 2
