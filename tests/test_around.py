"""What happens around a run: who is there, in which order, what they are told, and that what goes wrong with them is not the job's."""

import asyncio
import logging
from typing import Any

import pytest

import chute
from chute import around
from chute.around import Ended, Run
from chute.context import Context
from chute.envelope import Head
from chute.policy import Policy


class Notes:
    """Who was called, with what."""

    def __init__(self, name: str, said: list[Any], breaks: str = "") -> None:
        self.name, self.said, self.breaks = name, said, breaks

    def begin(self, run: Run) -> around.End:
        if self.breaks == "begin":
            raise RuntimeError(self.name)
        self.said.append(f"{self.name} begins {run.context.job_id} {run.args}")
        return self.end

    def end(self, ended: Ended) -> None:
        if self.breaks == "end":
            raise RuntimeError(self.name)
        self.said.append((self.name, ended.kind, ended.error))


def run_of(attempt: int = 1, meant: Any = None) -> Run:
    job = Head("job_1", attempt=attempt - 1)
    return Run(Context(job, "jobs", "answer", 1, None), Policy(retries=1), (7,), {}, meant or (lambda error: error))  # type: ignore[arg-type]


def answer(value: Any) -> Any:
    if isinstance(value, BaseException):
        raise value
    return value


async def aanswer(value: Any) -> Any:
    return answer(value)


def test_each_begins_before_the_run_and_ends_behind_it_the_last_first() -> None:
    said: list[Any] = []
    begins = [Notes("a", said).begin, Notes("b", said).begin]
    assert around.surround(answer, True, run_of(), begins)(7) == 7
    assert said == ["a begins job_1 (7,)", "b begins job_1 (7,)", ("b", "completed", None), ("a", "completed", None)]
    assert asyncio.run(around.surround(aanswer, False, run_of(), begins)(7)) == 7
    assert said[4:] == said[:4]


ERROR = ValueError("no")


@pytest.mark.parametrize(
    ("attempt", "error", "meant", "kind"),
    [
        (1, ERROR, None, "again"),
        (2, ERROR, None, "failed"),
        (1, chute.GiveUp("enough"), None, "failed"),
        (2, chute.Snooze(1), None, "again"),
        (2, chute.Retry(after=1), None, "failed"),
        (1, asyncio.CancelledError(), lambda _: None, "released"),
        (2, asyncio.CancelledError(), lambda _: ERROR, "failed"),
    ],
)
def test_what_a_run_came_to_is_told_and_what_it_raised_goes_on(attempt: int, error: BaseException, meant: Any, kind: str) -> None:
    said: list[Any] = []
    with pytest.raises(type(error)):
        around.surround(answer, True, run_of(attempt, meant), [Notes("a", said).begin])(error)
    ((_, told, told_of),) = said[1:]
    assert told == kind
    assert told_of is (meant(error) if meant else error)


@pytest.mark.parametrize("breaks", ["begin", "end"])
def test_what_goes_wrong_around_a_run_is_not_the_runs(breaks: str, caplog: pytest.LogCaptureFixture) -> None:
    said: list[Any] = []
    begins = [Notes("a", said, breaks).begin, Notes("b", said).begin]
    with caplog.at_level(logging.ERROR):
        assert around.surround(answer, True, run_of(), begins)(7) == 7
    assert ("b", "completed", None) in said
    assert f"cannot {breaks}; the job" in caplog.text


def test_one_is_added_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(around, "_added", [])
    notes = Notes("a", [])
    begin = notes.begin
    around.add(begin)
    around.add(begin)
    assert around.added() == (begin,)
