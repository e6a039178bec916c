"""The errors that callers see, and the signals that a handler raises. Pure: nothing here knows the server.

Every message says what happened, what was kept and what to do.
"""

from chute.duration import Seconds, seconds


class ChuteError(Exception):
    """The root of everything that this package raises on its own account."""


class JobFailed(ChuteError):
    """The job ran and failed for good, or was refused. `error` is its type and message, `traceback` where it was raised ("" if unknown)."""

    def __init__(self, job_id: str, error: str, traceback: str = "") -> None:
        super().__init__(job_id, error, traceback)
        self.job_id = job_id
        self.error = error
        self.traceback = traceback

    def __str__(self) -> str:
        return f"job {self.job_id} failed: {self.error}"


class JobCancelled(ChuteError):
    """The job was cancelled before it finished."""


class JobExpired(ChuteError):
    """The job was not started before its expiry."""


class Unconfirmed(ChuteError):
    """The reply was lost: the job may or may not be in the queue. To enqueue it again may run it twice.

    `job_id` names the job: `queue.job(job_id).result()` tells whether it ran. It is "" where the lost reply was that of an operator's command
    (clear, requeue, purge): then it is unknown whether that was done.
    """

    def __init__(self, job_id: str, why: str) -> None:
        super().__init__(job_id, why)
        self.job_id = job_id
        self.why = why

    def __str__(self) -> str:
        if not self.job_id:
            return f"it is unknown whether that was done: {self.why}. Look before you repeat it"
        return f"it is unknown whether job {self.job_id} was accepted: {self.why}. Enqueueing it again may run it twice"


class Rejected(ChuteError):
    """The server answered and refused: nothing was kept there."""


class ServerUnavailable(ChuteError):
    """No server could be reached or started: nothing was sent."""


class ResultUnavailable(ChuteError):
    """The job has no readable result: it was not to be kept (`result_ttl=0`), or it could not be stored."""


class Retry(Exception):
    """Raise it in a task: run this job again; counts as one of its retries. `after` seconds, else the task's backoff.

    raise chute.Retry(after=30)
    """

    def __init__(self, *, after: Seconds | None = None) -> None:
        super().__init__("retry" if after is None else f"retry after {after}")
        self.after = None if after is None else seconds(after)


class Snooze(Exception):
    """Raise it in a task: run this job again after `after` seconds, as if this run had not been.

    raise chute.Snooze(60)
    """

    def __init__(self, after: Seconds) -> None:
        super().__init__(f"snooze for {after}")
        self.after = seconds(after)


class GiveUp(Exception):
    """Raise it in a task: the job fails at once and will not be retried.

    raise chute.GiveUp("no such account")
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
