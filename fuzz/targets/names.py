"""Names of queues, partitions and jobs: those of the documentation, and no others."""

import json
import re
from typing import Any

from hypothesis import strategies as st

from chute import keys
from chute.envelope import Refused, check
from fuzz.seeds import TEXTS

WHAT = "names of queues, partitions and jobs, beside the patterns of the documentation"
VARIED = True
QUEUE, JOB = re.compile(r"[A-Za-z0-9._-]{1,64}"), re.compile(r"[\x21-\x7a\x7c\x7e]{1,256}")
NUMBERS = {str(number) for number in range(keys.MOST_PARTITIONS)}
_GOOD = st.text(st.sampled_from("azAZ09._-"), min_size=1, max_size=66)
_MARKS = st.sampled_from(
    ["", ":", ":0", ":14", ":15", ":3\n", ":\u0663", "\n", " ", "{", "}", "\0", "~", "|", "\x7f", "ä", "\ud800", ":1:2"]
)
VALUES = st.one_of(
    TEXTS,
    _GOOD,
    st.builds(lambda name, mark, more: f"{name}{mark}{more}", _GOOD, _MARKS, st.just("") | _GOOD),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x80), min_size=1, max_size=300),
    st.none() | st.integers() | st.binary(max_size=5) | st.lists(st.text(max_size=3), max_size=2),
)


def look(name: Any) -> None:
    """Raises where a name is taken that is none, or refused though it is one."""
    text = isinstance(name, str)
    queue, job = text and _whole(QUEUE, name), text and _whole(JOB, name)
    base, _, number = name.rpartition(":") if text else ("", "", "")
    list_ = queue or (text and _whole(QUEUE, base) and number in NUMBERS)
    assert _taken(keys.check_queue_name, name) == queue
    assert _taken(keys.check_list_name, name) == list_
    assert _taken(keys.check_job_id, name) == job
    if text:
        assert keys.base_of(name) == (base if number in NUMBERS and "\n" not in base and ":" in name else name)
    if list_:
        assert keys.keys_of(name).queue == f"queue:{name}"
    if job:
        assert keys.job_of_result(keys.result(name)) == name
    _check_pushed(name, job)


def _whole(pattern: re.Pattern[str], text: str) -> bool:
    found = pattern.match(text)  # another way than the code's own
    return found is not None and found.end() == len(text)


def _taken(take: Any, name: Any) -> bool:
    try:
        assert take(name) == name
    except ValueError as error:
        assert str(error)
        return False
    return True


def _check_pushed(name: Any, good: bool) -> None:
    """The id of a job that somebody else wrote."""
    if isinstance(name, bytes):
        return
    try:
        check(json.dumps({"job_id": name}).encode())
    except Refused as refused:
        assert not good
        assert refused.reason in ("bad_job_id", "bad_json")  # a lone surrogate is no JSON
    else:
        assert good
