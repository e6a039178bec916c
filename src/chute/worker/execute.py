"""Runs one job and says what came of it: open (decode, resolve), call, judge -> one Outcome. Never touches the server.

Async tasks run on the loop, plain functions in a few threads. Whatever a handler raises is an outcome of its job alone.
"""

import asyncio
import difflib
import logging
import random
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

import msgspec

from chute import around, envelope, outcome, place, policy, trace
from chute.around import Run
from chute.context import Context, Steps, current
from chute.envelope import Refused
from chute.outcome import Outcome
from chute.policy import Policy
from chute.queue import Queue
from chute.signature import to_plain
from chute.steps import ServerSteps
from chute.task import Task
from chute.worker.held import Held

log = logging.getLogger("chute.worker")
MAX_LOGGED = 1000
MAX_NAME = 100
"""Characters of a name that are compared with the known ones: the search must not hold the loop."""
SHOWN = 5
"""Tasks that a refusal lists."""
AnyTask = Task[..., Any, Any]


class _Named(msgspec.Struct, rename={"task": "@task"}):
    """Of a job, only which task it names."""

    task: str = None  # type: ignore[assignment]  # none named, which "" is not


_named = msgspec.json.Decoder(_Named)


class Opened:
    """A job that was decoded and whose task was found: ready to be called."""

    __slots__ = ("args", "context", "fn", "kwargs", "task", "work")

    def __init__(self, task: AnyTask, args: tuple[Any, ...], kwargs: dict[str, Any], context: Context) -> None:
        self.task = task
        self.fn: Callable[..., Any] = task.fn
        """What is called: the task's function, or that with what surrounds this run."""
        self.context = context
        self.args = args
        self.kwargs = kwargs
        self.work: asyncio.Future[tuple[Any, BaseException | None]] | None = None
        """What a thread makes of it, once one was given it."""


class Desk:
    """The tasks of one queue, as the executor looks them up. `steps`: where its jobs keep what they have done (default: the server)."""

    def __init__(self, queue: Queue, steps: Steps | None = None) -> None:
        self._queue = queue
        self._steps = steps or ServerSteps(queue.name, lambda: queue.endpoint)
        self._begins = (*trace.processing(), *around.added())

    @property
    def all_threaded(self) -> bool:
        """Whether no task of this queue is async."""
        tasks = self._queue.tasks.values()
        return bool(tasks) and all(task.threaded for task in tasks)

    def open(self, held: Held) -> Opened:
        """Decodes the job for the task that it names, or the default. Fills in what is known of the job; raises Refused."""
        task = self._queue.fallback
        if task is None or len(self._queue.tasks) > 1:
            task = self._named(held.body)
        try:
            job = task.signature.decode(held.body)
        except Refused as refused:
            if refused.reason == "bad_arguments":
                self._named(held.body)  # another task was meant?
            raise
        if job.task is not None and job.task != task.name:
            task = self._named(held.body)
            job = task.signature.decode(held.body)
        held.job_id, held.task = job.job_id, task.name
        if job.attempt or job.deaths:
            held.attempt, held.deaths = job.attempt + 1, job.deaths
        if due := job.due or job.at:
            held.due = due / 1000
        held.result_ttl = task.policy.result_ttl if job.result_ttl < 0 else job.result_ttl
        args, kwargs = task.signature.arguments(job, held.body)
        opened = Opened(task, args, kwargs, Context(job, self._queue.name, task.name, held.tag, self._steps))
        if self._begins:
            run = Run(opened.context, task.policy, args, kwargs, partial(_meant, held, task.policy))
            opened.fn = around.surround(task.fn, task.threaded, run, self._begins)
        return opened

    def _named(self, body: bytes) -> AnyTask:
        """The task that the job names. Raises Refused: for what is wrong with the entry before its task matters, or `unknown_task`."""
        envelope.check_bytes(body)
        try:
            name: str | None = _named.decode(body).task
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            name = None
        task = self._queue.fallback if name is None else self._queue.tasks.get(name)
        if task is not None:
            return task
        job = envelope.check(body)
        raise Refused(
            "unknown_task", f"queue {self._queue.name} has {_no_task(name, list(self._queue.tasks))}", job.get("job_id", ""), name or ""
        )


def _no_task(name: str | None, known: list[str]) -> str:
    """What to say to a job whose task is not there: the likeliest first, and how a job names one."""
    likest = list(dict.fromkeys([*difflib.get_close_matches((name or "")[:MAX_NAME], known, 1), *known]))[:SHOWN]
    more = f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
    said = 'no default task for a job without "@task"' if name is None else f'no task "{name}"'
    how = f'. A job names its task so: "@task": "{likest[0]}"' if known else ""
    return f"{said} (it has: {', '.join(likest) or 'no task'}{more}){how}"


class Executor:
    """Calls tasks. `threads` plain functions run at once."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="chute")
        self._threads = threads
        self._busy = 0

    @property
    def thread_free(self) -> bool:
        """Whether a plain function would start at once."""
        return self._busy < self._threads

    async def run(self, held: Held, opened: Opened) -> Outcome:
        """Runs the job to its outcome. Raises nothing, whatever the handler raises."""
        current.set(opened.context)
        try:
            if opened.task.threaded:
                value = await _of_thread(opened.work or self.give_thread(opened))
            else:
                value = await opened.fn(*opened.args, **opened.kwargs)
        except BaseException as error:
            return _judged(held, opened.task.policy, error)
        return outcome.complete(value, to_plain)

    def give_thread(self, opened: Opened) -> "asyncio.Future[tuple[Any, BaseException | None]]":
        """Starts a plain function at once, so that the thread is taken before the next job is looked at."""
        context = copy_context()
        context.run(current.set, opened.context)
        self._busy += 1
        opened.work = asyncio.get_running_loop().run_in_executor(self._pool, lambda: context.run(_contained, opened))
        opened.work.add_done_callback(self._thread_done)
        return opened.work

    def close(self) -> None:
        """Lets the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _thread_done(self, work: "asyncio.Future[Any]") -> None:
        self._busy -= 1
        if not work.cancelled():
            work.exception()


async def _of_thread(work: "asyncio.Future[tuple[Any, BaseException | None]]") -> Any:
    """What the thread came to. A cancelled job leaves its thread alone: nothing can stop it."""
    value, error = await asyncio.shield(work)
    if error is not None:
        raise error
    return value


def _contained(opened: Opened) -> tuple[Any, BaseException | None]:
    """In the thread: the value or the error as a value, since a future takes no StopIteration and no thread should see SystemExit."""
    try:
        return opened.fn(*opened.args, **opened.kwargs), None
    except BaseException as error:
        return None, error


def refuse(held: Held, refused: Refused) -> Outcome:
    """The outcome of an entry that is no job for this queue."""
    held.job_id, held.task, held.result_ttl = refused.job_id, outcome.cut(refused.task, 256), policy.DEFAULT_TTL
    text = outcome.cut(str(refused), outcome.MAX_ERROR)
    who, queue = f"job {held.job_id}" if held.job_id else "an entry", held.lane.name
    log.warning(
        "%s of queue %s was refused (%s): %s. Kept: chute dead list %s",
        who, queue, refused.reason, _brief(text), queue, extra=held.named,
    )  # fmt: skip
    return outcome.Refused(refused.reason, text)


def _judged(held: Held, manners: Policy, error: BaseException) -> Outcome:
    """As `judge`; where even that fails (an error with a hostile class), the job fails and keeps no slot."""
    try:
        return judge(held, manners, error)
    except Exception:
        log.exception("what became of job %s cannot be judged; it fails", held.job_id or held.lease, extra=held.named)
        return outcome.Failed("failed", describe(error))


def too_late(held: Held, manners: Policy) -> TimeoutError:
    """What a run that took too long comes to."""
    return TimeoutError(f"ran longer than {manners.timeout:g} s (the timeout of task {held.task})")


def _meant(held: Held, manners: Policy, error: BaseException) -> BaseException | None:
    """What a run raised, as it is judged: a cancelled one ran too long, or (None) the worker itself broke it off."""
    if isinstance(error, asyncio.CancelledError):
        if held.broken_off:
            return None
        if held.overdue:
            return too_late(held, manners).with_traceback(error.__traceback__)
    return error


def judge(held: Held, manners: Policy, raised: BaseException) -> Outcome:
    """What a run that raised comes to: retry, snooze, failure, or release when the worker itself broke it off."""
    if (error := _meant(held, manners, raised)) is None:
        return outcome.Released()
    text, where = describe(error), place.of(error)
    seen = f"{_brief(text)}{where and f' at {where}'}"
    match policy.judge(error, held.attempt, manners, random.random):
        case policy.Again(delay, counted):
            body = rewritten(held, held.attempt if counted else held.attempt - 1, delay)
            if len(body.encode()) > envelope.MAX_BYTES:
                text = outcome.cut(
                    f"{text} (it cannot run again: with what we note in it, it would be larger than 1 MiB)", outcome.MAX_ERROR
                )
                log.warning("job %s of task %s failed: %s", held.job_id or held.lease, held.task, _brief(text), extra=held.named)
                return outcome.Failed("failed", text, _trace(error))
            told = "job %s of task %s will run again in %.3g s: %s"
            log.info(told, held.job_id or held.lease, held.task, delay, seen, extra=held.named)
            return outcome.Again(round(delay * 1000), body)
        case policy.Stop(reason):
            log.warning(
                "job %s of task %s failed for good (%s, run %d): %s. Kept: chute dead list %s",
                held.job_id or held.lease, held.task, reason, held.attempt, seen, held.holdings.name, extra=held.named,
            )  # fmt: skip
            return outcome.Failed(reason, text, _trace(error))


def rewritten(held: Held, attempt: int, delay: float) -> str:
    """The job's bytes for its next run. A job that was pushed without an id gets one now, so that its result can be kept."""
    changes: dict[str, Any] = {"due": round((time.time() + delay) * 1000)}
    if not held.job_id:
        changes["job_id"] = envelope.new_job_id()
    if attempt:
        changes["attempt"] = min(attempt, envelope.MAX_COUNT)
    return envelope.rewrite(held.body, **changes).decode()


def describe(error: BaseException) -> str:
    """Type and message, for people and for the result hash. A message that cannot be had is not worth a worker."""
    try:
        text = str(error)
    except BaseException:  # a message that exits must not exit the worker
        text = "(its message cannot be read)"
    name = type(error).__name__
    return outcome.cut(f"{name}: {text}" if text else name, outcome.MAX_ERROR)


def _brief(text: str) -> str:
    """As much of it as a log line should hold."""
    return outcome.cut(text, MAX_LOGGED)


_NOT_THEIRS = (__file__, around.__file__, asyncio.futures.__file__)


def _trace(error: BaseException) -> str:
    """The traceback from the user's code on: our own frames are of no use to them."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename in _NOT_THEIRS:
        frames = frames.tb_next
    try:
        return outcome.cut("".join(traceback.format_exception(type(error), error, frames)), outcome.MAX_TRACEBACK)
    except BaseException:
        return ""
