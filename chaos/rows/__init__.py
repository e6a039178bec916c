"""The fault matrix as data. A row is what is done and what must hold then; what must always hold is in `play`."""

from collections.abc import Callable
from dataclasses import dataclass

from chaos.stage import Place, Stage
from servers import Kind, Server

APPEND_ONLY = ("--appendonly", "yes", "--appendfsync", "no")
"""Each write is with the operating system before it is answered, so a server that is killed loses nothing. With `everysec` it may hold writes
back for up to two seconds while the disk is slow: then a crash loses what was answered, whatever a client does."""


@dataclass(frozen=True, slots=True)
class Row:
    """`recovery`, `resume` and `outage` are limits in seconds for what `checker` calls so. `place` makes what is struck, on each of the `kinds`;
    `asked`: so many servers of it are asked who has what. `least`: so many faults must have struck, nine of ten of them held work; else the
    row says nothing and is void. `forgets`: the server itself loses what it answered, so jobs may be lost and repeated; that all must come to
    rest remains. `copies`: it makes copies of jobs, so that some run again, each with a lease of its own, is counted and is no violation. `alone`:
    it measures milliseconds or rates, so no other row is played beside it."""

    id: str
    what: str
    expected: str
    run: Callable[[Stage], None]
    least: int
    recovery: float | None = None
    resume: float | None = None
    options: tuple[str, ...] = ()
    ordered: bool = False
    forgets: bool = False
    copies: bool = False
    outage: float | None = None
    place: Callable[..., Place] = Server
    asked: int = 0
    alone: bool = False
    kinds: tuple[Kind, ...] = ("redis", "valkey")
