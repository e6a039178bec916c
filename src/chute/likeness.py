"""Which of the known names somebody may have meant by another."""

from collections.abc import Iterable

LONGEST = 100
"""Characters that are looked at: a longer word is no slip, and the search would take its time."""


def likest(word: str, known: Iterable[str], *, however_unlike: bool = False) -> str:
    """The known name that is most like the word; "" where none is like it, or none is known."""
    import difflib  # noqa: PLC0415 - only for messages, and a worker is small

    return next(iter(difflib.get_close_matches(word[:LONGEST], list(known), 1, 0.0 if however_unlike else 0.6)), "")
