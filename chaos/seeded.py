"""Negative controls: known bugs, each put into a copy of the source, each of which must turn a row red, and for the right reason.

A row that stays green with its bug proves nothing, and a bug that can no longer be put in is a failure too: it must follow the source.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import msgspec

from chaos import ROOT
from chaos.play import Entry
from servers import Kind


class Unappliable(Exception):
    """The source is not what the bug was written for."""


@dataclass(frozen=True, slots=True)
class Edit:
    """In this file of the package, this text (which is there once) becomes that."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Bug:
    """`shows`: words of the complaint that it must bring about in the row."""

    what: str
    row: str
    shows: str
    edits: tuple[Edit, ...]


_LEASE = "    if #held > 0 then redis.call('HSET', KEYS[3], unpack(held)) end\n"
_OURS = "  elseif call('HEXISTS', leases, lease) == 0 then answer[i] = '0'\n"
_COMPARE = "if ARGV[2] ~= '' and b ~= ARGV[2] then return 0 end\n"
_RAISE = "            if operation.lost:\n                raise operation.lost(str(discreet(error))) from error\n"
_LOAD = "        self.line.send((*LOAD, store.TIME)"

BUGS = (
    Bug(
        "a job is popped without a lease", "W01", "lost",
        (Edit("scripts/claim.lua", _LEASE, ""), Edit("scripts/finish.lua", _OURS, "")),
    ),
    Bug(
        "leases have a TTL", "W01", "lost",
        (Edit("scripts/claim.lua", _LEASE, f"{_LEASE}    redis.call('PEXPIRE', KEYS[3], 1000)\n"),),
    ),
    Bug("a finish does not look for its lease", "W03", "had lost its lease", (Edit("scripts/finish.lua", _OURS, ""),)),
    Bug(
        "workers are closed by age, not by lack of progress", "W04", "ran more often",
        (
            Edit("scripts/close.lua", _COMPARE, ""),
            Edit("worker/reclaim.py", "if beat not in (DEAD, last):", "if beat != DEAD and not last:"),
        ),
    ),
    Bug(
        "a job that a leaving worker breaks off counts as failed", "W04", "charged",
        (Edit("worker/verdict.py", "        if held.broken_off:\n            return None\n", ""),),
    ),
    Bug(
        "nobody looks for claims without an answer", "N03", "not drained",
        (Edit("worker/search.py", "for lease in leases if self._hidden(", "for lease in leases if False and self._hidden("),),
    ),
    Bug(
        "a finish without an answer is not repeated", "N02", "not drained",
        (Edit("worker/finish.py", "        if reply is None:\n            self._again(batch)\n", "        if reply is None:\n            pass\n"),),
    ),
    Bug(
        "an enqueue without an answer is repeated", "N03", "ran more often",
        (Edit("endpoint.py", f"{_RAISE}            return self.replies(", "            return self.replies("),),
    ),
    Bug("a finish is refused by a full server", "S10", "a full server was drained", (Edit("scripts/finish.lua", "#!lua flags=allow-oom\n", "#!lua\n"),)),
    Bug(
        "nobody but the process that runs the handlers beats", "W12", "taken for dead",
        (Edit("supervisor/agent.py", "            self._do(clock.every(timing.beat, self._beats.beat))\n", ""),),
    ),
    Bug("there is no end to the deaths of a job", "W07", "ran", (Edit("worker/charge.py", "POISON = 3\n", "POISON = 5\n"),)),
    Bug(
        "scripts are loaded once", "S12", "while scripts were forgotten",
        (
            Edit("worker/route.py", _LOAD, f"        if not self.ahead:\n    {_LOAD}"),
            Edit("worker/care.py", "self._lines.send(place_of(queue), LOAD, lambda _: None)", "pass"),
            Edit("worker/beats.py", "self._lines.send(place_of(queue), LOAD, lambda _: None)", "pass"),
            Edit("worker/reclaim.py", "replies = await lines.ask(place, [*LOAD, command])", "pass"),
        ),
    ),
)  # fmt: skip


def plant(bug: Bug, folder: Path) -> Path:
    """A copy of the source with the bug in it. Raises Unappliable."""
    src = folder / "src"
    shutil.copytree(ROOT / "src", src, ignore=shutil.ignore_patterns("__pycache__"))
    for edit in bug.edits:
        path = src / "chute" / edit.file
        text = path.read_text()
        if text.count(edit.old) != 1:
            raise Unappliable(f"{edit.file} has {text.count(edit.old)} places for: {bug.what}")
        path.write_text(text.replace(edit.old, edit.new))
    return src


def caught(bug: Bug, apart: Callable[..., Entry], kind: Kind, seed: int) -> tuple[bool, str]:
    """Whether the row saw the bug for what it is, and what it said."""
    with tempfile.TemporaryDirectory(prefix="chute-seeded-") as folder:
        entry = apart(bug.row, kind, seed, 1, plant(bug, Path(folder)))
    telling = [complaint for complaint in entry.why_red if bug.shows in complaint]
    return bool(telling), (telling or entry.why_red or ["nothing was noticed"])[0]


class Planted(msgspec.Struct):
    """What became of one bug: whether its row saw it, and what it said."""

    what: str
    row: str
    caught: bool
    said: str


def main(bugs: Sequence[Bug], pool: Executor, apart: Callable[..., Entry], kind: Kind, seed: int, out: Path | None) -> int:
    """Plants every bug, prints what became of it; the exit code. `out`: where it is kept."""
    plays = [pool.submit(caught, bug, apart, kind, seed) for bug in bugs]
    planted = list[Planted]()
    for bug, each in zip(bugs, plays, strict=True):
        red, why = each.result()
        planted.append(Planted(bug.what, bug.row, red, why))
        print(f"{'caught' if red else 'MISSED'}  {bug.row}  {bug.what}: {why}", flush=True)
    seen = sum(each.caught for each in planted)
    print(f"{seen} of {len(bugs)} seeded bugs were caught on {kind}")
    if out:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(planted), indent=1) + b"\n")
    return int(seen < len(bugs))
