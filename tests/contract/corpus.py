"""The hostile and broken input of tests/corpus with what must become of it: `verdicts.json`, in its order.

An entry is a file of its own, the bytes as they are pushed; one too large for a repository is `made` from parts when it is wanted. Its verdict
is a reason code, or `runs`; `told` is the job id whose result tells a waiter. Beside the entries: numbers, names of queues, values of tasks.
"""

import itertools
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

HOME = Path(__file__).parents[1] / "corpus"
RUNS = "runs"


class Part(msgspec.Struct, frozen=True):
    """So many times a text, in which # is the number of each; or, with `words`, each text of so many words where # is."""

    text: str
    times: int = 1
    between: str = ""
    words: tuple[str, ...] = ()
    long: int = 0

    def __str__(self) -> str:
        if self.words:
            return self.between.join(self.text.replace("#", "".join(each)) for each in itertools.product(self.words, repeat=self.long))
        if "#" in self.text:
            return self.between.join(self.text.replace("#", str(n)) for n in range(self.times))
        return self.between.join([self.text] * self.times) if self.between else self.text * self.times


Recipe = tuple[str | Part, ...]


@lru_cache(4)
def make(recipe: Recipe) -> str:
    """What comes of a recipe."""
    return "".join(map(str, recipe))


class Case(msgspec.Struct, frozen=True, rename={"name": "case"}):
    """One entry."""

    name: str
    verdict: str
    told: str = ""
    made: Recipe = ()

    @property
    def reason(self) -> str:
        """The code it is refused with, "" when it runs."""
        return "" if self.verdict == RUNS else self.verdict

    @property
    def group(self) -> str:
        """What kind of entry it is."""
        return self.name.partition("/")[0]

    @property
    def body(self) -> bytes:
        """The bytes that are pushed."""
        return make(self.made).encode() if self.made else (HOME / self.name).read_bytes()


class Name(msgspec.Struct, frozen=True):
    """What somebody gives as the name of a queue, and whether it may be one."""

    good: bool
    name: str = ""
    made: Recipe = ()

    def __str__(self) -> str:
        return make(self.made) or self.name


class Given(msgspec.Struct, frozen=True):
    """What a task gives back, and the fields of the result that it becomes."""

    case: str
    value: Any
    fields: list[str]


class Verdicts(msgspec.Struct, frozen=True):
    """The whole table. `integers` are exact or refused, `decimals` the nearest double."""

    entries: list[Case]
    integers: list[str]
    decimals: list[str]
    queues: list[Name]
    results: list[Given]


TABLE = msgspec.json.decode((HOME / "verdicts.json").read_bytes(), type=Verdicts)
CASES = TABLE.entries


def of_group(*groups: str) -> list[Case]:
    """The cases of these groups."""
    found = [case for case in CASES if case.group in groups]
    assert {case.group for case in found} == set(groups)
    return found


def job(job_id: str, **fields: Any) -> bytes:
    """A good job for the default task."""
    return json.dumps({"job_id": job_id, "question": "?", **fields}, ensure_ascii=False).encode()
