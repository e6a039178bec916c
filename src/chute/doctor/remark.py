"""What `chute doctor` says of one thing. Data."""

from dataclasses import dataclass
from typing import Literal

State = Literal["well", "note", "mend", "unchecked"]
"""All is well; good to know; somebody should do something; could not be looked at."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was looked at. `what` is so, `why` that matters, `do` this ("": nothing). `about`: the server or the queue, where there are
    several."""

    check: str
    state: State
    what: str
    why: str = ""
    do: str = ""
    about: str = ""


def well(check: str, what: str) -> Remark:
    """Nothing to do."""
    return Remark(check, "well", what)


def note(check: str, what: str, why: str, do: str = "") -> Remark:
    """Good to know: as it is, it may be meant so."""
    return Remark(check, "note", what, why, do)


def mend(check: str, what: str, why: str, do: str) -> Remark:
    """Something to mend."""
    return Remark(check, "mend", what, why, do)


def unchecked(check: str, what: str, do: str = "") -> Remark:
    """What this user may not look at."""
    return Remark(check, "unchecked", what, do=do)
