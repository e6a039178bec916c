"""Ten queues of one worker: that of all rows, and nine that have little to do. `chute work chaos.many` works them in fair turns."""

import asyncio

import chute
from chaos.app import Answer, jobs, noted

hot = jobs
IDLE = [chute.Queue(f"idle-{n}") for n in range(1, 10)]
one, two, three, four, five, six, seven, eight, nine = IDLE


async def quick(ms: int) -> Answer:
    """Takes so long."""
    with noted() as answer:
        await asyncio.sleep(ms / 1000)
        return answer


for _each in IDLE:
    _each.task(quick, default=True)
