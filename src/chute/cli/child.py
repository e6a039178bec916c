"""A process of `chute work` that runs the jobs: the user's module, one worker in it, and the wire to the supervisor that started it.

It ends with its supervisor, by whatever end: the system kills it then, where it can; a thread that reads the wire does it elsewhere.
"""

import ctypes
import faulthandler
import gc
import os
import select
import signal
import socket
import sys
import threading
from typing import NoReturn, cast

from chute import address
from chute.cli import heap, load, logs
from chute.cli.logs import Screen
from chute.cli.messages import ended, say, say_what_else_answers, server_line
from chute.release import VERSION
from chute.worker import Worker, wire
from chute.worker.board import Board
from chute.worker.guard import Guard
from chute.worker.wire import Left, Start

COMMAND = (sys.executable, "-P", "-c", "from chute.cli.child import main; main()")
"""Starts one. -P: what lies in the current directory must not stand in for a module of ours."""
LAST_SECOND = 1.0
"""Seconds that the process gets to end by itself, once nothing is left to lose."""
TRIM_EVERY = 60.0
"""Seconds after which free memory goes back to the system again."""
_PR_SET_PDEATHSIG = 1


def main() -> NoReturn:
    """The entry point. The arguments are the socket, the board, its slots and the supervisor's process id."""
    to, board, slots, parent = (int(word) for word in sys.argv[1:])
    for each in (to, board):
        os.set_inheritable(each, False)
    supervisor = socket.socket(fileno=to)
    _end_with(parent)
    start = _told(supervisor)
    signal.signal(signal.SIGHUP, lambda *_: None)  # the supervisor's business
    for each in (signal.SIGTTIN, signal.SIGTTOU):  # to the terminal we are in the background: who reads it, or under `stty tostop` writes
        signal.signal(each, signal.SIG_IGN)  # to it, would be stopped with all that runs beside; so a read fails and a line is written
    faulthandler.enable(all_threads=False)
    ended(lambda: _work(start, Guard(Board(slots, board), supervisor, watched=True)))


def _work(start: Start, guard: Guard) -> None:
    """Works until it is told to stop."""
    board = guard.board
    screen = logs.start(start.log_level, start.log_format, lambda: board.status)
    if start.url is not None:
        address.choose(start.url)
        start.url = None  # a traceback that shows variables may come by here
    logs.take_up(screen)
    chosen = load.load(start.module)
    logs.settle(screen, start.log_level)
    worker = Worker(*[queue for queue, _ in chosen], concurrency=start.concurrency, threads=start.threads)
    worker.weights = [weight for _, weight in chosen]
    worker.grace, worker.max_jobs, worker.patient, worker.guard = start.grace, start.max_jobs, not start.first, guard
    if start.first:
        say(f"chute {VERSION} · {server_line(worker.queues[0].endpoint)} · another: --url or CHUTE_URL")
        say_what_else_answers(worker.queues[0].endpoint)
    heap.settle()
    gc.set_threshold(20_000, 20, 20)  # young objects die by reference counting, so the collector need not look at them so often
    worker.leaving = lambda: _leave(worker, guard, screen, start)
    worker.run(burst=start.burst)


def _leave(worker: Worker, guard: Guard, screen: Screen, start: Start) -> None:
    """Everything was given back: says so, and sees to it that the process ends, whatever a handler holds on to."""
    screen.done()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    guard.say(Left(done=worker.drained))
    end = threading.Timer(LAST_SECOND, os._exit, (0,))
    end.daemon = True
    end.start()


def _told(supervisor: socket.socket) -> Start:
    """What to do: the first line on the wire, and the only one in this direction."""
    line = b""
    while not line.endswith(b"\n"):
        if not (more := supervisor.recv(1 << 16)):
            os._exit(1)
        line += more
    start = cast(Start, wire.decode(line))
    threading.Thread(target=_read_to_the_end, args=(supervisor,), name="chute supervisor", daemon=True).start()
    return start


def _end_with(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _read_to_the_end(supervisor: socket.socket) -> None:
    """Nothing more is said on the wire: its end is the supervisor's, and so this process's, with all that its handlers started. Until then there is
    time to keep the process small."""
    said = select.poll()
    said.register(supervisor, select.POLLIN)
    try:
        while not said.poll(TRIM_EVERY * 1000) or supervisor.recv(1):
            heap.trim()
    except OSError:
        pass
    os.killpg(0, signal.SIGKILL)
