"""The fixtures, in a pytest of their own: alone, under xdist, and not asked for."""

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import os
import pytest
import chute
import chute.testing

jobs = chute.Queue("jobs")

@jobs.task
async def answer(question: str) -> str:
    return question.upper()

@pytest.mark.parametrize("number", range(6))
def test_each_begins_with_an_empty_server(chute_server, chute_drain, number):
    assert chute.testing.enqueued(jobs) == []
    job = answer.enqueue(f"job {number}")
    answer.enqueue("another")
    assert chute_drain(jobs).completed == 2
    assert job.result(0) == f"JOB {number}"
    answer.options(delay=60).enqueue("left behind")
    with open(os.environ["URLS"], "a") as urls:
        urls.write(f"{os.environ.get('PYTEST_XDIST_WORKER')} {chute_server}\\n")

def test_inline(chute_inline):
    assert answer.enqueue("x").result() == "X"

def test_without():
    assert chute.Queue("jobs", url="redis://127.0.0.1:1").endpoint.address.url == "redis://127.0.0.1:1"
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project with tests, and a file for the URLs that they saw."""
    monkeypatch.setenv("URLS", str(pytester.path / "urls"))
    pytester.makepyfile(TESTS)
    return pytester


def urls(project: pytest.Pytester) -> set[tuple[str, ...]]:
    return {tuple(line.split()) for line in (project.path / "urls").read_text().splitlines()}


def test_one_server_serves_a_session(project: pytest.Pytester) -> None:
    project.runpytest_subprocess("-p", "chute.testing.plugin", "-p", "no:xdist", "-W", "error").assert_outcomes(passed=8)
    assert len(urls(project)) == 1


def test_each_process_of_xdist_has_its_own(project: pytest.Pytester) -> None:
    project.runpytest_subprocess("-p", "chute.testing.plugin", "-n", "2", "--dist", "each", "-W", "error").assert_outcomes(passed=16)
    assert len({worker for worker, _ in urls(project)}) == len({url for _, url in urls(project)}) == 2


def test_nothing_is_started_where_nobody_asks(project: pytest.Pytester) -> None:
    words = ["-p", "chute.testing.plugin", "-k", "test_without", "--setup-show"]
    ran = project.runpytest_subprocess(*words)
    ran.assert_outcomes(passed=1, deselected=7)
    ran.stdout.no_fnmatch_line("*SETUP*chute*")
    project.runpytest_subprocess(*words[:2], "-k", "test_each", "--setup-show").stdout.fnmatch_lines(["*SETUP*S*_chute_throwaway*"])


def test_every_name_is_prefixed_and_documented(project: pytest.Pytester) -> None:
    ran = project.runpytest_subprocess("-p", "chute.testing.plugin", "--fixtures")
    shown = [line.split()[0] for line in ran.outlines if "chute/testing/plugin.py" in line and not line.startswith(" ")]
    assert sorted(shown) == ["chute_drain", "chute_inline", "chute_server"]
    assert [line for line in ran.outlines if "on an empty server" in line]
