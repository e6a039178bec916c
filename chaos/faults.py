"""What can be done to a server while workers and producers use it. Each takes the stage and has healed the server when it returns."""

import contextlib
import signal
import threading
import time
from functools import partial

import redis

from chaos.stage import Stage
from servers import send


def crash(stage: Stage, seconds: float) -> None:
    """kill -9, and a restart after so long; it returns when the server answers again."""
    stage.server.kill()
    time.sleep(seconds)
    stage.server.start()


def roll_back(stage: Stage, seconds: float) -> None:
    """A snapshot, some more work, kill -9, and a restart from the snapshot: what was answered after it is gone."""
    send(stage.client, "SAVE")
    time.sleep(seconds)
    crash(stage, 0)


def freeze(stage: Stage, seconds: float) -> None:
    """SIGSTOP, SIGCONT."""
    process = stage.server.process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)
    stage.client.ping()


def fill(stage: Stage) -> None:
    """From now on the server is fuller than it may be."""
    used = int(stage.client.info("memory")["used_memory"])
    stage.client.config_set("maxmemory", used * 95 // 100)


def empty(stage: Stage) -> None:
    """It has room again."""
    stage.client.config_set("maxmemory", 0)


def pause_writes(stage: Stage, seconds: float) -> None:
    """CLIENT PAUSE for what writes."""
    send(stage.client, "CLIENT", "PAUSE", int(seconds * 1000), "WRITE")
    time.sleep(seconds)


def keep_busy(stage: Stage, seconds: float) -> None:
    """A script that does not end by itself: BUSY for all others, until it is killed."""
    stage.client.config_set("busy-reply-threshold", 100)
    other = stage.server.new_client(socket_timeout=seconds + 10)

    def loop() -> None:
        with contextlib.suppress(redis.ResponseError):  # killed
            send(other, "EVAL", "while true do end", 0)

    thread = threading.Thread(target=loop)
    thread.start()
    time.sleep(seconds)
    send(stage.client, "SCRIPT", "KILL")
    thread.join()
    other.close()


def send_again(stage: Stage, seconds: float, every: float, *command: str) -> None:
    """The same command again and again, each time a fault."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stage.strike_server(" ".join(command[:2]), partial(send, stage.client, *command))
        time.sleep(every)


def refuse_without_replicas(stage: Stage, seconds: float) -> None:
    """NOREPLICAS for every write."""
    stage.client.config_set("min-replicas-to-write", 1)
    time.sleep(seconds)
    stage.client.config_set("min-replicas-to-write", 0)
