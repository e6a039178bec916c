"""A queue: where tasks are registered, and where jobs are put in. Making one opens nothing; the server is found at first use."""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ParamSpec, Protocol, TypeVar, overload

from chute import duration
from chute.address import Url
from chute.call import Call, Sender, chunks, seal_all, seal_plain
from chute.connection import Endpoint
from chute.duration import Seconds
from chute.keys import MOST_PARTITIONS, check_job_id, check_queue_name, partition
from chute.policy import Exceptions, Policy
from chute.resource import Resource
from chute.result import Job
from chute.store import Confirm, depth_of
from chute.task import Task

P = ParamSpec("P")
R = TypeVar("R")
J = TypeVar("J")
V = TypeVar("V")
Json = Mapping[str, Any]
_BATCH = 10_000
"""Jobs in one exchange of enqueue_many."""


class Queue:
    """A named list of jobs on a server, and the tasks that work on it.

    `name`: 1 to 64 of the characters A-Z a-z 0-9 . _ -; the public list is `queue:<name>`. `url`: the server (default: `CHUTE_URL`,
    `REDIS_URL`, else the embedded one). `partitions`: spreads the queue over so many lists, 1 to 15, `queue:<name>:0` and on, which a Cluster has
    on different nodes; `queue:<name>` is worked too. Raises ValueError for a name that cannot be one, or a number.

        jobs = chute.Queue("jobs")
    """

    name: str

    def __init__(self, name: str, *, url: str | None = None, partitions: int | None = None) -> None:
        self.name, url = name, url and Url(url)  # first, since tracebacks may show both
        check_queue_name(name)
        if partitions is not None and (type(partitions) is not int or not 1 <= partitions <= MOST_PARTITIONS):
            raise ValueError(f"partitions= is a number from 1 to {MOST_PARTITIONS}, not {partitions!r}")
        self.lists = [name, *[partition(name, number) for number in range(partitions or 0)]]
        """The names of its lists: the plain one, and those of its partitions."""
        self.tasks: dict[str, Task[..., Any, Any]] = {}
        self.default: Task[..., Any, Any] | None = None
        self.fallback: Task[..., Any, Any] | None = None
        """What runs a job that names no task: the default, else the only one."""
        self.resources: list[Resource[Any]] = []
        self._sender = Sender(name, url, self, partitions or 0)

    @overload
    def task(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, Job[R], Coroutine[Any, Any, R]]: ...
    @overload
    def task(self, fn: Callable[P, R], /) -> Task[P, Job[R], R]: ...
    @overload
    def task(
        self,
        *,
        name: str | None = ...,
        default: bool = ...,
        retries: int = ...,
        backoff: Seconds = ...,
        backoff_cap: Seconds = ...,
        retry_on: Exceptions = ...,
        give_up_on: Exceptions = ...,
        timeout: Seconds | None = ...,
        result_ttl: Seconds = ...,
    ) -> "_Decorator": ...
    def task(
        self,
        fn: Any = None,
        *,
        name: str | None = None,
        default: bool = False,
        retries: int = 3,
        backoff: Seconds = 1.0,
        backoff_cap: Seconds = 300.0,
        retry_on: Exceptions = Exception,
        give_up_on: Exceptions = (),
        timeout: Seconds | None = 3600.0,
        result_ttl: Seconds = 3600,
    ) -> Any:
        """Registers a function as a task: `@jobs.task`, or `@jobs.task(retries=5, timeout=30)`.

        `name`: what jobs call it (default: the function's name). `default`: runs jobs that name no task. `retries`: runs after the first;
        before run n + 1 a random wait of up to min(backoff_cap, backoff * 2^(n-1)) seconds. `retry_on`, `give_up_on`: exceptions; the second
        wins. `timeout`: seconds a run may take (None: no limit). `result_ttl`: seconds that results are kept (0: not at all).
        Raises TypeError for a function that cannot be one, ValueError for options that cannot be.
        """
        _check_owner(self)
        _check_name_and_retries(name, retries)
        if timeout is not None and duration.seconds(timeout) == 0:
            raise ValueError("timeout= is more than 0 seconds, or None for no limit")
        for option, errors in (("retry_on", retry_on), ("give_up_on", give_up_on)):
            _check_exceptions(option, errors)
        how = Policy(
            retries,
            duration.seconds(backoff),
            duration.seconds(backoff_cap),
            retry_on,
            give_up_on,
            None if timeout is None else duration.seconds(timeout),
            duration.whole_seconds(result_ttl),
        )
        if fn is None:
            return lambda fn: self._register(fn, name, how, default)
        return self._register(fn, name, how, default)

    @overload
    def resource(self, fn: Callable[[], AsyncIterator[V]], /) -> Resource[V]: ...
    @overload
    def resource(self, fn: Callable[[], Iterator[V]], /) -> Resource[V]: ...
    def resource(self, fn: Any) -> Any:
        """Registers a generator: what it yields is opened once in each worker process, before its first job, and closed after its last.

        Raises TypeError for what is no generator without parameters.

            @jobs.resource
            async def client() -> AsyncIterator[Client]:
                async with Client() as client:
                    yield client

            client.get()        # in a task
        """
        resource: Resource[Any] = Resource(fn)
        self.resources.append(resource)
        return resource

    def push(self, job: Json) -> Job[Any]:
        """Puts a job in as any language does, as a JSON object of arguments; no task need be imported. Gets a `job_id` where it has none.

        Raises ValueError for what is no job, else as `Task.enqueue`.

            jobs.push({"question": "What is RAG?"})
        """
        sealed = seal_plain(job)
        self._sender.send([sealed])
        return self.job(sealed[0])

    async def apush(self, job: Json) -> Job[Any]:
        """As `push`, for asyncio code."""
        sealed = seal_plain(job)
        await self._sender.asend([sealed])
        return self.job(sealed[0])

    def enqueue_many(self, calls: Iterable[Call[J]]) -> list[J]:
        """Enqueues bound calls in their order, 10,000 in an exchange, and returns their handles. Tasks and options may differ.

        Raises as `Task.enqueue`; what was sent before the error stays in the queue, and the error says how much that is.

            jobs.enqueue_many(answer.bind(q) for q in questions)
        """
        handles: list[Any] = []
        with _telling(handles):
            for batch in chunks(calls, _BATCH):
                sealed = seal_all(self.name, batch)
                server = self._sender.send(sealed, _confirm(batch))
                handles += self._sender.jobs(batch, sealed, server)
        return handles

    async def aenqueue_many(self, calls: Iterable[Call[J]]) -> list[J]:
        """As `enqueue_many`, for asyncio code."""
        handles: list[Any] = []
        with _telling(handles):
            for batch in chunks(calls, _BATCH):
                sealed = seal_all(self.name, batch)
                server = await self._sender.asend(sealed, _confirm(batch))
                handles += self._sender.jobs(batch, sealed, server)
        return handles

    def job(self, job_id: str) -> Job[Any]:
        """The handle of a job that was put in anywhere. Raises ValueError when it cannot be an id."""
        return self._sender.job(check_job_id(job_id))

    def depth(self) -> int:
        """How many jobs are ready: `LLEN queue:<name>`, with its partitions. Not those that run or are scheduled."""
        return self._sender.endpoint.run(depth_of(self.lists))

    async def adepth(self) -> int:
        """As `depth`, for asyncio code."""
        return await self._sender.endpoint.arun(depth_of(self.lists))

    @property
    def endpoint(self) -> Endpoint:
        """The queue's server."""
        return self._sender.endpoint

    def _register(self, fn: Callable[..., Any], name: str | None, how: Policy, default: bool) -> Task[..., Any, Any]:
        if not callable(fn):
            raise TypeError(f"a task is a function, not {type(fn).__name__}. {_meant(fn)}")
        if isinstance(fn, Task):
            queue = fn.sender.store.name
            raise TypeError(
                f"task {fn.name} cannot be registered: it is one of queue {queue} already. For two queues: a.task(fn); b.task(fn)"
            )
        task: Task[..., Any, Any] = Task(fn, name or getattr(fn, "__name__", "") or repr(fn), how, self._sender)
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError(f"task {task.name} cannot be registered: it is a generator, and a job has one result; return a list")
        if task.name in self.tasks:
            raise TypeError(f"task {task.name} cannot be registered: queue {self.name} has a task of that name; give one of them name=")
        if default and self.default:
            raise TypeError(f"task {task.name} cannot be the default: {self.default.name} is")
        self.tasks[task.name] = task
        if default:
            self.default = task
        self.fallback = self.default or (task if len(self.tasks) == 1 else None)
        return task

    def __repr__(self) -> str:
        return f"<chute.Queue {self.name!r}>"


def _meant(fn: Any) -> str:
    """What to write instead of what is no function."""
    if isinstance(fn, str):
        return f"Write @jobs.task(name={fn!r}) above a def"
    if inspect.iscoroutine(fn):
        return "Give the function itself, without calling it"
    return "Write @jobs.task above a def, or @jobs.task(retries=5)"


def _check_owner(queue: object) -> None:
    if not isinstance(queue, Queue):
        raise TypeError('a task belongs to a queue: write @jobs.task, where jobs = chute.Queue("jobs")')


def _check_name_and_retries(name: Any, retries: Any) -> None:
    if name is not None and not (isinstance(name, str) and name and name.isprintable()):
        raise ValueError(f"name= is printable text in one line, not {name!r}")
    if type(retries) is not int:
        raise TypeError(f"retries= is a whole number, not {retries!r}; 0 for none")
    if retries < 0:
        raise ValueError(f"retries= is 0 or more, not {retries!r}")


def _check_exceptions(option: str, errors: Any) -> None:
    """Raises TypeError unless these are exception classes, one or a tuple: a mistake here would show only when a job fails."""
    for each in errors if isinstance(errors, tuple) else (errors,):
        if not isinstance(each, type) or not issubclass(each, BaseException):
            raise TypeError(f"{option}= is an exception class or a tuple of them, not {errors!r}")


@contextmanager
def _telling(accepted: list[Any]) -> Iterator[None]:
    """Adds to an error what was accepted in the exchanges before it."""
    try:
        yield
    except Exception as error:
        if accepted:
            error.add_note(f"The first {len(accepted):,} jobs were accepted before.")
        raise


def _confirm(calls: list[Call[Any]]) -> Confirm:
    """How sure the caller wants to be of all of them together."""
    asked = {each.confirm for each in calls} - {"memory"}
    if len(asked) > 1:
        raise ValueError('enqueue_many takes calls with confirm="disk" or with confirm="replica", not both. Nothing of this batch was sent')
    return asked.pop() if asked else "memory"


class _Decorator(Protocol):
    """What `queue.task(...)` with options returns, for type checkers."""

    @overload
    def __call__(self, fn: Callable[P, Coroutine[Any, Any, R]], /) -> Task[P, Job[R], Coroutine[Any, Any, R]]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Task[P, Job[R], R]: ...
