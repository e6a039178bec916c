"""No password is shown: not by a command, a worker, an error, a `repr`, a figure, a span, a process or a file, however the URL was given and
whatever is wrong with it. One password that needs escaping is looked for in all of it, whole and in part (`canary`)."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis

from canary import ESCAPED, NEEDLE, PASSWORD, found, found_below, found_in_processes, given
from chaos.fleet import Skipped
from chaos.road import Road
from chaos.rows.tls import Papers
from chute import server as embedded
from cli.test_top import Top
from contract.helpers import COMMAND, Work, chute, environment, push, result
from embedded import keeper_pid, server_pid
from listener import Listener
from scraping import base, get
from sentinel import OneSentinel
from servers import AS_CLIENTS, Server, children, free_port, send, short_directory, until
from topologies import Cluster

HERE = Path(__file__).parent
OTHER = f"{ESCAPED}{NEEDLE}"
"""A password that is wrong."""
COMMANDS = (
    ("push", "jobs", '{"job_id": "a"}'), ("result", "a"), ("explain", "a"), ("stats",), ("stats", "--json"), ("ps",), ("ps", "--json"),
    ("dead", "list", "jobs"), ("dead", "purge", "jobs", "--all", "--yes"), ("pause", "jobs"), ("resume", "jobs"), ("clear", "jobs", "--yes"),
    ("push", "no name", "{}"), ("bench", "--jobs", "0"),
)  # fmt: skip
SAYS = {
    "wrong": "does not let in this password", "wrong user": "does not let in user alice with this password", "no such host": "cannot reach",
    "no host": "no host can have that name", "option that is none": "there is no option foo", "refusals": "unknown command `HELLO`",
    "TLS, not trusted": "signed by an authority that is not known", "TLS, of another name": "is not valid for", "no port": "a port is a number",
}  # fmt: skip
"""What is told in place of the password."""
Urls = dict[str, str]


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says whatever it is told, the password too."""
    await _answer(reader, writer, lambda said: said)


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Refuses everything and quotes it, as a Redis before 6 does with the command that logs in."""
    await _answer(
        reader, writer, lambda said: b"-ERR unknown command `HELLO`, with args beginning with: " + said.replace(b"\r\n", b" ") + b"\r\n"
    )


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[bytes], bytes]) -> None:
    try:
        with contextlib.suppress(ConnectionError):
            while said := await reader.read(4096):
                writer.write(answer(said))
    finally:
        writer.close()


def _server(stack: ExitStack) -> Server:
    """One whose users have the password."""
    server = stack.enter_context(Server("valkey", tcp=True))
    with server.new_client() as client:
        send(client, "ACL", "SETUSER", "bob", "on", f">{PASSWORD}", "~*", "&*", "+@all")
        send(client, "ACL", "SETUSER", "nobody", "on", f">{PASSWORD}")
        send(client, "CONFIG", "SET", "requirepass", PASSWORD)
    return server


def _several(stack: ExitStack, server: Server) -> Urls:
    """A Sentinel that has the password and watches that server, and a Cluster of one."""
    sentinel = OneSentinel("valkey", server.port)
    stack.callback(sentinel.stop)
    assert until(lambda: sentinel.ask("PING"))
    sentinel.ask("SENTINEL", "SET", "main", "auth-pass", PASSWORD)
    sentinel.ask("ACL", "SETUSER", "default", "resetpass", f">{PASSWORD}")
    cluster = stack.enter_context(Cluster("valkey", primaries=1, replicas=False))
    with cluster.servers[0].new_client() as client:
        send(client, "CONFIG", "SET", "requirepass", PASSWORD)
    those = f"127.0.0.1:{sentinel.port}/main"
    return {
        "sentinel": f"redis+sentinel://:{ESCAPED}@{those}?sentinel_password={ESCAPED}",
        "sentinel, wrong password": f"redis+sentinel://:{OTHER}@{those}?sentinel_password={ESCAPED}",
        "sentinel, wrong password of its own": f"redis+sentinel://:{ESCAPED}@{those}?sentinel_password={OTHER}",
        "cluster": f"redis+cluster://:{ESCAPED}@127.0.0.1:{cluster.servers[0].port}",
        "cluster, wrong password": f"redis+cluster://:{OTHER}@127.0.0.1:{cluster.servers[0].port}",
    }


def _tls(stack: ExitStack, server: Server) -> Urls:
    """The server behind TLS; nothing where no certificates can be made."""
    folder = short_directory()
    stack.callback(lambda: subprocess.run(["rm", "-r", folder], check=True))
    try:
        papers = Papers(folder)
        port, misnamed = free_port(), free_port()
        stack.enter_context(Road(server.socket, ("127.0.0.1", port), papers.server("good")))
        stack.enter_context(Road(server.socket, ("127.0.0.1", misnamed), papers.server("misnamed", host="IP:127.0.0.9")))
    except Skipped:
        return {}
    return {
        "TLS": f"rediss://bob:{ESCAPED}@127.0.0.1:{port}?ssl_ca_certs={folder}/ca.crt",
        "TLS, wrong password": f"rediss://bob:{OTHER}@127.0.0.1:{port}?ssl_ca_certs={folder}/ca.crt",
        "TLS, not trusted": f"rediss://bob:{ESCAPED}@127.0.0.1:{port}",
        "TLS, of another name": f"rediss://bob:{ESCAPED}@127.0.0.1:{misnamed}?ssl_ca_certs={folder}/ca.crt",
        "TLS, no such file": f"rediss://bob:{ESCAPED}@127.0.0.1:{port}?ssl_ca_certs={folder}/none",
        "TLS, a key that cannot be": f"rediss://127.0.0.1:{port}?ssl_keyfile={folder}/ca.crt&ssl_certfile={folder}/ca.crt&ssl_password={ESCAPED}",
        "no TLS": f"redis://bob:{ESCAPED}@127.0.0.1:{port}?socket_timeout=0.5",
        "TLS, where there is none": f"rediss://bob:{ESCAPED}@127.0.0.1:{server.port}?socket_timeout=0.5&socket_connect_timeout=0.5",
    }


def _talkers(stack: ExitStack) -> Urls:
    """Who answers, and is no server."""
    urls = {}
    for what, serve in (("echo", _echo), ("refusals", _refuse)):
        listener = Listener(("127.0.0.1", port := free_port()), serve)
        listener.start()
        stack.callback(listener.stop)
        urls[what] = f"redis://:{ESCAPED}@127.0.0.1:{port}?socket_timeout=0.5"
    return urls


@pytest.fixture(scope="module")
def urls() -> Iterator[Urls]:
    """Every kind of URL with the password in it, by what is right or wrong with it; "open" is a server that wants none."""
    with ExitStack() as stack:
        server = _server(stack)
        at, socket = f"127.0.0.1:{server.port}", server.socket
        yield {
            "right": f"redis://:{ESCAPED}@{at}",
            "user": f"valkey://bob:{ESCAPED}@{at}/0",
            "socket": f"unix://{socket}?password={ESCAPED}",
            "socket of a user": f"unix://{socket}?username=bob&password={ESCAPED}&db=0",
            "query": f"redis://{at}?password={ESCAPED}",
            "open": given(stack.enter_context(Server("valkey")).url),
            "wrong": f"redis://:{OTHER}@{at}",
            "wrong user": f"redis://alice:{ESCAPED}@{at}",
            "wrong, socket": f"unix://{socket}?password={OTHER}",
            "user who may nothing": f"redis://nobody:{ESCAPED}@{at}",
            "down": f"redis://:{ESCAPED}@127.0.0.1:{free_port()}",
            "down, socket": f"unix://{socket}x?password={ESCAPED}",
            "no such host": f"redis://:{ESCAPED}@no-host.invalid",
            "no host": f"redis://:{ESCAPED}@..",
            "option that is none": f"redis://:{ESCAPED}@{at}?foo=1",
            "option of another kind": f"redis://:{ESCAPED}@{at}?socket_timeout=soon",
            "not escaped": f"redis://:{PASSWORD}@{at}",
            "not escaped, user": f"redis://bob:{PASSWORD}@{at}/0",
            "not escaped, socket": f"unix://{socket}?password={PASSWORD}",
            "not escaped, cluster": f"redis+cluster://:{PASSWORD}@{at}",
            "not escaped, sentinel": f"redis+sentinel://{at}/main?sentinel_password={PASSWORD}",
            "user not escaped": f"redis://me@example.com:{PASSWORD}@{at}",
            "no port": f"redis://:{ESCAPED}",
            "no scheme": f"bob:{PASSWORD}@{at}",
            "another scheme": f"amqp://bob:{ESCAPED}@{at}",
            **_talkers(stack), **_several(stack, server), **_tls(stack, server),
        }  # fmt: skip


CASES = (
    "right", "user", "socket", "socket of a user", "query", "open", "wrong", "wrong user", "wrong, socket", "user who may nothing",
    "down", "down, socket", "no such host", "no host", "option that is none", "option of another kind", "not escaped",
    "not escaped, user", "not escaped, socket", "not escaped, cluster", "not escaped, sentinel", "user not escaped", "no port",
    "no scheme", "another scheme", "echo", "refusals", "sentinel", "sentinel, wrong password", "sentinel, wrong password of its own",
    "cluster", "cluster, wrong password", "TLS", "TLS, wrong password", "TLS, not trusted", "TLS, of another name", "TLS, no such file",
    "TLS, a key that cannot be", "no TLS", "TLS, where there is none",
)  # fmt: skip
WORK = ("right", "user", "socket", "socket of a user", "query", "open", "sentinel", "cluster", "TLS")
"""Those with which commands do what they are to do."""
TAKEN = (*WORK, "echo")
"""What is said back looks like an answer to a push."""


def of(urls: Urls, case: str) -> str:
    """The URL; skips the test where no certificates can be made."""
    if case not in urls:
        pytest.skip("openssl makes no certificates here")
    return urls[case]


def descendants(pid: int) -> list[int]:
    """Every process below one."""
    return [each for child in children(pid) for each in (child, *descendants(child))]


def words(pid: int) -> str:
    """The command line of a process."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    return ""


def clean(*texts: str | bytes) -> None:
    """Fails where the password is shown; what it shows must not be hidden by pytest's own shortening."""
    assert not (lines := found(*texts)), "\n".join(lines[:10])


def test_it_is_found_however_it_is_shown() -> None:
    for shown in (PASSWORD, ESCAPED, repr(PASSWORD), ascii(PASSWORD), PASSWORD.encode(), PASSWORD[8:20], f"user:{PASSWORD}".split("@")[1]):
        assert found("nothing here", shown)
    assert found_in_processes([os.getpid()]) == []
    for url in ("redis://h:1/0", "unix:///s", "unix:///s?db=1", "redis+sentinel://a:1,b:2/main", "rediss://h?ssl_ca_certs=x"):
        assert NEEDLE in given(url)
    for url in ("redis://u:x@h", "unix:///s?password=x", "rediss://tls:x@h"):
        assert given(url) == url


@pytest.mark.parametrize("case", CASES)
def test_no_command_shows_it(urls: Urls, case: str) -> None:
    url = of(urls, case)
    codes = []
    for words in COMMANDS if case == "right" else COMMANDS[: 3 if case == "wrong" else 1]:
        done = chute(*words, url=url)
        codes.append(done.returncode)
        clean(done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        assert SAYS.get(case, "") in done.stderr or words != COMMANDS[0], done.stderr
    assert (0 in codes) == (case in TAKEN), codes


@pytest.mark.parametrize("case", ["right", "wrong", "down", "not escaped", "no port", "option that is none"])
@pytest.mark.parametrize("name", ["CHUTE_URL", "REDIS_URL"])
def test_no_command_shows_what_the_environment_names(urls: Urls, case: str, name: str) -> None:
    done = chute("push", "jobs", "{}", **{name: urls[case]})
    assert (done.returncode == 0) == (case == "right")
    clean(done.stdout, done.stderr)
    assert name in done.stderr or case == "right"


@pytest.mark.parametrize("case", ["wrong", "wrong user", "no port", "option that is none", "refusals"])
def test_no_worker_shows_that_it_cannot_begin(urls: Urls, case: str) -> None:
    with Work("tasks:jobs", of(urls, case), "--log-level", "debug") as work:
        assert work.wait(30) != 0
        clean(work.stdout, work.stderr)


@pytest.mark.parametrize("cases", [CASES[n::4] for n in range(4)], ids="abcd")
def test_no_program_shows_it(urls: Urls, cases: tuple[str, ...], tmp_path: Path) -> None:
    known = [case for case in cases if case in urls]
    files = [tmp_path / case.replace(" ", "-") for case in known]
    for case, file in zip(known, files, strict=True):
        file.write_text(urls[case])
    done = program(tmp_path, *map(str, files))
    clean(done.stdout, done.stderr)
    assert "at its end" in done.stderr, done.stderr[-2000:]
    assert done.stderr.count("\n<chute.Job") == sum(case in TAKEN for case in known)


@pytest.mark.parametrize("case", ["right", "socket of a user", "sentinel"])
def test_no_program_that_works_shows_it(urls: Urls, case: str, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(urls[case])
    done = program(tmp_path, "--work", str(tmp_path / "url"))
    clean(done.stdout, done.stderr)
    assert "1 children" in done.stderr, done.stderr[-2000:]


@pytest.mark.parametrize("case", ["right", "wrong", "no port"])
def test_no_program_shows_what_the_environment_names(urls: Urls, case: str, tmp_path: Path) -> None:
    done = program(tmp_path, CHUTE_URL=urls[case])
    clean(done.stdout, done.stderr)
    assert "at its end" in done.stderr, done.stderr[-2000:]


def program(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The program that shows everything, to its end."""
    command = [sys.executable, str(HERE / "secret_program.py"), *words]
    return subprocess.run(command, cwd=folder, env=environment(SHOWN_TO=str(folder), **env), capture_output=True, text=True, check=False)


def client_of(urls: Urls, case: str) -> redis.Redis:
    """A client of the server that has the keys; closed by the caller."""
    url = {"open": urls["open"], "cluster": urls["cluster"].replace("redis+cluster", "redis")}.get(case, urls["right"])
    return redis.Redis.from_url(url, **AS_CLIENTS)


def everything_on(client: redis.Redis) -> Iterator[str]:
    """All keys and values, and what the server notes of its clients."""
    reads: dict[bytes, Callable[[Any], Any]] = {
        b"string": client.get, b"hash": client.hgetall, b"list": lambda key: client.lrange(key, 0, -1), b"set": client.smembers,
        b"zset": lambda key: client.zrange(key, 0, -1), b"stream": client.xrange,
    }  # fmt: skip
    for key in client.scan_iter():
        yield f"{key!r} {reads[send(client, 'TYPE', key)](key)!r}"
    yield repr((send(client, "CLIENT", "LIST"), send(client, "SLOWLOG", "GET", 128)))


def stopped(work: Work) -> None:
    """Stops a worker; nothing that it said shows the password."""
    work.signal(signal.SIGTERM)
    assert work.wait() == 0, work.stderr[-2000:]
    clean(work.stdout, work.stderr)


@pytest.mark.parametrize(
    ("case", "form"), [("right", "text"), ("socket of a user", "json"), ("sentinel", "json"), ("cluster", "text"), ("TLS", "json")]
)
def test_no_worker_shows_it(urls: Urls, case: str, form: str, tmp_path: Path) -> None:
    options = ("--log-level", "debug", "--log-format", form, "--metrics-port", "0", "--processes", "2", "--grace", "5")
    with Work("secret_tasks:jobs", of(urls, case), *options, cwd=HERE, SHOWN_TO=str(tmp_path)) as work, client_of(urls, case) as client:
        where = base(work)
        for n, task in enumerate(("everything", "threaded", "fails", "fails")):
            push(client, "jobs", {"job_id": f"{form}{n}", "@task": task}, {"job_id": f"{form}s{n}", "question": "no task"})
            assert result(client, f"{form}{n}")["status"] == ("failed" if task == "fails" else "completed")
        below = descendants(work.process.pid)
        assert len(below) == 2
        assert not found_in_processes(below)
        for page in ("metrics", "livez", "readyz", "else"):
            clean(get(f"{where.removesuffix('/metrics')}/{page}")[1])
        for words in (("ps",), ("explain", f"{form}2"), ("dead", "list", "jobs")) if case == "right" else ():
            done = chute(*words, url=urls[case])
            clean(done.stdout, done.stderr)
        with Top(urls[case]) as top:
            assert top.shows("q quit")
            clean(top.seen)
        clean(*everything_on(client))
        stopped(work)
        client.flushall()
    said = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "as meant" in said, "Sentry was told"
    assert "process jobs" in said, "there are spans"
    clean(said)


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_worker_shows_it_when_it_is_not_let_in_any_more(urls: Urls, form: str, tmp_path: Path) -> None:
    options = ("--log-level", "debug", "--log-format", form, "--processes", "2")
    with Work("secret_tasks:jobs", urls["right"], *options, cwd=HERE, SHOWN_TO=str(tmp_path)) as work, client_of(urls, "right") as client:
        work.ready(client, "jobs")
        send(client, "CONFIG", "SET", "requirepass", f"{PASSWORD}{NEEDLE}")
        send(client, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        push(client, "jobs", {"job_id": f"out{form}", "@task": "unreachable"})
        assert until(lambda: "connection" in work.stderr), work.stderr
        send(client, "CONFIG", "SET", "requirepass", PASSWORD)
        assert result(client, f"out{form}")["status"] == "completed"
        stopped(work)
        client.flushall()


@pytest.mark.parametrize("case", ["down", "no such host", "echo", "TLS, not trusted"])
def test_no_worker_shows_it_whose_server_is_not_there(urls: Urls, case: str) -> None:
    with Work("tasks:jobs", of(urls, case), "--log-level", "debug") as work:
        assert until(lambda: "trying" in work.stderr or work.process.poll() is not None, 30), work.stderr
        work.signal(signal.SIGTERM)
        work.wait()
        clean(work.stdout, work.stderr)


@pytest.mark.parametrize("how", ["--url", "CHUTE_URL"])
def test_no_bench_shows_it(urls: Urls, how: str, tmp_path: Path) -> None:
    where = {"url": urls["right"]} if how == "--url" else {"CHUTE_URL": urls["right"]}
    seen: list[str] = []
    ended = threading.Event()

    def look() -> None:
        """At the processes of the bench and its files, while it runs."""
        while not ended.wait(0.02):
            below = descendants(os.getpid())  # servers are among them, and have nothing of it either
            works = any("chute.cli.child" in words(pid) for pid in below)
            seen.extend(["a worker"] * works + found_in_processes(below, environment=how == "--url") + found_below(tmp_path))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        done = chute("bench", "--jobs", "200", "--seconds", "5", TMPDIR=str(tmp_path), timeout=60, **where)
    finally:
        ended.set()
        looking.join()
    assert done.returncode == 0, done.stderr
    clean(done.stdout, done.stderr)
    assert set(seen) == {"a worker"}
    assert list(tmp_path.iterdir()) == []


def test_the_keeper_gets_none_that_the_first_user_has(urls: Urls) -> None:
    words = [*COMMAND, "server"]
    with subprocess.Popen(
        words, env=environment(CHUTE_URL=urls["right"]), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as held:
        try:
            assert held.stdout is not None
            assert held.stdout.readline().startswith("unix://")
            assert not found_in_processes([server_pid(), keeper_pid()])
            assert found_in_processes([held.pid])
        finally:
            held.terminate()
            clean(held.communicate()[0])
            embedded.stop()


def test_no_test_shows_it(urls: Urls, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(urls["wrong"])
    (tmp_path / "test_it.py").write_text(
        "import chute, pathlib\n"
        "def test_it(chute_drain):\n"
        "    jobs = chute.Queue('jobs', url=pathlib.Path('url').read_text())\n"
        "    assert jobs is None\n"
        "def test_that():\n"
        "    chute.Queue('jobs', url=pathlib.Path('url').read_text()).depth()\n"
        "def test_another():\n"
        "    chute.Queue('no name', url=pathlib.Path('url').read_text()).depth()\n"
    )
    command = [sys.executable, "-m", "pytest", "--showlocals", "--full-trace", "-vv", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert "3 failed" in done.stdout, done.stdout
    clean(done.stdout, done.stderr)
