"""Sentry: a job that has failed for good becomes an event. To be given to the SDK in the module that the worker imports:

    sentry_sdk.init(dsn=..., integrations=[ChuteIntegration()])

A run that will be repeated is no event: it is in the log, and the last one tells what went wrong. Neither is `GiveUp`, with which a task says itself
that a job is not worth another try, nor of course `Snooze`. What a job carries is sent only with
`data_collection={"queues": True}`, in older SDKs `send_default_pii=True`.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

import sentry_sdk
from sentry_sdk.integrations import Integration
from sentry_sdk.scope import should_send_default_pii
from sentry_sdk.utils import event_from_exception

from chute import around, place
from chute.around import End, Ended, Run
from chute.errors import GiveUp


class ChuteIntegration(Integration):
    """Reports jobs that failed for good, and names the job in every event that its code sends.

    Tags: `queue`, `task`, `job_id`, `attempt`; the transaction is the task's name. Breadcrumbs and tags of one job do not reach the next.

        sentry_sdk.init(dsn=..., integrations=[ChuteIntegration()])
    """

    identifier = "chute"

    @staticmethod
    def setup_once() -> None:
        """Called by the SDK."""
        around.add(_begin)


def _begin(run: Run) -> End:
    if sentry_sdk.get_client().get_integration(ChuteIntegration) is None:  # another client than at the start of the worker
        return _nothing
    job = run.context
    isolated = sentry_sdk.isolation_scope()
    scope = isolated.__enter__()
    scope.clear_breadcrumbs()
    scope.set_transaction_name(job.task, source="task")
    for name, value in (("queue", job.queue), ("task", job.task), ("job_id", job.job_id), ("attempt", str(job.attempt))):
        scope.set_tag(name, value)

    def end(ended: Ended) -> None:
        try:
            if ended.kind == "failed" and ended.error and not isinstance(ended.error, GiveUp):
                _report(run, ended.error)
        finally:
            isolated.__exit__(None, None, None)

    return end


def _nothing(_: Ended) -> None:
    pass


def _report(run: Run, error: BaseException) -> None:
    options = sentry_sdk.get_client().options
    event, hint = event_from_exception(
        (type(error), error, _theirs(error.__traceback__)), client_options=options, mechanism={"type": "chute", "handled": False}
    )
    if _may_carry(options):
        event["extra"] = {"arguments": {"args": list(run.args), "kwargs": run.kwargs}}
    else:
        _strip(event)
    sentry_sdk.capture_event(event, hint=hint)


def _may_carry(options: Mapping[str, Any]) -> bool:
    """Whether what jobs carry may be sent: by the newer option of the SDK, where it was given, else by the older one."""
    collection = options.get("data_collection") or {}
    return bool(collection.get("queues")) if collection.get("provided_by_user") else should_send_default_pii()


def _strip(event: Any) -> None:
    """Takes the variables out of the frames: those of a task are what its job carries."""
    for value in event["exception"]["values"]:
        for frame in (value.get("stacktrace") or {}).get("frames", ()):
            frame.pop("vars", None)


def _theirs(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the user's code on."""
    while frames is not None and place.ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames
