"""The fuzzers themselves: each target tries something, a bug that is put into what it looks at is found, and each kind of finding is one."""

import importlib
import json
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import strategies as st

from chute import address, envelope, keys, outcome
from chute.cli import logs
from chute.envelope import Refused
from fuzz import ROOT
from fuzz.__main__ import TARGETS
from fuzz.play import Report, play

pytestmark = pytest.mark.filterwarnings("ignore")  # hypothesis advises on what is large


def target(name: str) -> Any:
    return importlib.import_module(f"fuzz.targets.{name}")


def fuzz(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "fuzz", *words], cwd=ROOT, capture_output=True, text=True, check=False)


def test_two_targets_side_by_side_are_two_lines() -> None:
    done = fuzz("names", "spans", "--seconds", "0.5", "--at-once", "2", "--seed", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["names", "spans"]
    assert all(line.endswith("0 findings") and int(line.split()[1].replace(",", "")) > 10 for line in done.stdout.splitlines())


def test_an_unknown_target_is_told() -> None:
    done = fuzz("nothing")
    assert done.returncode == 2
    assert "no target nothing; there are envelope" in done.stderr


@pytest.mark.parametrize("name", TARGETS)
def test_each_target_tries_something(name: str) -> None:
    report = play(name, target(name), 0.5, 1)
    assert report.findings == []
    assert report.executions > 5


def broken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Puts a bug into what a target looks at."""
    match name:
        case "envelope":
            monkeypatch.setattr(envelope, "_any", json)  # reads NaN and half pairs
            monkeypatch.setattr(json, "decode", json.loads, raising=False)
        case "result":
            monkeypatch.setattr(target("result"), "complete", lambda value, hook: outcome.Completed(["@value", str(value)]))
        case "address":
            monkeypatch.setattr(target("address"), "redact", lambda url: address._PASSWORD.sub(r"\1***@", url))
        case "names":
            monkeypatch.setattr(keys, "is_job_id", lambda text: len(text) < 257)
        case "logs":
            monkeypatch.setattr(logs, "one_line", lambda text: text.replace("\n", " "))
        case "spans":
            monkeypatch.setattr(target("spans"), "seconds", float)
        case "replies":
            monkeypatch.setattr(target("replies"), "value_of", lambda fields, returns, hook: outcome._plain(fields))


@pytest.mark.parametrize("name", TARGETS)
def test_a_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(monkeypatch, name)
    assert len(play(name, target(name), 20, 1, smallest=False).findings) == 1


def _busy() -> None:
    began = time.thread_time()
    while time.thread_time() < began + 0.15:
        pass


@pytest.mark.parametrize(
    ("look", "says"),
    [
        (lambda number: 1 // (number < 50), "ZeroDivisionError"),
        (lambda number: _busy() if number > 50 else None, "s of the processor"),
        (lambda number: sys.exit(1) if number > 50 else None, "SystemExit"),
    ],
)
def test_each_kind_of_finding(look: Any, says: str) -> None:
    found = play("made", SimpleNamespace(VALUES=st.integers(0, 100), VARIED=False, look=look), 20, 1, smallest=says != "s of the processor")
    assert isinstance(found, Report)
    (finding,) = found.findings
    assert says in finding
    assert json.dumps(found.findings)


GREEDY = """
from types import SimpleNamespace
from hypothesis import strategies as st
from fuzz.play import play
look = lambda number: len(b"x" * (70 << 20)) if number > 50 else 0
print(play("greedy", SimpleNamespace(VALUES=st.integers(0, 100), VARIED=False, look=look), 20, 1, smallest=False).findings)
"""


def test_what_takes_too_much_memory_is_a_finding() -> None:
    """In a process of its own: one that has had more before shows no peak."""
    done = subprocess.run([sys.executable, "-c", GREEDY], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "MB of memory" in done.stdout


def test_what_is_refused_for_no_reason_of_ours_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def check(body: bytes) -> None:
        raise Refused("bad_mood", "no")

    monkeypatch.setattr(envelope, "check", check)
    assert play("envelope", target("envelope"), 5, 1, smallest=False).findings
