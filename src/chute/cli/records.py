"""What every log record of a worker process knows of the job that logs it: `job_id`, `task`, `queue`, `attempt`.

They are attributes, so that `%(job_id)s` works in the formats of the user's own logging, which is left alone otherwise. The screen (`logs`)
reads them here too.
"""

import logging
from collections.abc import Mapping
from typing import Any

from chute.context import current

FIELDS = ("job_id", "task", "queue", "attempt")
_NONE = dict.fromkeys(FIELDS, "")


class _Attributes(dict[str, Any]):
    """The attributes of a record. It hides ours from the one who asks whether they are there: `logging` raises KeyError for an `extra=` that
    names what a record has, and a program that says extra={"queue": ...} must go on to work. What it says wins."""

    def __contains__(self, name: object) -> bool:
        return name not in FIELDS and super().__contains__(name)


class _Factory:
    """Makes records with the fields of the job that runs where they are made; empty outside of one."""

    def __init__(self) -> None:
        self._make = logging.getLogRecordFactory()

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        job = current.get(None)
        known = {"job_id": job.job_id, "task": job.task, "queue": job.queue, "attempt": job.attempt} if job else _NONE
        record.__dict__ = _Attributes(vars(record), **known)
        return record


def install() -> None:
    """From now on records know their job. The factory that was there goes on to make them."""
    if not isinstance(logging.getLogRecordFactory(), _Factory):
        logging.setLogRecordFactory(_Factory())


def job_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields of the job that a record is about, without those that are empty: of one that Chute names itself, else of the one that logs."""
    told: Mapping[str, Any] = getattr(record, "chute_job", None) or {name: getattr(record, name, "") for name in FIELDS}
    return {name: value for name, value in told.items() if not isinstance(value, str) or value}


_STANDARD = {*vars(logging.makeLogRecord({})), "asctime", "chute_job", "message", "taskName", *FIELDS}


def extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a caller gave along with `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD and isinstance(name, str)}
