"""Chute inside web apps, and in event loops that come and go: the examples under a real web server, forked, threaded and awaited."""

import asyncio
import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers import Server, until

EXAMPLES = Path(__file__).parents[1] / "examples"
WEB = EXAMPLES / "web"
REQUESTS, CLIENTS = 200, 8
Load = Callable[[str], Any]

PRELOADED = """
import os, threading
from {module} import {app} as app, jobs

jobs.depth()  # the master has a connection when it forks
MASTER = os.getpid()


def who():
    assert os.getpid() != MASTER
    return f"{{os.getpid()}} {{threading.get_ident()}}"


def wsgi(environ, start_response):
    return app(environ, lambda status, headers, *more: start_response(status, [*headers, ("x-who", who())], *more))


async def asgi(scope, receive, send):
    async def telling(message):
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-who", who().encode())]
        await send(message)

    await app(scope, receive, telling)
"""
"""An example whose client is used before the fork, and whose replies tell the process and the thread that they come from."""

ASGI = ("-k", "asgi")
THREADS = ("--threads", "4")


@contextlib.contextmanager
def running(server: Server, cwd: Path, err: Path, *words: str) -> Iterator[None]:
    """A program beside the test; must end by itself when it is asked to."""
    environment = os.environ | {"CHUTE_URL": server.url, "PYTHONPATH": str(WEB)}
    with err.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-m", *words], cwd=cwd, env=environment, stdout=stream, stderr=stream)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, err.read_text()
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def working(server: Server, queue: str, err: Path, cwd: Path = WEB) -> Iterator[None]:
    """`chute work` on a queue of an example."""
    with running(server, cwd, err, "chute", "work", queue, "--log-level", "warning"):
        yield


@contextlib.contextmanager
def gunicorn(server: Server, directory: Path, *words: str) -> Iterator[httpx.Client]:
    """A gunicorn on a loopback port of its own choice, and a client that makes a new connection for each request.

    By the header, not by a pool that keeps none: such a pool closes, seldom, a connection that another thread was just given.
    """
    err = directory / "gunicorn.err"
    with running(server, directory, err, "gunicorn", "-b", "127.0.0.1:0", "--no-control-socket", *words):
        assert until(lambda: "Listening at: http://" in err.read_text(), 20), err.read_text()
        port = re.findall(r"http://127\.0\.0\.1:(\d+)", err.read_text())[0]
        url, once = f"http://127.0.0.1:{port}", {"Connection": "close"}
        with httpx.Client(base_url=url, headers=once, trust_env=False, timeout=20) as client:
            yield client


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Imports an example as new; forgotten after the test."""
    monkeypatch.syspath_prepend(str(WEB))
    loaded: list[str] = []

    def new(name: str) -> Any:
        loaded.append(name)
        return importlib.import_module(name)

    yield new
    for name in loaded:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("module", "app", "face", "options"),
    [
        ("flask_app", "app", "wsgi", THREADS),
        ("django_app", "application", "wsgi", THREADS),
        ("fastapi_app", "app", "asgi", ASGI),
    ],
)
def test_jobs_of_a_forked_and_threaded_web_server(
    server: Server, tmp_path: Path, module: str, app: str, face: str, options: tuple[str, ...]
) -> None:
    (tmp_path / "preloaded.py").write_text(PRELOADED.format(module=module, app=app))
    words = ("--preload", "-w", "2", *options, f"preloaded:{face}")
    with gunicorn(server, tmp_path, *words) as client, ThreadPoolExecutor(CLIENTS) as threads:

        def look(job_id: str) -> Any:
            return client.get(f"/jobs/{job_id}").json()

        def ask(n: int) -> tuple[str, str]:
            reply = client.post("/jobs", json={"question": f"Question {n}"})
            assert reply.status_code == 202, reply.text
            return reply.json()["job_id"], reply.headers["x-who"]

        def processes() -> int:
            replies = threads.map(lambda n: client.get(f"/jobs/nobody-{n}"), range(CLIENTS))
            return len({reply.headers["x-who"].split()[0] for reply in replies})

        assert until(lambda: processes() == 2)
        ids, answered = zip(*threads.map(ask, range(REQUESTS)), strict=True)
        assert len({who.split()[0] for who in answered}) == 2
        assert face == "asgi" or len(set(answered)) > 2

        sent = [json.loads(body) for body in server.client().lrange("queue:web", 0, -1)]  # type: ignore[union-attr]
        assert len(sent) == REQUESTS
        assert {job["job_id"]: job["question"] for job in sent} == {ids[n]: f"Question {n}" for n in range(REQUESTS)}
        assert look(ids[0]) == {"job_id": ids[0], "status": "pending"}
        assert look("nobody") == {"job_id": "nobody", "status": "pending"}
        assert client.get(f"/jobs/{'x' * 300}").status_code == 404

        server.client().lpush("queue:web", '{"job_id": "wrong", "qestion": "?"}')
        with working(server, f"{module}:jobs", tmp_path / "worker.err"):
            assert until(lambda: look("wrong")["status"] == "failed", 20)
            assert 'did you mean "question"?' in look("wrong")["error"]
            assert until(lambda: all(each["status"] == "completed" for each in threads.map(look, ids)), 20)
            for n, seen in enumerate(threads.map(look, ids)):
                assert seen == {"job_id": ids[n], "status": "completed", "result": {"answer": f"You asked: Question {n}"}}


def test_no_server_is_a_503(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTE_URL", "unix:///nowhere/at/all")
    client = load("flask_app").app.test_client()
    replies = [client.post("/jobs", json={"question": "?"}), client.get("/jobs/x")]
    assert [(reply.status_code, "cannot reach" in reply.json["detail"]) for reply in replies] == [(503, True)] * 2

    async def ask() -> None:
        app = load("fastapi_app").app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http, app.router.lifespan_context(app):
            for reply in (await http.post("/jobs", json={"question": "?"}), await http.get("/jobs/x")):
                assert reply.status_code == 503
                assert "cannot reach" in reply.json()["detail"]

    asyncio.run(ask())


def test_a_worker_in_the_loop_of_a_web_app(server: Server, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHUTE_URL", server.url)
    app = load("embedded_worker").app
    client = server.client()
    before = client.info("clients")["connected_clients"]  # type: ignore[index]

    async def ask() -> list[httpx.Response]:
        async with app.router.lifespan_context(app), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as http:
            return await asyncio.gather(*[http.get("/answer", params={"question": f"Question {n}"}) for n in range(REQUESTS)])

    for _ in range(2):  # the second time in a new event loop
        replies = asyncio.run(ask())
        assert [reply.json() for reply in replies] == [{"answer": f"You asked: Question {n}"} for n in range(REQUESTS)]
    assert client.llen("queue:embedded") == 0
    assert until(lambda: client.info("clients")["connected_clients"] <= before), "connections were left open"  # type: ignore[index]


def test_a_worker_in_a_web_server_that_is_ended(server: Server, tmp_path: Path) -> None:
    with gunicorn(server, tmp_path, *ASGI, "embedded_worker:app") as client:
        assert client.get("/answer", params={"question": "What is RAG?"}).json() == {"answer": "You asked: What is RAG?"}
        assert server.client().hlen("workers:{queue:embedded}") == 1
    assert "Traceback" not in (tmp_path / "gunicorn.err").read_text()


def run(server: Server, *words: str, said: str = "") -> list[str]:
    """What a Python program prints; it must have gone well, without a complaint."""
    done = subprocess.run(
        [sys.executable, *words],
        input=said,
        cwd=EXAMPLES,
        env=os.environ | {"CHUTE_URL": server.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search("Traceback|Error|Task was destroyed", done.stderr), done.stderr
    return done.stdout.splitlines()


LOOPS = """
import asyncio, gc, weakref
import chute

jobs, loops = chute.Queue("jobs"), []


@jobs.task
async def twice(n: int) -> int:
    return 2 * n


async def main(n: int) -> int:
    loops.append(weakref.ref(asyncio.get_running_loop()))
    async with chute.Worker(jobs):
        return await (await twice.aenqueue(n)).aresult(10)


print([asyncio.run(main(n)) for n in range(20)])  # nobody closes anything
gc.collect()
print([n for n, loop in enumerate(loops) if loop()])
"""


def test_an_event_loop_after_another_that_closed_nothing(server: Server) -> None:
    results, alive = map(json.loads, run(server, "-c", LOOPS))
    assert results == [2 * n for n in range(20)]
    assert alive in ([], [19]), "ended loops are kept, and their sockets with them"


FORKS = """
import os, signal, sys, threading
import chute

sys.setswitchinterval(1e-6)  # a fork may find any thread anywhere
jobs, children, ended = chute.Queue("jobs"), 0, threading.Event()


def master() -> None:
    while not ended.is_set():
        jobs.push({"from": "master"})


threads = [threading.Thread(target=master) for _ in range(4)]
for each in threads:
    each.start()
for n in range(150):
    if not (child := os.fork()):
        signal.alarm(5)  # the end of one that hangs
        jobs.push({"from": "child", "n": n})
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        break
    children += 1
ended.set()
for each in threads:
    each.join()
print(children)
"""


def test_a_master_forks_while_its_threads_enqueue(server: Server) -> None:
    assert run(server, "-c", FORKS) == ["150"]
    jobs = [json.loads(body) for body in server.client().lrange("queue:jobs", 0, -1)]  # type: ignore[union-attr]
    assert sorted(job["n"] for job in jobs if job["from"] == "child") == list(range(150))


def test_await_at_the_top_of_a_notebook(server: Server, tmp_path: Path) -> None:
    cells = [
        "from quickstart_async import fetch",
        "job = await fetch.aenqueue('https://example.org/')",
        "print(await job.aresult(10))",
        "print(job._repr_html_())",
        "print(await fetch.job(job.id).aresult(10))",
    ]
    with working(server, "quickstart_async", tmp_path / "worker.err", EXAMPLES):
        result, shown, again = [line.replace(">>> ", "") for line in run(server, "-m", "asyncio", said="\n".join(cells) + "\n")[:3]]
    assert (result, again) == ("20", "20")
    assert shown.endswith("in queue <code>pages</code>: <b>completed</b></div>")
