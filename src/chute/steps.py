"""The steps that jobs of a queue have done, kept on the server: what `chute.context().once(...)` asks and notes."""

from collections.abc import Callable

from chute.connection import Endpoint
from chute.store import Store


class ServerSteps:
    """The steps of the jobs of one queue. `endpoint` is asked for when it is needed."""

    def __init__(self, queue: str, endpoint: Callable[[], Endpoint]) -> None:
        self._store = Store(queue)
        self._endpoint = endpoint

    def done(self, job_id: str, step: str) -> bool:
        """Whether it was done."""
        return self._endpoint().run(self._store.step_done(job_id, step))

    def note(self, job_id: str, step: str) -> None:
        """It is done now."""
        self._endpoint().run(self._store.note_step(job_id, step))

    async def adone(self, job_id: str, step: str) -> bool:
        """As `done`, for asyncio code."""
        return await self._endpoint().arun(self._store.step_done(job_id, step))

    async def anote(self, job_id: str, step: str) -> None:
        """As `note`, for asyncio code."""
        await self._endpoint().arun(self._store.note_step(job_id, step))
