"""A program that changes its mind: it breaks off what it awaits, again and again, and looks whether another call gets the reply that was meant for
that one. `python -m chaos.cancels URL COUNT SEED`; it ends with 1 when one does.
"""

import asyncio
import random
import sys

import chute
from chaos import app, oracle
from chute.errors import Unconfirmed

AT_ONCE = 20
LONGEST = 0.003
"""Seconds after which a call is broken off, at the most."""


class Program:
    """Breaks off so many calls; `cancelled` is how many were, `mixed` what was another's."""

    def __init__(self, count: int, seed: str) -> None:
        self.cancelled, self.mixed = 0, list[str]()
        self._count, self._chance, self._sent = count, random.Random(seed), 0
        self._ended = list[chute.Job[object]]()
        self._notes = oracle.Notebook("sent")

    async def run(self) -> None:
        """Some calls side by side until it has broken off enough."""
        await asyncio.gather(*[self._calls() for _ in range(AT_ONCE)])

    async def _calls(self) -> None:
        while self.cancelled < self._count:
            call = asyncio.create_task(self._one())
            await asyncio.wait([call], timeout=self._chance.uniform(0, LONGEST))
            if call.cancel():
                self.cancelled += 1
            await asyncio.gather(call, return_exceptions=True)
            if not call.cancelled() and (error := call.exception()):
                raise error

    async def _one(self) -> None:
        """Sends a job, or looks at one that has ended: status and result must be those of that job."""
        if self._sent < 200 or self._chance.random() < 0.05:
            await self._send()
            return
        job = self._chance.choice(self._ended)
        if await job.astatus() == "completed":
            told = await app.jobs.job(job.id).aresult(timeout=5)
            if not isinstance(told, dict) or told.get("echo") != job.id:
                self.mixed.append(f"{job.id} was told {told!r}")

    async def _send(self) -> None:
        self._sent += 1
        name, how = f"cancels-{self._sent}", "unknown"
        try:
            self._ended.append(await app.work.options(job_id=name).aenqueue(1))
            how = "accepted"
        except Unconfirmed:
            pass
        finally:
            self._notes.note(how, name, oracle.now())  # broken off: nobody knows


def main() -> int:
    """The exit code."""
    program = Program(int(sys.argv[1]), sys.argv[2])
    asyncio.run(program.run())
    print(f"{program.cancelled} calls were broken off", *program.mixed[:3], sep="\n")
    return int(bool(program.mixed))


if __name__ == "__main__":
    sys.exit(main())
