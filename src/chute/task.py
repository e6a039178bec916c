"""A task: a Python function that is registered on a queue. Called, it runs here; enqueued, it becomes a job."""

import copy
import inspect
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, ParamSpec, TypeVar, cast

from chute import call
from chute.call import PLAIN, Call, Sender
from chute.duration import Seconds
from chute.keys import check_job_id
from chute.policy import Policy
from chute.signature import Signature
from chute.store import Confirm

P = ParamSpec("P")
J = TypeVar("J")
D = TypeVar("D")


class Task(Generic[P, J, D]):
    """A registered function. P are its parameters, J the handle that `enqueue` returns, D what a direct call returns.

    job = answer.enqueue("What is RAG?")      # await answer.aenqueue(...) in asyncio code
    answer("What is RAG?")                    # runs the function itself, here
    """

    name: str

    def __init__(self, fn: Callable[P, D], name: str, policy: Policy, sender: Sender) -> None:
        self.name = name
        self.fn = fn
        self.policy = policy
        self.signature = Signature(fn, name)
        self.threaded = not inspect.iscoroutinefunction(fn)
        """A plain function: a worker runs it in a thread."""
        self._sender = sender
        self._options = PLAIN
        self.__doc__ = fn.__doc__
        self.__wrapped__ = fn

    @property
    def sender(self) -> Sender:
        """What puts its jobs in."""
        return self._sender

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> D:
        """Runs the function itself, here and now; no job is made."""
        return self.fn(*args, **kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> J:
        """Puts a job with these arguments into the queue and returns its handle.

        Raises TypeError or ValueError for arguments that the task does not take (nothing was sent), Rejected when the server refuses,
        Unconfirmed when its reply was lost, ServerUnavailable.
        """
        bound = self._bind(args, kwargs)
        sealed = call.seal_one(bound)
        server = self._sender.send([sealed], bound.confirm)
        return cast(J, self._sender.job(sealed[0], bound.returns, bound.kept, server))

    async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> J:
        """As `enqueue`, for asyncio code."""
        bound = self._bind(args, kwargs)
        sealed = call.seal_one(bound)
        server = await self._sender.asend([sealed], bound.confirm)
        return cast(J, self._sender.job(sealed[0], bound.returns, bound.kept, server))

    def bind(self, *args: P.args, **kwargs: P.kwargs) -> Call[J]:
        """A call that is bound but not sent: many of them go in one exchange with `queue.enqueue_many`. Raises TypeError as `enqueue` does."""
        return self._bind(args, kwargs)

    def options(
        self,
        *,
        job_id: str | None = None,
        delay: Seconds | None = None,
        at: datetime | None = None,
        result_ttl: Seconds | None = None,
        headers: Mapping[str, str] | None = None,
        confirm: Confirm = "memory",
        key: str | None = None,
    ) -> "Task[P, J, D]":
        """The same task, enqueued otherwise.

        `job_id`: 1 to 256 printable ASCII characters (default: a new UUIDv7). `delay`: seconds from now, `at`: a datetime with a time zone;
        both by the server's clock. `result_ttl`: seconds that the result is kept, 0 = not at all (default: the task's). `headers`: text to
        text, read with `chute.context().headers`. `confirm`: "memory", "disk" (WAITAOF) or "replica" (WAIT): where the job must be before
        `enqueue` returns. `key`: jobs of one key are claimed in the order in which they were enqueued, also where the queue has partitions
        (a key's is CRC-32 of its UTF-8, modulo their number). Raises ValueError or TypeError that says which is wrong.

            answer.options(job_id="job_7", delay=5).enqueue("What is RAG?")
        """
        otherwise = copy.copy(self)
        otherwise._options = call.options(job_id, (delay, at), result_ttl, headers, confirm, key)
        return otherwise

    def job(self, job_id: str) -> J:
        """The handle of a job of this task that was enqueued anywhere. Raises ValueError when it cannot be an id."""
        return cast(J, self._sender.job(check_job_id(job_id), self.signature.returns))

    def _bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call[J]:
        return Call(self.signature, self.signature.bind(args, kwargs), self._options, self.policy.result_ttl, self._sender.store.name)

    def __repr__(self) -> str:
        return f"<chute.Task {self.name!r} of queue {self._sender.store.name!r}>"
