"""What log records know of the job that logs: in formats of anybody's, and whatever else is told to `logging`."""

import copy
import io
import logging
import pickle
from collections.abc import Iterator

import pytest

from chute.cli import records
from chute.context import Context, current
from chute.envelope import Head
from chute.steps import ServerSteps


@pytest.fixture(autouse=True)
def _factory() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    records.install()
    yield
    logging.setLogRecordFactory(before)


@pytest.fixture
def job() -> Iterator[None]:
    token = current.set(Context(Head("job_1", "answer", attempt=1), "jobs", "answer", 1, ServerSteps("jobs", lambda: None)))  # type: ignore[arg-type, return-value]
    yield
    current.reset(token)


def logged(form: str, style: str = "%", **extra: object) -> str:
    """What a handler of the user's writes in that format."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter(form, style=style))  # type: ignore[arg-type]
    logger = logging.getLogger("records")
    logger.propagate = False
    logger.addHandler(handler)
    logger.warning("words", extra=extra)
    logger.removeHandler(handler)
    return out.getvalue().strip()


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize(
    ("form", "style"),
    [
        ("%(job_id)s %(task)s %(queue)s %(attempt)d %(message)s", "%"),
        ("{job_id} {task} {queue} {attempt} {message}", "{"),
        ("$job_id $task $queue $attempt $message", "$"),
    ],
)
def test_every_style_of_format_has_the_fields(form: str, style: str) -> None:
    assert logged(form, style) == "job_1 answer jobs 2 words"


def test_outside_of_a_job_they_are_empty() -> None:
    assert logged("<%(job_id)s%(task)s%(queue)s%(attempt)s> %(message)s") == "<> words"


@pytest.mark.usefixtures("job")
def test_a_caller_may_use_the_same_names() -> None:
    assert logged("%(job_id)s %(queue)s", queue="theirs") == "job_1 theirs"
    with pytest.raises(KeyError):
        logged("%(message)s", name="taken by logging itself")


@pytest.mark.usefixtures("job")
def test_a_record_can_go_to_another_thread_or_process() -> None:
    record = logging.getLogger("records").makeRecord("records", logging.INFO, "f", 1, "words", (), None)
    for other in (copy.copy(record), pickle.loads(pickle.dumps(copy.copy(record))), logging.makeLogRecord(vars(record))):  # noqa: S301
        assert (other.job_id, other.attempt) == ("job_1", 2)


@pytest.mark.usefixtures("job")
def test_another_factory_is_asked_first() -> None:
    class Own(logging.LogRecord):
        own = "theirs"

    logging.setLogRecordFactory(Own)
    records.install()
    records.install()
    record = logging.getLogger("records").makeRecord("records", logging.INFO, "f", 1, "words", (), None, extra={"task": "mine", "a": 1})
    assert isinstance(record, Own)
    assert records.job_of(record) == {"job_id": "job_1", "task": "mine", "queue": "jobs", "attempt": 2}
    assert records.extra_of(record) == {"a": 1}
