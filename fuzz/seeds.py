"""Bytes that are nearly the hostile entries of the corpus: each a few edits away from one."""

from random import Random
from typing import Any

from hypothesis import strategies as st

from contract.corpus import CASES

LARGEST = 6_000
LONG = 10_000
ENTRIES = [body for case in CASES if not case.made and len(body := case.body) <= LARGEST]
TOKENS = [
    b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"null", b"true", b"-", b"0", b"1e999", b"1" * 40, b"NaN", b"\\ud800", b"\\u0000", b"\xff",
    b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\0", b"\x1b", b"\n", b" ", b'"job_id":', b'"@task":', b'"@attempt":', b'"@deaths":-1', b'"@at":1.5,',
    b'"@headers":{"a":1},', b"@", b'{"a":' * 70, b"[" * 70, b"]" * 70,
]  # fmt: skip

Edit = tuple[int, float, float, bytes]


def edited(entry: bytes, edits: list[Edit]) -> bytes:
    """The entry after some edits: something put in, taken out, put in place or repeated."""
    for kind, begin, length, text in edits:
        at = int(begin * len(entry))
        end = min(len(entry), at + int(length * 40))
        middle = (text + entry[at:end], b"", text, entry[at:end] * 3)[kind]
        entry = entry[:at] + middle + entry[end:]
    return entry


def nearly(value: Any, chance: Random) -> Any:
    """The value with some edits by chance, where it is bytes or text or holds some; hypothesis makes one value where this makes ten."""
    if type(value) is tuple and value:
        place = chance.randrange(len(value))
        return (*value[:place], nearly(value[place], chance), *value[place + 1 :])
    if type(value) is dict and value:
        name = chance.choice(list(value))
        return value | {name: nearly(value[name], chance)}
    if type(value) not in (bytes, str) or len(value) > LONG:
        return value
    edits = [(chance.randrange(4), chance.random(), chance.random(), chance.choice(TOKENS)) for _ in range(chance.randint(1, 3))]
    if isinstance(value, str):
        return edited(value.encode("utf-8", "surrogatepass"), edits).decode("utf-8", "replace")
    return edited(value, edits)


_SHARES = st.floats(0, 1)
_TEXTS = st.sampled_from(TOKENS) | st.binary(max_size=8) | st.sampled_from(ENTRIES)
_EDITS = st.lists(st.tuples(st.integers(0, 3), _SHARES, _SHARES, _TEXTS), max_size=4)
NEARLY = st.builds(edited, st.sampled_from(ENTRIES), _EDITS)
TEXTS = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(max_codepoint=0x9F), max_size=60),
    st.text(st.sampled_from('\x1b\r\n\t\x9b\u2028\u202e\ud800\x00\x7f[2J;"\\%s{}aä\U0010ffff'), max_size=40),
    st.builds(lambda text, times: text * times, st.text(max_size=3), st.integers(0, 3_000)),
    NEARLY.map(lambda entry: entry.decode(errors="replace")),
)
"""Text as somebody hostile writes it."""
