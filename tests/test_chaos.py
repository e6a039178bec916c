"""The fault suite's own judge: it sees each kind of violation in histories made by hand, its known bugs still fit the source, and a row plays."""

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chaos import ROOT, bugs, checker, oracle, seeded
from chaos.checker import Fault, judge
from chaos.final import Final
from chaos.oracle import History, Run

SECOND = 1_000_000_000
WORKER, OTHER = 11, 12


def ran(job: str, tag: int = 1, pid: int = WORKER, at: float = 0, until: float | None = 1, how: str = "done", attempt: int = 1) -> Run:
    ended = None if until is None else round(until * SECOND)
    return Run(job, tag, attempt, pid, round(at * SECOND), ended, how if ended else "")


def told(*runs: Run, accepted: str = "", unknown: str = "", rejected: str = "") -> History:
    history = History(accepted=set(accepted.split()), unknown=set(unknown.split()), rejected=set(rejected.split()))
    for run in runs:
        history.runs[run.job].append(run)
    return history


def completed(job: str, tag: int = 1, **other: str) -> dict[str, dict[str, str]]:
    return {job: {"status": "completed", "echo": job, "tag": str(tag), "@tag": str(tag), **other}}


def fault(effect: Any = "death", pid: int = WORKER, began: float = 0.5, ended: float = 0.5, gap: float | None = None) -> Fault:
    there = None if gap is None else round(gap * SECOND)
    return Fault("kill -9", effect, frozenset({pid}), round(began * SECOND), round(ended * SECOND), 1, there)


def test_what_went_well_is_no_violation() -> None:
    history = told(ran("a"), ran("b", 2, until=None), ran("b", 3, OTHER, 2, 3), ran("c", 4), accepted="a b", unknown="c d")
    found = judge(history, Final(results={**completed("a"), **completed("b", 3), **completed("c", 4)}), [fault()])
    assert found.violations() == []
    assert (found.duplicates, found.bound) == (1, 3), "the death found three jobs begun, one of which ran again"
    assert found.recovery == 1.5


@pytest.mark.parametrize(("deaths", "recovery"), [(9, 3.5), (10, 1.5)], ids=["the only slow one of nine", "one of ten"])
def test_one_recovery_in_ten_may_be_struck_itself(deaths: int, recovery: float) -> None:
    faults = [fault(pid=n, began=10 * n + 0.5, ended=10 * n + 0.5) for n in range(1, deaths + 1)]
    begun = [ran(f"job-{n}", n, n, 10 * n, None) for n in range(1, deaths + 1)]
    again = [ran(f"job-{n}", 100 + n, OTHER, 10 * n + (4 if n == 1 else 2), 10 * n + 5) for n in range(1, deaths + 1)]
    history = told(*[run for both in zip(begun, again, strict=True) for run in both])
    assert judge(history, Final(), faults).recovery == recovery


@pytest.mark.parametrize(
    ("history", "final", "violation"),
    [
        pytest.param(told(ran("a"), accepted="a"), Final(), "1 lost: a", id="ran, and nothing is left of it"),
        pytest.param(told(accepted="a"), Final(), "1 lost: a", id="never seen again"),
        pytest.param(told(ran("a")), Final(results=completed("a")), "1 ran though never accepted: a", id="phantom"),
        pytest.param(told(ran("a"), rejected="a"), Final(results=completed("a")), "1 ran though never accepted: a", id="rejected and run"),
        pytest.param(
            told(ran("a"), ran("a", 2, OTHER, 2, 3), accepted="a"), Final(results=completed("a", 2)),
            "1 ran more often than the faults explain: a", id="ran twice",
        ),
        pytest.param(
            told(ran("a", how="raised"), ran("a", 2, at=2, until=3, attempt=3), accepted="a"), Final(results=completed("a", 2)),
            "1 charged for what was no failure of theirs: a", id="a retry more than failures",
        ),
        pytest.param(told(accepted="a"), Final(results=completed("a")), "1 finished without a run that ended: a", id="finished, never run"),
        pytest.param(
            told(ran("a", until=None), accepted="a"), Final(results=completed("a")), "1 finished without a run that ended: a",
            id="finished while it runs",
        ),
        pytest.param(told(ran("a"), accepted="a"), Final(results=completed("a", echo="b")), "1 have another's result: a", id="mixed up"),
        pytest.param(
            told(ran("a", how="cancelled"), ran("a", 5, OTHER, 2, 3), ran("a", 4, at=2, until=4), accepted="a"),
            Final(results=completed("a", 4)), "1 have the result of a run that had lost its lease: a", id="a late finish won",
        ),
        pytest.param(
            told(accepted="a"), Final(results={"a": {"status": "completed", "@result_error": "too large", "@tag": "1"}}),
            "1 finished without a run that ended: a", id="finished without a value, never run",
        ),
        pytest.param(told(accepted="a"), Final(leased={"a"}), "1 left behind: a", id="left in flight"),
        pytest.param(told(accepted="a"), Final(queued={"a"}), "1 left behind: a", id="left in the queue"),
        pytest.param(told(), Final(leaks=["workers:{queue:jobs}"]), "1 left behind: workers:{queue:jobs}", id="a key too many"),
    ],
)  # fmt: skip
def test_each_violation_is_seen(history: History, final: Final, violation: str) -> None:
    assert violation in judge(history, final, []).violations()


@pytest.mark.parametrize(
    ("struck", "excused"),
    [
        pytest.param(fault(), True, id="killed while it ran"),
        pytest.param(fault("suspicion"), True, id="suspected while it ran"),
        pytest.param(fault("failover"), True, id="another server took over while it ran"),
        pytest.param(fault(began=1.1, ended=1.1), True, id="killed before its end can have been stored"),
        pytest.param(fault("none"), False, id="a fault that costs nobody a run"),
        pytest.param(fault(pid=OTHER), False, id="another process"),
        pytest.param(fault(began=-2, ended=-1), False, id="over before it began"),
        pytest.param(fault("failover", began=-2, ended=-0.2), True, id="handed out by the old server in its last moment"),
        pytest.param(fault("failover", began=-2, ended=-0.3), False, id="handed out by the new server"),
        pytest.param(fault("suspicion", began=-2, ended=-0.2), False, id="handed out after it"),
        pytest.param(fault("suspicion", began=-2, ended=-0.01), True, id="about to begin"),
        pytest.param(fault(began=1.5, ended=1.5), False, id="long after it had ended"),
    ],
)
def test_a_fault_excuses_the_runs_that_it_struck_and_no_others(struck: Fault, excused: bool) -> None:
    history = told(ran("a"), ran("a", 2, OTHER, 2, 3), accepted="a")
    found = judge(history, Final(results=completed("a", 2)), [struck])
    assert found.over == ([] if excused else ["a"])


def test_of_what_a_process_begins_as_it_thaws_the_first_is_excused_and_no_more() -> None:
    thawed = [ran("a", at=0.01, until=1), ran("b", at=0.011, until=1), ran("c", 3, OTHER, 0.012, 1)]
    others = [ran(job, 2, 9, -1, -0.5) for job in "abc"]
    history = told(*others, *thawed, accepted="abc")
    assert judge(history, Final(results={}), [fault("suspicion", began=-2, ended=0)]).over == ["b", "c"]
    assert judge(history, Final(results={}), [fault("suspicion", began=-2, ended=-0.02)]).over == ["a", "b", "c"]
    assert judge(history, Final(results={}), [fault("none", began=-2, ended=0)]).over == ["a", "b", "c"]


def test_a_result_that_could_not_be_stored_is_that_of_its_run() -> None:
    history = told(ran("a"), accepted="a")
    final = Final(results={"a": {"status": "completed", "@result_error": "too large", "@tag": "1"}})
    assert judge(history, final, []).violations() == []


def test_one_fault_excuses_one_run() -> None:
    history = told(ran("a"), ran("a", 2, OTHER, 2, 3), ran("a", 3, OTHER, 4, 5), accepted="a")
    assert judge(history, Final(results=completed("a", 3)), [fault()]).over == ["a"]


@pytest.mark.parametrize(
    ("accepted_at", "stranded"),
    [
        pytest.param(4.4, False, id="long before the failover"),
        pytest.param(4.6, True, id="moments before it"),
        pytest.param(7, True, id="by the deposed primary"),
        pytest.param(8.1, False, id="after it"),
    ],
)
def test_a_failover_strands_what_one_server_alone_had_and_nothing_that_was_confirmed(accepted_at: float, stranded: bool) -> None:
    failover = fault("failover", began=5, ended=8, gap=0.5)
    history = told(accepted="a")
    history.accepted_at["a"] = round(accepted_at * SECOND)
    found = judge(history, Final(), [failover])
    assert (found.stranded, found.lost) == ((["a"], []) if stranded else ([], ["a"]))
    history.confirmed.add("a")
    assert judge(history, Final(), [failover]).lost == ["a"]
    without = judge(history, Final(), [fault("failover", began=5, ended=8)])
    assert without.lost == ["a"], "one that has no gap strands nothing"


def test_after_a_failover_the_younger_result_may_have_the_lower_tag() -> None:
    history = told(ran("a", 9), ran("a", 7, OTHER, 2, 3), accepted="a")
    final = Final(results=completed("a", 7))
    assert judge(history, final, [fault("failover")]).violations() == []
    assert judge(history, final, [fault("suspicion")]).stale == ["a"]


def test_an_outage_is_the_longest_time_around_a_fault_in_which_nothing_was_begun() -> None:
    runs = [ran("a"), ran("b", at=7), ran("c", at=8), ran("d", at=8.5), ran("e", at=11), ran("f", at=11.5), ran("g", at=20)]
    assert checker.outage(runs, [fault("failover", began=8.6, ended=9)]) == 2.5
    assert checker.outage(runs, [fault("failover", began=7.5, ended=8.4)]) == 1
    assert checker.outage(runs, []) == 0


def test_a_job_behind_a_younger_one_is_out_of_order() -> None:
    assert checker.disordered([ran("p-1"), ran("q-1"), ran("p-3"), ran("p-2"), ran("p-3")]) == ["p-2"]
    assert checker.disordered([ran("p-1"), ran("p-2"), ran("p-1"), ran("p-10")]) == [], "a second run is no matter of order"


def test_work_goes_on_is_counted_from_the_end_of_the_fault() -> None:
    history = told(ran("a"), ran("b", 2, at=5, until=6), accepted="a b")
    found = judge(history, Final(results={**completed("a"), **completed("b", 2)}), [fault("none", ended=3)])
    assert found.resume == 2


def test_notes_are_read_as_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(oracle.DIRECTORY, str(tmp_path))
    sent, runs = oracle.Notebook("sent"), oracle.Notebook("ran")
    for what in ("accepted", "confirmed", "unknown", "rejected"):
        sent.note(what, what[0], 1)
    runs.note("started", "a", 7, 1, 100)
    runs.note("started", "u", 8, 2, 110)
    runs.note("ended", "a", 7, 1, 120, "raised")
    history = oracle.read(tmp_path)
    assert (history.accepted, history.unknown, history.rejected) == ({"a", "c"}, {"u"}, {"r"})
    assert (history.confirmed, history.accepted_at) == ({"c"}, {"a": 1, "c": 1})
    first, second = history.all_runs()
    assert (first.job, first.tag, first.attempt, first.started, first.ended, first.how) == ("a", 7, 1, 100, 120, "raised")
    assert (second.job, second.attempt, second.ended, second.how) == ("u", 2, None, "")
    assert oracle.held(tmp_path, first.pid) == 1


@pytest.mark.parametrize("bug", bugs.ALL, ids=lambda bug: f"{bug.row} {bug.what}")
def test_each_known_bug_fits_the_source(bug: seeded.Bug, tmp_path: Path) -> None:
    src = seeded.plant(bug, tmp_path)
    for edit in bug.edits:
        if edit.file.endswith(".py"):
            ast.parse((src / "chute" / edit.file).read_text())


def test_a_bug_that_does_not_fit_is_a_failure(tmp_path: Path) -> None:
    bug = seeded.Bug("of another time", "W01", "lost", (seeded.Edit("keys.py", "no such text", ""),))
    with pytest.raises(seeded.Unappliable, match=r"keys\.py has 0 places for: of another time"):
        seeded.plant(bug, tmp_path)


def test_a_row_plays_from_beginning_to_end() -> None:
    """No fault, two servers: all is quiet, and the ledger says so."""
    played = chaos("W00")
    assert played.returncode == 0, played.stdout + played.stderr
    assert "2 rows, 0 red · 0 faults, 0 jobs lost of 2,000 accepted" in played.stdout


def test_a_red_row_says_why_and_fails(tmp_path: Path) -> None:
    """Without its lease a job's outcome is not stored: it is gone."""
    lease = next(edit for edit in seeded.BUGS[0].edits if edit.file == "scripts/claim.lua")
    src = seeded.plant(seeded.Bug("claims without leases", "W00", "lost", (lease,)), tmp_path)
    played = chaos("W00", "--server", "valkey", "--src", str(src))
    assert played.returncode == 1, played.stdout
    assert "W00 valkey: 1000 lost: calm-1, calm-10, calm-100" in played.stdout


def test_a_row_that_cannot_be_played_here_is_counted_and_is_no_failure(tmp_path: Path) -> None:
    """A clone without its history does not have the release before."""
    there = tmp_path / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{ROOT}", there], check=True, capture_output=True)
    played = chaos("U01", "--server", "valkey", cwd=there)
    assert played.returncode == 0, played.stdout + played.stderr
    assert "U01 valkey: skipped: the release before" in played.stdout
    assert "1 rows, 0 red, 1 skipped · 0 faults" in played.stdout


def test_an_unknown_row_is_named() -> None:
    played = chaos("W99")
    assert played.returncode == 2
    assert "no row W99; there are W00 W01" in played.stderr


def chaos(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "chaos", *words], cwd=cwd, capture_output=True, text=True, check=False, timeout=100)
