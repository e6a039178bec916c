"""Workers that live for a moment: `python -m chaos.mayflies COUNT SECONDS AT_ONCE`.

Each is a process that holds a worker and dies of a signal so many seconds after its start, whatever it holds. One that imports first and forks
then has its worker registered after some hundredths of a second, so that hundreds can die in a short time.
"""

import os
import signal
import sys

import chute
from chaos import app


def main() -> None:
    """Returns when all have died."""
    count, seconds, at_once = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    alive = 0
    for _ in range(count):
        if alive == at_once:
            os.wait()
            alive -= 1
        if os.fork() == 0:
            _fly(seconds)
        alive += 1
    while alive:
        os.wait()
        alive -= 1


def _fly(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody handles SIGALRM
    chute.Worker(app.jobs, concurrency=4).run()


if __name__ == "__main__":
    main()
