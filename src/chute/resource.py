"""Something that a worker opens once and its tasks share: a pool, a client, a model. Opened before the first job, closed after the last."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from chute.errors import ChuteError

V = TypeVar("V")
_NOTHING: Any = object()


class ResourceError(ChuteError):
    """A resource cannot be opened or closed."""


class Resource(Generic[V]):
    """What the generator under `@jobs.resource` yields, once in each worker process. After the drain the generator goes on, and closes it.

    @jobs.resource
    def database() -> Iterator[Connection]:
        with connect() as connection:
            yield connection

    @jobs.task
    def count(table: str) -> int:
        return database.get().count(table)
    """

    def __init__(self, fn: Callable[[], AsyncIterator[V]] | Callable[[], Iterator[V]]) -> None:
        self.name = getattr(fn, "__name__", repr(fn))
        if not (inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn)):
            raise TypeError(f"resource {self.name} cannot be registered: it is no generator; yield what the tasks are to share, once")
        if inspect.signature(fn).parameters:
            raise TypeError(f"resource {self.name} cannot be registered: it takes parameters, and nobody would give them")
        self._fn = fn
        self._running: Any = None
        self._value: V = _NOTHING
        self.__doc__ = fn.__doc__

    def get(self) -> V:
        """What was opened. Raises RuntimeError where no worker runs and nothing was put in its place."""
        if self._value is _NOTHING:
            raise RuntimeError(
                f"resource {self.name} is open in a worker only. In a test, put something in its place: {self.name}.override(...)"
            )
        return self._value

    @contextmanager
    def _overridden(self, value: V) -> Iterator[None]:
        before, self._value = self._value, value
        try:
            yield
        finally:
            self._value = before

    def override(self, value: V) -> AbstractContextManager[None]:
        """Another value for the time of a with block; for tests. A worker that starts within opens nothing."""
        return self._overridden(value)

    async def open(self) -> None:
        """Runs the generator up to its yield. Called by the worker. Raises ResourceError."""
        if self._value is not _NOTHING:
            return
        self._running = self._fn()
        try:
            self._value = await _step(self._running)
        except Exception as error:
            self._running = None
            raise ResourceError(f"resource {self.name} cannot be opened: {type(error).__name__}: {error}. No job was claimed") from error
        if self._value is _NOTHING:
            self._running = None
            raise ResourceError(f"resource {self.name} cannot be opened: it yields nothing. No job was claimed")

    async def close(self) -> None:
        """Lets the generator go on to its end. Called by the worker."""
        running, self._running = self._running, None
        if running is None:
            return
        self._value = _NOTHING
        if await _step(running) is not _NOTHING:
            raise ResourceError(f"resource {self.name} yields more than once; what comes after the first yield must only close")


async def _step(generator: Any) -> Any:
    """The next value of a generator of either kind; _NOTHING at its end."""
    return await anext(generator, _NOTHING) if hasattr(generator, "__anext__") else next(generator, _NOTHING)
