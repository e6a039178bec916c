"""Rows T: clocks that jump, that differ, that stand still. Nothing but the time at which something is due may depend on one."""

import signal
import time
from collections.abc import Callable

from chaos import clock, final, load, oracle, processes
from chaos.clock import Clocked
from chaos.fleet import DEAD_AFTER
from chaos.rows import Row
from chaos.stage import Stage
from servers import until

JUMPS = (-3000, 0, 40)
"""Seconds. Back by fifty minutes: with an hour, the results of that time would be too old when it comes back, as their TTL says. And ahead in the
end: a job that is due at a time to which the clock never comes would wait for it."""
APART = 0.25
"""Seconds between two machines that wake: all of them together are fewer than a worker may be silent."""
HOUR = "+3600", "-3600", "+0 x2"


def server_clock_jumps(stage: Stage) -> None:
    """Nobody is taken for dead by it, and who dies then is missed in time."""
    server = stage.server
    clock.needed(server.kind)
    assert isinstance(server, Clocked)
    stage.workers(3)
    stage.produce(150)
    for shift in JUMPS * stage.times:

        def jumps(shift: int = shift) -> None:
            server.shift(shift)
            time.sleep(2 * DEAD_AFTER)

        _nobody_dies(stage, lambda shift=shift, act=jumps: stage.strike_server(f"the server's clock at {shift:+d} s", act))
        stage.expect(abs(server.ahead(stage.client) - shift) < 5, f"the clock did not go: {server.ahead(stage.client):+.0f} s")
        (victim,) = stage.workers(1)
        stage.kill(victim, [victim.pid])
        stage.fleet.forget(victim)
        until(lambda: stage.client.hlen(final.WORKERS) == 3, 10)  # it counts no more


def clocks_differ(stage: Stage) -> None:
    """Workers and producers an hour ahead, an hour behind and twice as fast: nobody is taken for dead, and what is delayed is run in time."""
    clock.needed()
    for how in HOUR:
        with stage.fleet.under(environment=clock.wrong(how)):
            stage.workers(1)
            stage.fleet.producer(stage.place.url, "delayed", f"delayed{how[:2]}", f"{stage.seed}{how}", 10, 1, 20)
    with stage.fleet.under(environment=clock.wrong(HOUR[0])):
        stage.produce(60)
    pids = stage.fleet.pids()
    _nobody_dies(stage, lambda: stage.strike("wrong clocks", "none", pids, lambda: time.sleep(3 * DEAD_AFTER * stage.times)))
    for how in HOUR * stage.times:
        with stage.fleet.under(environment=clock.wrong(how)):
            (victim,) = stage.workers(1)
        stage.kill(victim, [victim.pid])
        stage.fleet.forget(victim)
    stage.drain()
    history = oracle.read(stage.notes)
    off = {
        job: (runs[0].started - history.accepted_at[job]) / 1e9 - load.DELAY
        for job, runs in history.runs.items()
        if job.startswith("delayed") and job in history.accepted_at and not _struck(stage, runs)
    }
    stage.expect(len(off) > 50, f"{len(off)} delayed jobs are too few to say anything")
    worst = max(off, key=lambda job: abs(off[job]), default="")
    stage.expect(abs(off.get(worst, 0)) < stage.limit(1), f"{worst} was run {off.get(worst, 0):+.2f} s beside its time")


def all_suspended(stage: Stage) -> None:
    """All machines sleep: server, workers and programs stand still for ten times the time of death. They wake one after the other, in any order;
    who is the first finds the others as he left them."""
    workers = stage.workers(4)
    stage.produce(150)
    assert stage.server.process is not None
    server = [stage.server.process.pid]
    for n in range(2 * stage.times):
        time.sleep(1)
        machines = [worker.pids() for worker in workers]
        stage.chance.shuffle(machines)
        order = [*machines, server] if n % 2 else [server, *machines]
        _nobody_dies(stage, lambda order=order: stage.strike_server("all are suspended", lambda: _sleep(stage, order)))


def _sleep(stage: Stage, machines: list[list[int]]) -> None:
    others = stage.fleet.producers()
    processes.send_signal([*others, *[pid for machine in machines for pid in machine]], signal.SIGSTOP)
    time.sleep(10 * DEAD_AFTER)
    for machine in machines:
        processes.send_signal(machine, signal.SIGCONT)
        time.sleep(APART)
    processes.send_signal(others, signal.SIGCONT)


def _nobody_dies(stage: Stage, act: Callable[[], object]) -> None:
    """The workers that were there before are there a while after it under their old ids."""
    before = set(stage.client.hkeys(final.WORKERS))
    act()
    time.sleep(2 * DEAD_AFTER)
    gone = before - set(stage.client.hkeys(final.WORKERS))
    stage.expect(not gone, f"{len(gone)} workers were taken for dead")


def _struck(stage: Stage, runs: list[oracle.Run]) -> bool:
    """Whether what ran it was killed, or it waited while somebody else's was recovered: then it has another delay too."""
    return len(runs) > 1 or any(fault.effect == "death" and fault.began <= runs[0].started <= fault.ended + 3e9 for fault in stage.faults)


ROWS = (
    Row(
        "T01",
        "the server's clock jumps by 50 minutes and by 40 s",
        "no false death, none missed",
        server_clock_jumps,
        6,
        2.0,
        place=Clocked,
    ),
    Row("T02", "clocks of workers and programs an hour off, or fast", "no false death, delays right to a second", clocks_differ, 4, 2.0),
    Row("T03", "server, workers and programs suspended for 15 s", "no duplicate, nobody is taken for dead", all_suspended, 2, resume=3.0),
)
