"""What is read from the server though another may have written it: results, by whoever may write there, and what workers say of themselves."""

import json
from typing import Any

from hypothesis import strategies as st

from chute.errors import ResultUnavailable
from chute.outcome import value_of
from chute.roster import Words, words_of
from chute.signature import from_plain
from fuzz.seeds import NEARLY
from json_values import VALUES as OF_JSON

WHAT = "the hash of a result, and the words of a worker, whoever wrote them: a value, or ResultUnavailable; words, or none"
VARIED = True
_TEXTS = st.one_of(
    NEARLY,
    st.binary(max_size=30),
    OF_JSON.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(
        [b"", b"[", b'["answer"]', b"[[]]", b"5", b'{"a":', b"[" * 100_000, b"[" * 5_000 + b"]" * 5_000, b"1e999", b"9" * 5_000, b"\xff"]
    ),
)
_NAMES = st.sampled_from(
    [b"status", b"@value", b"@json", b"answer", b"completed_at", b"error", b"@queue", b"@tag", b"\xff", b""]
) | st.binary(max_size=6)
VALUES = st.dictionaries(_NAMES, _TEXTS, max_size=6)
RETURNS = (Any, str, list[int], dict[str, str], dict[str, dict[str, float]], None)


def look(fields: dict[bytes, bytes]) -> None:
    """Raises where reading raises anything else."""
    for returns in RETURNS:
        try:
            value_of(fields, returns, from_plain)
        except ResultUnavailable as error:
            assert str(error)
    for text in fields.values():
        assert isinstance(words_of(text), Words | None)
