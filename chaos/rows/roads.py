"""Rows N, the way itself: it is long, it is narrow, its cable is pulled, its end moves; and many come back on it at once."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from chaos import ROOT, final, oracle, processes
from chaos.fleet import SLOTS, Failure, Skipped, Terms, Worker
from chaos.road import Road
from chaos.rows import APPEND_ONLY, Row
from chaos.rows.network import TIMEOUT
from chaos.rows.server import flows_again
from chaos.stage import Stage
from servers import Server, free_port, until

SLOW = 500
"""Milliseconds that a job takes where the way is long."""
FAT = 1_000_000
NARROW = 10_000
MOVED = 5.0
CROWD, TENTH = 500, 0.1
OPEN = partial(Server, tcp=True)


def is_long(stage: Stage) -> None:
    """20 ms for each reply, then 100 to 300. A slot whose job has ended waits one round trip for the next at the most: that is the prediction."""
    road = stage.open(Road(stage.server.socket, str(stage.server.directory / "long")))
    stage.workers(2, via=road)
    before = set(stage.client.hkeys(final.WORKERS))
    stage.push({f"slow-{n}": {"@task": "work", "ms": SLOW} for n in range(1, 700 * stage.times)})
    for trip, spread in ((20, 0), (200, 100)):
        road.late = partial(_each_way, stage, trip, spread)
        time.sleep(2)
        predicted = 2 * SLOTS * 1000 / (SLOW + trip)
        rates: list[float] = []
        stage.strike_server(f"{trip} ms", lambda rates=rates: rates.append(stage.rate_while(lambda: time.sleep(8))))
        stage.expect(rates[0] >= 0.8 * predicted, f"{rates[0]:.0f}/s over a way of {trip} ms, {predicted:.0f} were predicted")
    stage.expect(before == set(stage.client.hkeys(final.WORKERS)), "workers were taken for dead")
    road.late = lambda: 0.0
    until(lambda: not final.pending(stage.client), 60)


def _each_way(stage: Stage, trip: int, spread: int) -> float:
    return stage.chance.uniform(trip - spread, trip + spread) / 2000


def is_narrow(stage: Stage) -> None:
    """10 kB a second, and jobs of a megabyte: they do not come through, and nobody dies of it."""
    road = stage.open(Road(stage.server.socket, str(stage.server.directory / "narrow")))
    stage.workers(2, via=road)
    stage.produce(50)
    for n in range(stage.times):
        time.sleep(0.5)
        before = set(stage.client.hkeys(final.WORKERS))
        road.rate = NARROW
        stage.push({f"fat-{n}-{i}": {"@task": "work", "ms": 20, "@pad": "x" * FAT} for i in range(1, 6)})
        until(lambda: stage.gauge.leases > 0, 2)
        stage.strike_server("10 kB/s", lambda: time.sleep(8))
        stage.expect(before == set(stage.client.hkeys(final.WORKERS)), "workers were taken for dead")
        road.rate = float("inf")
        flows_again(stage)


class Apart:
    """A network of its own with the server's end of a cable; the other end is here. Raises Skipped where nobody may make one."""

    def __init__(self, target: str, notes: Path) -> None:
        self._target, self._notes = target, notes
        number = free_port()  # nobody else has it now
        self._name, self._here, self._there = f"chaos{number}", f"ca{number}", f"cb{number}"
        self._net, self._port = f"10.{number >> 8}.{number & 255}", number
        self.url = f"redis://{self._net}.2:{number}"

    def __enter__(self) -> "Apart":
        try:
            self._ip("netns", "add", self._name)
            self._ip("link", "add", self._here, "type", "veth", "peer", "name", self._there, "netns", self._name)
            self._ip("addr", "add", f"{self._net}.1/30", "dev", self._here)
            self._ip("-n", self._name, "addr", "add", f"{self._net}.2/30", "dev", self._there)
            self._ip("-n", self._name, "link", "set", self._there, "up")
            self.pulled(False)
        except (OSError, subprocess.CalledProcessError) as error:
            self.__exit__()
            raise Skipped(f"no network can be made here: {error}") from None
        words = ["ip", "netns", "exec", self._name, sys.executable, "-m", "chaos.road", f"{self._net}.2", str(self._port), self._target]
        self._road = processes.spawn(words, {"PYTHONPATH": str(ROOT)}, self._notes / "road.log")
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        if road := getattr(self, "_road", None):
            road.kill()
            road.wait()
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            self._ip("netns", "del", self._name)  # and the cable with it

    def pulled(self, out: bool) -> None:
        """Pulls the cable, or puts it in: no side is told."""
        self._ip("link", "set", self._here, "down" if out else "up")

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)


def is_pulled(stage: Stage) -> None:
    """The cable of an idle worker, then that of a busy one: both find out by themselves, and somebody else goes on with what the second held."""
    far = stage.open(Apart(stage.server.socket, stage.notes))
    (worker,) = stage.workers(1, via=far)
    stage.workers(1)
    time.sleep(1)
    _pull(stage, far, worker)
    stage.produce(150)
    for _ in range(stage.times):
        stage.strike("the cable is pulled", "suspicion", worker.pids(), lambda: _pull(stage, far, worker))
        until(lambda: worker.held() > 0, 10)


def _pull(stage: Stage, far: Apart, worker: Worker) -> None:
    losses = _losses(worker)
    began = time.monotonic()
    far.pulled(True)
    noticed = until(lambda: _losses(worker) > losses, TIMEOUT + stage.limit(3))
    took = time.monotonic() - began
    stage.expect(
        noticed and took < TIMEOUT + stage.limit(1),
        f"after {took:.1f} s the worker {'knew' if noticed else 'did not know'} that its cable was out",
    )
    far.pulled(False)
    time.sleep(1)


def _losses(worker: Worker) -> int:
    return worker.log.read_text().count("the connection to the server is lost")


@contextlib.contextmanager
def names(stage: Stage) -> Iterator[Path]:
    """A file of host names that workers which start now have instead of the system's, and no other source of names."""
    hosts, order = stage.notes / "hosts", stage.notes / "order"
    hosts.write_text("127.0.0.1 localhost queue-server\n")
    order.write_text("hosts: files\n")
    bound = f"mount --bind {hosts} /etc/hosts && mount --bind {order} /etc/nsswitch.conf"
    stage.fleet.terms = Terms(before=("unshare", "--mount", "sh", "-c", f'{bound} && exec "$@"', "sh"))
    try:
        subprocess.run([*stage.fleet.terms.before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Skipped(f"no host names can be set here: {error}") from None
    try:
        yield hosts
    finally:
        stage.fleet.terms = Terms()


def moves(stage: Stage) -> None:
    """The server's name is that of another address: the worker is there within five seconds. A name that is nobody's and a server that accepts
    and says nothing are reported in time."""
    hosts = stage.open(names(stage))
    port = free_port()
    near, far = (Road(stage.server.socket, (f"127.0.0.{n}", port)) for n in (1, 2))
    stage.open(far)
    mute = stage.open(Road(stage.server.socket, str(stage.server.directory / "mute")))
    mute.closed = True
    with near:
        (worker,) = stage.workers(1, via=_Named(f"redis://queue-server:{port}"))
        stage.workers(1)
        stage.produce(150)
        _reported(stage, mute.url, TIMEOUT, "")
        _reported(stage, f"redis://no-server:{port}", 1, "not known")
        hosts.write_text("127.0.0.2 localhost queue-server\n")
    stage.strike("the server has moved", "suspicion", worker.pids(), lambda: None, held=stage.gauge.leases)
    there = until(lambda: bool(far.dials), MOVED)
    stage.expect(there, f"the worker was not at the new address {MOVED:g} s later: {worker.last_words()}")
    since = oracle.now()
    until(lambda: any(run.started > since and run.pid in worker.pids() for run in oracle.read(stage.notes).all_runs()), 10)


class _Named:
    def __init__(self, url: str) -> None:
        self.url = url


def _reported(stage: Stage, url: str, seconds: float, words: str) -> None:
    """A program that sends there is told so in time."""
    began = time.monotonic()
    code, said = stage.fleet.command("push", "jobs", '{"ms": 1}', "--url", url)
    took = time.monotonic() - began
    stage.expect(code != 0 and words in said, f"a push to {url} ended with {code}: {said[-300:]}")
    stage.expect(took < stage.limit(seconds + 1.5), f"a push to {url} took {took:.1f} s: {said[-300:]}")


def come_back(stage: Stage) -> None:
    """The server restarts, and 500 programs that wait for results come back to it, not all at once."""
    road = stage.open(Road(("127.0.0.1", stage.server.port), ("127.0.0.1", free_port())))
    stage.workers(2)
    stage.produce(100)
    stage.fleet.crowd(road.url, CROWD)
    if not until(lambda: len(stage.client.client_list()) >= CROWD, 60):
        raise Failure(f"only {len(stage.client.client_list())} clients came")
    for _ in range(stage.times):
        time.sleep(1)
        stage.strike_server("restart with 500 clients", lambda: _restarted(stage))
        began = time.monotonic()
        back = until(lambda: len(stage.client.client_list()) >= CROWD, 30)
        took = time.monotonic() - began
        stage.expect(back and took < stage.limit(10), f"after {took:.1f} s {len(stage.client.client_list())} of {CROWD} clients were back")
        most = max(sum(at <= each < at + TENTH for each in road.dials) for at in road.dials if at > began)
        stage.expect(most <= CROWD / 2, f"{most} of {CROWD} dialled within the same tenth of a second")


def _restarted(stage: Stage) -> None:
    stage.server.kill()
    time.sleep(1)
    stage.server.start()


ROWS = (
    Row("N01", "a round trip takes 20 ms, then 200", "four fifths of the predicted rate, nobody is taken for dead", is_long, 2, alone=True),
    Row("N06", "the cable is pulled, no side is told", "a dead connection is given up", is_pulled, 1, recovery=2.5),
    Row("N08", "10 kB/s, jobs of a megabyte", "nobody is taken for dead", is_narrow, 1),
    Row("N10", "the server moves; a name is nobody's; a server is mute", "there within 5 s, the others are reported in time", moves, 1),
    Row("N12", "the server restarts with 500 clients", "they come back one after the other", come_back, 1, options=APPEND_ONLY, place=OPEN),
)  # fmt: skip
