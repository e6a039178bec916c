"""Which server, and one client for each loop and process; what is lost is sent again only where that is harmless."""

import asyncio
import multiprocessing
import os
import signal
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

import chute
from chute import connection
from chute.errors import Rejected, ServerUnavailable, Unconfirmed
from chute.operation import refused
from contract.proxy import Proxy
from servers import Server, StartServer, until


def test_a_queue_says_its_server_before_the_environment_does(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"{server.url}?db=2")
    chute.Queue("theirs").push({})
    monkeypatch.setenv("CHUTE_URL", f"{server.url}?db=1")
    chute.Queue("ours").push({})
    chute.Queue("named", url=server.url).push({})
    for number, name in enumerate((b"queue:named", b"queue:ours", b"queue:theirs")):
        assert server.client(db=number).keys() == [name]


def test_a_queue_made_before_the_environment_is_set_follows_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = chute.Queue("jobs")
    monkeypatch.setenv("CHUTE_URL", server.url)
    jobs.push({})
    assert jobs.depth() == server.client().llen("queue:jobs") == 1


@pytest.mark.parametrize("scheme", ["redis", "valkey"])
def test_schemes(start_server: StartServer, scheme: str) -> None:
    tcp = start_server("valkey", tcp=True)
    jobs = chute.Queue("jobs", url=tcp.tcp_url.replace("redis", scheme, 1))
    jobs.push({})
    assert jobs.depth() == 1


@pytest.mark.parametrize("url", ["http://host", "host:6379", "redis", "redis://host:port"])
def test_what_is_no_url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="URL"):
        chute.Queue("jobs", url=url).push({})
    monkeypatch.setenv("CHUTE_URL", url)
    with pytest.raises(ValueError, match="CHUTE_URL"):
        chute.Queue("jobs").push({})


def test_a_wrong_password_is_told_without_it(start_server: StartServer) -> None:
    locked = start_server("valkey", tcp=True)
    locked.client().config_set("requirepass", "right")
    for login in (":canary-1@", "user:canary-1@", ":canary%2D1@"):
        jobs = chute.Queue("jobs", url=locked.tcp_url.replace("//", f"//{login}"))
        for call in (lambda jobs=jobs: jobs.push({}), jobs.depth, lambda jobs=jobs: jobs.job("x").result(5)):
            with pytest.raises((ServerUnavailable, Rejected)) as caught:
                call()
            assert "canary" not in str(caught.value)
            assert "does not let in " in str(caught.value)
            assert "canary" not in repr(jobs)


REFUSED = "cannot reach the server at redis://127.0.0.1:1 (Queue(url=…)): Connection refused"


def test_no_server_is_told_in_one_sentence_for_what_reads_and_in_two_for_what_sends() -> None:
    jobs = chute.Queue("jobs", url="redis://127.0.0.1:1")

    async def run() -> list[str]:
        raised = await asyncio.gather(jobs.adepth(), jobs.job("x").aresult(1), jobs.apush({}), return_exceptions=True)
        await chute.aclose()
        return [str(each) for each in raised]

    assert asyncio.run(run()) == [REFUSED, REFUSED, f"{REFUSED}. Nothing was sent"]
    for call, says in (
        (jobs.depth, REFUSED),
        (lambda: jobs.job("x").result(1), REFUSED),
        (lambda: jobs.push({}), f"{REFUSED}. Nothing was sent"),
    ):
        with pytest.raises(ServerUnavailable) as caught:
            call()
        assert str(caught.value) == says


def _speak_http(listening: socket.socket) -> None:
    with listening.accept()[0] as asked:
        asked.recv(1000)
        asked.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_why_a_dial_failed_is_said_in_the_systems_words(tmp_path: Path, start_server: StartServer) -> None:
    server = start_server("valkey", tcp=True)
    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=_speak_http, args=(other,))
        thread.start()
        for url, why in (
            (f"unix://{tmp_path}/nothing", "No such file or directory"),
            (f"{server.tcp_url}/99", "DB index is out of range"),
            (f"redis://127.0.0.1:{other.getsockname()[1]}", "what answers there is no Redis and no Valkey"),
        ):
            with pytest.raises(ServerUnavailable) as caught:
                chute.Queue("jobs", url=url).depth()
            assert str(caught.value) == f"cannot reach the server at {url} (Queue(url=…)): {why}"
        thread.join()
    several = OSError(
        "Multiple exceptions: [Errno 111] Connect call failed ('::1', 1, 0, 0), [Errno 111] Connect call failed ('127.0.0.1', 1)"
    )
    told = connection.endpoint("redis://localhost:1").unreachable(several)
    assert str(told) == "cannot reach the server at redis://localhost:1 (Queue(url=…)): Connection refused"


def test_what_only_reads_is_sent_again(server: Server) -> None:
    with Proxy(server, lose=b"LLEN") as proxy:
        jobs = chute.Queue("jobs", url=proxy.url)
        assert jobs.depth() == 0
        assert proxy.lost == 1
    with Proxy(server, lose=b"HGETALL") as proxy:
        assert chute.Queue("jobs", url=proxy.url).job("x").status() == "pending"
        assert proxy.lost == 1


def test_a_reply_that_cannot_be_read_is_a_lost_one(server: Server) -> None:
    with Proxy(server, lose=b"LPUSH", instead=b"?what\r\n") as proxy, pytest.raises(Unconfirmed):
        chute.Queue("jobs", url=proxy.url).push({"question": "?"})
    with Proxy(server, lose=b"LLEN", instead=b"?what\r\n") as proxy:
        assert chute.Queue("jobs", url=proxy.url).depth() == 1
        assert proxy.lost == 1


def test_what_only_reads_is_not_sent_for_ever(server: Server) -> None:
    with Proxy(server, lose=b"LLEN", times=10) as proxy:
        with pytest.raises(ServerUnavailable):
            chute.Queue("jobs", url=proxy.url).depth()
        assert proxy.lost < 10


def test_a_server_that_does_not_answer_does_not_hold_a_caller_for_ever(start_server: StartServer) -> None:
    frozen = start_server("valkey")
    jobs = chute.Queue("jobs", url=frozen.url)
    jobs.push({})
    assert frozen.process is not None
    frozen.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(Unconfirmed):
            jobs.push({})
        assert time.monotonic() - began < 15
    finally:
        frozen.process.send_signal(signal.SIGCONT)
    assert jobs.depth() in (1, 2)


def test_a_restarted_server_is_found_again(start_server: StartServer) -> None:
    server = start_server("valkey")
    jobs = chute.Queue("jobs", url=server.url)
    jobs.push({})
    server.kill()
    with pytest.raises((ServerUnavailable, Unconfirmed)):
        jobs.push({})
    server.start()
    assert until(lambda: pushed(jobs), 5)


def pushed(jobs: chute.Queue) -> bool:
    try:
        jobs.push({})
    except (ServerUnavailable, Unconfirmed):
        return False
    return True


def _in_child(url: str, count: int) -> None:
    jobs = chute.Queue("jobs", url=url)
    for _ in range(count):
        jobs.push({"from": os.getpid()})


def test_forked_workers_of_a_web_server(server: Server) -> None:
    """The parent has connected before it forks, and goes on beside its children."""
    jobs = chute.Queue("jobs", url=server.url)
    jobs.push({})
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_in_child, args=(server.url, 100)) for _ in range(4)]
    for each in children:
        each.start()
    for _ in range(100):
        jobs.push({})
        assert isinstance(jobs.depth(), int)
    for each in children:
        each.join()
        assert each.exitcode == 0
        each.close()
    assert jobs.depth() == 501


def test_more_threads_than_connections(server: Server) -> None:
    jobs = chute.Queue("jobs", url=server.url)
    threads = [threading.Thread(target=jobs.push, args=({},)) for _ in range(200)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert jobs.depth() == 200


def test_more_tasks_than_connections(server: Server) -> None:
    jobs = chute.Queue("jobs", url=server.url)

    async def run() -> None:
        await asyncio.gather(*[jobs.apush({}) for _ in range(500)])
        await chute.aclose()

    asyncio.run(run())
    assert jobs.depth() == 500


def test_cancelled_calls_mix_up_no_replies(server: Server) -> None:
    jobs = chute.Queue("jobs", url=server.url)
    for n in range(20):
        server.client().hset(f"result:r{n}", mapping={"status": "completed", "@value": str(n)})

    async def run() -> None:
        for turn in range(300):
            cancelled = asyncio.ensure_future(jobs.job(f"r{turn % 20}").astatus())
            await asyncio.sleep(0 if turn % 3 else 0.0005)
            cancelled.cancel()
            await asyncio.gather(cancelled, return_exceptions=True)
            assert await jobs.adepth() == 0
        assert await chute.gather(*[jobs.job(f"r{n}") for n in range(20)], timeout=5) == list(range(20))
        await chute.aclose()

    asyncio.run(run())
    server.client().flushall()


def test_two_loops_in_two_threads(server: Server) -> None:
    jobs = chute.Queue("jobs", url=server.url)

    async def run() -> None:
        await asyncio.gather(*[jobs.apush({}) for _ in range(50)])
        await chute.aclose()

    threads = [threading.Thread(target=lambda: asyncio.run(run())) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert jobs.depth() == 200


def test_closing_twice_and_going_on(server: Server) -> None:
    jobs = chute.Queue("jobs", url=server.url)

    async def run() -> None:
        await jobs.apush({})
        await chute.aclose()
        await chute.aclose()
        await jobs.apush({})
        await chute.aclose()

    asyncio.run(run())
    assert jobs.depth() == 2


def test_a_server_that_speaks_no_tls_is_asked_whether_it_does(start_server: StartServer) -> None:
    """It waits for the rest of what it takes for a command."""
    plain = start_server("valkey", tcp=True).tcp_url
    timeouts = "socket_timeout=0.2&socket_connect_timeout=0.2"
    with pytest.raises(ServerUnavailable, match=r"\(is TLS spoken there\? .*\)\. Nothing was sent"):
        chute.Queue("jobs", url=f"{plain.replace('redis', 'rediss', 1)}?{timeouts}").push({})


def test_a_certificate_that_is_not_right_is_not_tried_again() -> None:
    wrong = ServerUnavailable("no")
    wrong.__cause__ = ssl.SSLCertVerificationError("certificate has expired")
    assert refused(wrong)
    wrong.__cause__ = ssl.SSLEOFError("cut in the handshake")
    assert not refused(wrong)
