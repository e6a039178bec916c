"""How many bytes a job takes: of the server's memory, of its network, of its append-only file.

    python -m benchmarks.bytes [--jobs 50000] [--bytes 200] [--listpack 64]

For each kind of server that is installed: so many jobs of so many bytes are put in by `enqueue_many`, with a delay and without; a real worker
drains them and stores an answer of 16 bytes, and then one of as many bytes as a job. Memory is by how much `used_memory` grew, over the jobs: that
hangs on the server's version and its allocator, not on the machine. `in`, `out` and `file` are of the whole way of a job with the short
answer. `--listpack` is the server's setting hash-max-listpack-value: a hash with a longer field is kept in a form for large ones.
"""

import argparse
import asyncio
import sys
from typing import Any, NamedTuple

import chute
from chute import connection
from servers import Kind, Server, binary, send

KINDS: tuple[Kind, ...] = ("valkey", "redis")
SHORT = 16
DUE = len(',"@due":1700000000000')
"""What a job with a delay says more."""


class Counted(NamedTuple):
    """What a server says of itself."""

    memory: int
    received: int
    sent: int
    file: int


def measure(server: Server, count: int, size: int) -> list[float]:
    """Bytes of a job: queued, scheduled, its short and its long result; received, sent and written for all of it."""
    queue = chute.Queue("jobs", url=server.url)

    @queue.task
    async def answer(question: str, length: int) -> dict[str, str]:
        return {"answer": "a" * length}

    def calls(length: int, delay: int) -> list[chute.Call[Any]]:
        pad = size - empty - len(str(length)) - (DUE if delay else 0)
        return [answer.options(delay=delay).bind("x" * pad, length) for _ in range(count)]

    with server.new_client() as client:
        answer.enqueue("", 0)
        empty = len(client.lindex("queue:jobs", 0) or b"") - 1
        start = _emptied(client)
        queue.enqueue_many(calls(SHORT, 0))
        if len(client.lindex("queue:jobs", 0) or b"") != size:
            sys.exit(f"a job is not of {size} bytes")
        queued = _counted(client)
        asyncio.run(_work(queue))
        short = _counted(client)
        long = _emptied(client)
        queue.enqueue_many(calls(size, 0))
        asyncio.run(_work(queue))
        longer = _counted(client)
        none = _emptied(client)
        queue.enqueue_many(calls(SHORT, 3600))
        scheduled = _counted(client)
    connection.forget(queue.endpoint.address)
    memory = (queued.memory - start.memory, scheduled.memory - none.memory, short.memory - start.memory, longer.memory - long.memory)
    return [bytes_ / count for bytes_ in (*memory, short.received - start.received, short.sent - start.sent, short.file - start.file)]


def _emptied(client: Any) -> Counted:
    send(client, "FLUSHALL", "SYNC")
    return _counted(client)


def _counted(client: Any) -> Counted:
    told = client.info()
    return Counted(told["used_memory"], told["total_net_input_bytes"], told["total_net_output_bytes"], told["aof_current_size"])


async def _work(queue: chute.Queue) -> None:
    await chute.Worker(queue).arun(burst=True)
    await chute.aclose()


def main(options: argparse.Namespace) -> None:
    """A line for each server."""
    print(f"{options.jobs:,} jobs of {options.bytes} bytes; bytes for each: memory, then network and file")
    heads = ("queued", "scheduled", f"result of {SHORT}", f"result of {options.bytes}", "in", "out", "file")
    print(f"{'':16}" + "".join(f"{head:>15}" for head in heads))
    for kind in KINDS:
        if not binary(kind):
            continue
        kept = ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0", "--hash-max-listpack-value", str(options.listpack))
        with Server(kind, *kept) as server:
            with server.new_client() as client:
                told: Any = client.info("server")
            version = told.get("valkey_version") or told["redis_version"]
            each = measure(server, options.jobs, options.bytes)
        print(f"{f'{kind} {version}':16}" + "".join(f"{figure:>15.0f}" for figure in each))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=50_000)
    parser.add_argument("--bytes", type=int, default=200)
    parser.add_argument("--listpack", type=int, default=64)
    main(parser.parse_args())
