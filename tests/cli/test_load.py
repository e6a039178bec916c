"""MODULE[:ATTR[,ATTR...]]: what can be worked, and every mistake with exit 2 and a word that helps. No server is needed for any of them."""

import subprocess
import sys
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
order = os.open(os.environ["ORDER"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)

def note(name: str) -> None:
    os.write(order, name[0].encode())

for queue in (critical, default, bulk):
    queue.task(name="note")(note)
"""


def test_weights(tmp_path: Path, server: Server) -> None:
    """Without a number a queue comes before all others; the others share by their weights, give or take one claim of each (1,000 jobs)."""
    (tmp_path / "app.py").write_text(WEIGHED)
    many = {"critical": 3000, "default": 15_000, "bulk": 15_000}
    for name, count in many.items():
        for _ in range(0, count, 1000):
            push(server.client(), name, *[{"name": name}] * 1000)
    order = tmp_path / "order"
    with Work("app:critical,default=2,bulk=1", server.url, "--burst", "--concurrency", "1", cwd=tmp_path, ORDER=str(order)) as work:
        assert work.wait(60) == 0
    ran = order.read_text()
    assert {name: ran.count(name[0]) for name in many} == many
    assert ran[:3000].count("c") >= 2900
    both = [name for name in ran if name != "c"][:20_000]
    assert 1.5 < both.count("d") / both.count("b") < 2.7


ONE = """
import chute

jobs = chute.Queue("jobs")


@jobs.task
def answer(question: str) -> str:
    return question
"""
THERE = "There is m1.py: chute work m1"
WRITE = "Write: chute work m1:jobs"


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("./m1.py", '"./m1.py" is a path; name the module: chute work m1'),
        ("m1.py:jobs", '"m1.py" is a path; name the module: chute work m1:jobs'),
        ("shop/m1", '"shop/m1" is a path; name the module: chute work shop.m1'),
        ("../m1", '"../m1" is a path; go to its directory and name the module: cd ..; chute work m1'),
        ("/a/b/m1.py", '"/a/b/m1.py" is a path; go to its directory and name the module: cd /a/b; chute work m1'),
        ("", f'"" is not the name of a module. {THERE}'),
        (":jobs", f'"" is not the name of a module. {THERE}:jobs'),
        ("..m1", f'"..m1" is not the name of a module. {THERE}'),
        ("mm1:jobs", f'no module "mm1" here (DIRECTORY). {THERE}:jobs'),
        ("m1.jobs", f'"jobs" is a queue in module "m1", not a module. {WRITE}'),
        ("m1:", f"the name of a queue is missing after the colon (queues in m1: jobs). {WRITE}, or for all of them: chute work m1"),
        ("m1:nothere", f'"nothere" does not exist in module "m1" (its queues: jobs). {WRITE}'),
        ("m1:chute", f'"chute" is no queue in module "m1" (its queues: jobs). {WRITE}'),
        ("m1:answer", f'"answer" is a task of queue jobs, not a queue, in module "m1" (its queues: jobs). {WRITE}'),
        ("os:path", '"path" is no queue, and module "os" has none. A queue is a variable of it: jobs = chute.Queue("jobs")'),
        ("os", 'no queue in module "os". A queue is a variable of it: jobs = chute.Queue("jobs")'),
    ],
)
def test_what_is_said_of_a_wrong_name(tmp_path: Path, target: str, says: str) -> None:
    (tmp_path / "m1.py").write_text(ONE)
    done = chute("work", target, url=NOWHERE, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"chute: {says.replace('DIRECTORY', str(tmp_path))}\n")


def test_where_nothing_is_there(tmp_path: Path) -> None:
    done = chute("work", "app", url=NOWHERE, cwd=tmp_path)
    assert done.stderr == f'chute: no module "app" here ({tmp_path}). Go to the directory that has it, or install its package\n'


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    command = f"cd {tmp_path}; rmdir {tmp_path}; {sys.executable} -P -m chute work app:jobs --url {NOWHERE}"
    done = subprocess.run(["bash", "-c", command], check=False, capture_output=True, timeout=30, text=True)
    assert (done.returncode, done.stderr) == (2, "chute: the current directory was deleted; go to where the module is\n")


SCRIPT = '. Put what only a script should do under: if __name__ == "__main__"'


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import chute\nchute.Queue('a b')\n", "ValueError: not a queue name: 'a b'. A name is 1 to 64 of the characters A-Z a-z 0-9 . _ - at app.py:2"),
        ("import chute\n\ndef (\n", "SyntaxError: invalid syntax at app.py:3"),
        ("import shop.db\n", "KeyError: 'DATABASE' at shop/db.py:4"),
        ("import json\n\njson.loads('')\n", "JSONDecodeError: Expecting value: line 1 column 1 (char 0) at app.py:3"),
        ("import nowhere_at_all\n", "ModuleNotFoundError: No module named 'nowhere_at_all' at app.py:1"),
        ("import sys\nsys.exit(3)\n", f"it ends Python (SystemExit: 3) at app.py:2{SCRIPT}"),
        (
            "import chute\n\n@chute.task\ndef f(): ...\n",
            "TypeError: 'module' object is not callable at app.py:3. "
            'A task belongs to a queue: write @jobs.task, where jobs = chute.Queue("jobs")',
        ),
        (
            "from chute import task\n\n@task\ndef f(): ...\n",
            "TypeError: 'module' object is not callable at app.py:3. "
            'A task belongs to a queue: write @jobs.task, where jobs = chute.Queue("jobs")',
        ),
        ('import chute\njobs = chute.queue("jobs")\n', "TypeError: 'module' object is not callable at app.py:2. Write chute.Queue, with a capital Q"),
        ("import json\njson()\n", "TypeError: 'module' object is not callable at app.py:2"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_users_module_is_told_with_its_place_there(tmp_path: Path, source: str, says: str) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "db.py").write_text("import os\n\ndef connect():\n    os.environ['DATABASE']\n\nconnect()\n")
    (tmp_path / "app.py").write_text(source)
    done = chute("work", "app", url=NOWHERE, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f'chute: module "app" cannot be imported: {says}\n')


@pytest.mark.parametrize("name", ["queue", "redis", "chute"])
def test_a_file_with_the_name_of_another_module(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(GOOD)
    done = chute("work", name, url=NOWHERE, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"chute: {name}.py has the name of another module, which was imported in its place (/")
    assert done.stderr.endswith("Give the file another name\n")


def test_a_file_with_such_a_name_beside_the_app_is_in_nobodys_way(tmp_path: Path, server: Server) -> None:
    """For the command `chute`; with `python -m chute`, Python itself puts the current directory before everything."""
    (tmp_path / "app.py").write_text(GOOD)
    (tmp_path / "redis.py").write_text("raise RuntimeError")
    words = [str(Path(sys.executable).with_name("chute")), "work", "app", "--burst", "--url", server.url]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
