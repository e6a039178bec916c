"""Workers that live for a moment: `python -m chaos.mayflies COUNT SECONDS AT_ONCE [PAUSE]`.

Each is a process that holds a worker and dies of a signal so many seconds after its start, whatever it holds. One that imports first and forks
then has its worker registered after some hundredths of a second, so that hundreds can die in a short time. With a PAUSE in seconds between their
starts, the first AT_ONCE die at one moment all the same.
"""

import os
import signal
import sys
import time

import chute
from chaos import app


def main() -> None:
    """Returns when all have died."""
    count, seconds, at_once = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    pause = float((sys.argv[4:] or ["0"])[0])
    began, alive = time.monotonic(), 0
    for n in range(count):
        if alive == at_once:
            os.wait()
            alive -= 1
        if os.fork() == 0:
            _fly(seconds - (time.monotonic() - began if pause and n < at_once else 0))
        alive += 1
        time.sleep(pause)
    while alive:
        os.wait()
        alive -= 1


def _fly(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody handles SIGALRM
    chute.Worker(app.jobs, concurrency=4).run()


if __name__ == "__main__":
    main()
