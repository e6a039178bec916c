"""MODULE[:ATTR[,ATTR...]]: what can be worked, and every mistake with exit 2 and a word that helps. No server is needed for any of them."""

from pathlib import Path

import pytest

from contract.helpers import Work, chute, push, result
from servers import Server

GOOD = "import chute\nfirst = chute.Queue('first')\nsecond = chute.Queue('second')\n\n@first.task\ndef one(): ...\n\n@second.task\ndef two(): ...\n"
NOWHERE = "redis://127.0.0.1:1"


@pytest.mark.parametrize(
    ("source", "target", "hint"),
    [
        (GOOD, "nothing", "nothing"),
        (GOOD, "app.py", "app"),
        (GOOD, "app:third", "third"),
        (GOOD, "app:first,third", "third"),
        (GOOD, "app:chute", "chute"),
        (GOOD, "app:first=0", "first=0"),
        (GOOD, "app:first=x", "first=x"),
        (GOOD, "app:first=-1", "first=-1"),
        (GOOD, "app:first=", "first="),
        (GOOD, "app:first,first", ""),
        ("x = 1\n", "app", "queue"),
        ("import chute\njobs = chute.Queue('jobs')\n", "app", "task"),
        ("import nowhere_at_all\n", "app", "nowhere_at_all"),
        ("def broken(:\n", "app", "SyntaxError"),
        ("1 / 0\n", "app", "ZeroDivisionError"),
        ("import sys\nsys.exit(0)\n", "app", "SystemExit"),
        ("import chute\njobs = chute.Queue('a:b')\n", "app", "a:b"),
        ("import chute\njobs = chute.Queue('jobs')\njobs.task(lambda: 1)\n", "app", "lambda"),
    ],
)
def test_a_mistake_is_exit_2_and_names_it(tmp_path: Path, source: str, target: str, hint: str) -> None:
    (tmp_path / "app.py").write_text(source)
    done = chute("work", target, url=NOWHERE, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_in_a_package_of_the_current_directory(tmp_path: Path, server: Server) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "work.py").write_text(GOOD)
    push(server.client(), "first", '{"job_id": "a"}')
    push(server.client(), "second", '{"job_id": "b"}')
    with Work("shop.work", server.url, "--burst", cwd=tmp_path) as work:
        assert work.wait() == 0
    assert result(server.client(), "a", 0)["status"] == result(server.client(), "b", 0)["status"] == "completed"


def test_only_the_queues_that_were_named(tmp_path: Path, server: Server) -> None:
    (tmp_path / "app.py").write_text(GOOD)
    push(server.client(), "first", '{"job_id": "a"}')
    push(server.client(), "second", '{"job_id": "b"}')
    with Work("app:second", server.url, "--burst", cwd=tmp_path) as work:
        assert work.wait() == 0
    assert server.client().llen("queue:first") == 1
    assert result(server.client(), "b", 0)["status"] == "completed"


WEIGHED = """
import os
import chute
critical, default, bulk = (chute.Queue(name) for name in ("critical", "default", "bulk"))

def note(name: str) -> None:
    with open(os.environ["ORDER"], "a") as file:
        file.write(name[0])

for queue in (critical, default, bulk):
    queue.task(name="note")(note)
"""


def test_weights(tmp_path: Path, server: Server) -> None:
    """Without a number a queue comes before all others; the others share by their weights."""
    (tmp_path / "app.py").write_text(WEIGHED)
    for name in ("critical", "default", "bulk"):
        push(server.client(), name, *[{"name": name}] * 3000)  # many, since a claim takes hundreds
    order = tmp_path / "order"
    with Work("app:critical,default=2,bulk=1", server.url, "--burst", "--concurrency", "1", cwd=tmp_path, ORDER=str(order)) as work:
        assert work.wait(60) == 0
    ran = order.read_text()
    assert sorted(ran) == sorted("c" * 3000 + "d" * 3000 + "b" * 3000)
    assert ran[:3000].count("c") >= 2900
    both = [name for name in ran if name != "c"][:3000]
    assert 1.5 < both.count("d") / both.count("b") < 2.7


def test_a_mistake_in_the_users_module_is_told_with_its_place_there(tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text('import chute\njobs = chute.Queue("my jobs")\n')
    (tmp_path / "broken.py").write_text("import chute\n\ndef (\n")
    named = chute("work", "named", cwd=tmp_path)
    assert (named.returncode, named.stderr.strip().endswith("at named.py:2")) == (2, True), named.stderr
    broken = chute("work", "broken", cwd=tmp_path)
    assert (broken.returncode, broken.stderr.count("line 3"), broken.stderr.strip().endswith("at broken.py:3")) == (2, 0, True), (
        broken.stderr
    )
