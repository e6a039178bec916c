"""Log records of anybody: one event is one line, in text and in JSON, and nothing in it steers a terminal."""

import json
import logging
import re
import sys
from typing import Any

from hypothesis import strategies as st

from chute.cli import records
from chute.cli.logs import LONGEST, Json, Text
from fuzz.seeds import TEXTS
from json_values import VALUES as OF_JSON

WHAT = "a log record with anybody's words: one line, in text and in JSON, without a control character"
VARIED = True
NAMES = ["job_id", "task", "queue", "attempt"]


class Rude:
    """Raises whatever is asked of it."""

    def __str__(self) -> str:
        raise ValueError

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        raise ValueError

    __hash__ = object.__hash__


class Hostile(Exception):
    """An error without a text."""

    def __str__(self) -> str:
        raise ValueError


_THINGS = TEXTS | OF_JSON | st.builds(Rude) | st.sampled_from([object(), b"\xff", {1: 2}, {"a"}, float("nan")])
_EXTRAS = st.dictionaries(st.sampled_from([*NAMES, "level", "at", "message", "exception", "more"]) | TEXTS, _THINGS, max_size=4)
_JOBS = st.fixed_dictionaries(
    {"job_id": st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=256), "task": TEXTS, "queue": st.just("jobs")}
).map(lambda job: job | {"task": job["task"][:256], "attempt": 1})
_ERRORS = (
    st.none()
    | st.builds(ValueError, TEXTS)
    | st.builds(Hostile)
    | st.builds(lambda a, b: ExceptionGroup(a or "g", [ValueError(b)]), TEXTS, TEXTS)
)
VALUES = st.tuples(
    st.sampled_from(["chute.worker", "app", "chute", "a\nb", "chuteless"]),
    TEXTS | st.sampled_from(["%s", "%d", "%(a)s", "a %s b %s"]),
    st.just(()) | st.tuples(_THINGS) | st.tuples(_THINGS, _THINGS),
    _EXTRAS,
    _JOBS,
    _ERRORS,
    st.none() | TEXTS,
)
FORMS = (Text(), Json())


def look(given: tuple[Any, ...]) -> None:
    """Raises where a record has another line, or none."""
    logger, message, args, extra, job, error, stack = given
    if re.search(r"%[^%]*\d{6}", message):
        return  # a width of a million characters is what its programmer asked for, and logging makes them
    records.install()
    for form in FORMS:
        record = logging.getLogRecordFactory()(logger, logging.WARNING, "file.py", 1, message, args, _raised(error), None, stack)
        ours = logger.partition(".")[0] == "chute"
        record.__dict__.update({"chute_job": job} if ours else {name: each for name, each in extra.items() if name not in _THEIRS})
        line = form.format(record)
        first, *more = line.split("\n")
        assert all(each.isprintable() for each in (first, *more))
        line.encode()
        if isinstance(form, Text):
            assert re.match(r"\d\d:\d\d:\d\d WARNING ", first)
            assert all(each.startswith("  ") for each in more)
        else:
            assert not more
            said = json.loads(first)
            assert {"at", "level", "logger", "message"} <= said.keys()
            assert said["level"] == "warning"
            first = json.dumps({name: each for name, each in said.items() if name not in ("exception", "stack")}, ensure_ascii=False)
        if ours and message.isprintable():
            assert len(first.encode()) <= LONGEST + 200


_THEIRS = {*vars(logging.makeLogRecord({})), "message"}
"""What `logging` itself refuses to be given."""


def _raised(error: BaseException | None) -> Any:
    if error is None:
        return None
    try:
        raise error
    except type(error):
        return sys.exc_info()
