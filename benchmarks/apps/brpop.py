"""What a plain queue does: an asyncio client of redis-py that blocks on a list, and says to the file BENCH_OUT when it had each job.

python brpop.py SOCKET
"""

import asyncio
import os
import sys
import time

import msgspec
import redis.asyncio

_out = os.open(os.environ["BENCH_OUT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def main(path: str) -> None:
    """Until it is ended."""
    taker = redis.asyncio.Redis(unix_socket_path=path)
    decode = msgspec.json.Decoder().decode
    while True:
        taken = await taker.brpop("queue:jobs")
        decode(taken[1])
        os.write(_out, b"%d\n" % time.monotonic_ns())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
