"""The peers' side of the benchmarks: everything of each peer is there and pinned, and what is measured is what was done. Without any peer installed:
a queue of a few lines stands where they stand."""

import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from redis import Redis

from benchmarks import ROOT, stage
from benchmarks.peers import PEERS, Peer, PeerFailed
from benchmarks.peers.home import HERE, NodeHome, PythonHome
from benchmarks.peers.usage import expiring
from tests.servers import Server

BARE = """
import os
import socket
import sys

import mark

connection = socket.socket(socket.AF_UNIX)
connection.connect(mark.URL.removeprefix("unix://"))
wire = connection.makefile("rw", newline="")


def ask(*words):
    wire.write(f"*{len(words)}\\r\\n" + "".join(f"${len(word)}\\r\\n{word}\\r\\n" for word in words))
    wire.flush()
    first = wire.readline()
    return wire.readline()[:-2] if first[0] == "$" and first[1] != "-" else first[1:-2]


def enqueue():
    with mark.enqueuing():
        for batch in mark.batches(7):
            ask("RPUSH", "bare", *[mark.QUESTION for _ in batch])


def work():
    while True:
        if ask("LPOP", "bare") != mark.QUESTION:
            continue
        number = ask("INCR", "ran")
        if number == os.environ["BARE_ENDS_AT"]:
            sys.exit("ended early")
        mark.answer()
        kept = () if number == os.environ["BARE_KEEPS"] else ("EX", str(mark.KEPT_SECONDS))
        ask("SET", f"answer:{number}", "RAG is retrieval", *kept)
"""


@dataclass(frozen=True)
class Here:
    """The interpreter of the tests, in a folder with the app."""

    work: Path
    programs = Path(sys.executable).parent

    def prepare(self) -> str | None:
        return None

    def versions(self) -> str:
        return "none"


@pytest.fixture
def bare(tmp_path: Path) -> Peer:
    """A peer that is nothing but a list."""
    (tmp_path / "bare.py").write_text(BARE)
    words = ("python", "-c", "import bare; bare.{}()")
    work, filler = ((*words[:2], words[2].format(name)) for name in ("work", "enqueue"))
    settings = {"BARE_ENDS_AT": "none", "BARE_KEEPS": "none"}
    return Peer("bare", "", Here(tmp_path), "", work, expiring("answer:*"), 100, {**settings}, filler)


def test_a_drain_measures_what_was_done(bare: Peer, server: Server) -> None:
    assert bare.enqueue(server.url, 100, 20) > 0
    client: Redis = server.client()
    assert client.lrange("bare", 0, -1) == [b"What is RAG?        "] * 100
    drained = bare.drain(server.url, 100, 20)
    assert client.get("ran") == b"100"
    assert len(list(client.scan_iter("answer:*"))) == 100
    assert 100 < drained.rate < 1_000_000
    assert drained.server.commands >= 3  # and whatever it asks when the list is empty
    assert drained.server.us > 0 < drained.server.wire
    assert sys.platform != "linux" or 2 < drained.rss < 100
    client.flushall()


@pytest.mark.parametrize("settings", [{"BARE_ENDS_AT": "50"}, {"BARE_KEEPS": "10"}], ids=["ends early", "a result for ever"])
def test_a_drain_that_is_not_whole_is_no_figure(
    bare: Peer, server: Server, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.peers.peer.RESULT_SECONDS", 0.1)
    with pytest.raises(PeerFailed, match=r"ended early|1 of 50 results are missing") as failed:
        replace(bare, environment={**bare.environment, **settings}).drain(server.url, 50, 12)
    assert failed.value.name == "bare"
    server.client().flushall()


def test_a_peer_that_takes_too_long_fails(bare: Peer, server: Server) -> None:
    server.client().set("there is", "no job")
    with pytest.raises(PeerFailed):
        bare.drain(server.url, 50, 12, deadline=0.3)
    server.client().flushall()


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS)
def test_a_peer_is_pinned_and_has_its_app(peer: Peer) -> None:
    assert peer.choice
    assert peer.jobs >= 1000
    if isinstance(peer.home, PythonHome):
        pins = dict(line.split(" ;")[0].split("==") for line in peer.home.pins.read_text().splitlines())
        assert set(peer.home.libraries) <= pins.keys()
        app = (HERE / "apps" / f"{peer.app}.py").read_text()
        assert "mark.answer()" in app
        assert "mark.enqueuing()" in app
    else:
        assert isinstance(peer.home, NodeHome)
        asked = json.loads((HERE / "node" / "package.json").read_text())["dependencies"]
        assert set(peer.home.libraries) == asked.keys()
        assert all(re.fullmatch(r"[\d.]+", version) for version in asked.values())
        locked = json.loads((HERE / "node" / "package-lock.json").read_text())["packages"]
        assert {name: locked[f"node_modules/{name}"]["version"] for name in asked} == asked


def test_each_pinned_environment_and_each_app_is_used() -> None:
    homes = [peer.home for peer in PEERS.values()]
    pythons = {home.name for home in homes if isinstance(home, PythonHome)}
    assert {path.stem for path in (HERE / "requirements").iterdir()} == {*pythons, stage.HOME.name}
    assert {path.stem for path in (HERE / "apps").glob("*_app.py")} == {
        peer.app for peer in PEERS.values() if isinstance(peer.home, PythonHome)
    }


def test_chute_has_the_releases_that_it_is_tested_with() -> None:
    pinned = dict(line.split("==") for line in stage.HOME.pins.read_text().splitlines())
    released = (ROOT / "tools" / "requirements" / "runtime.txt").read_text()
    assert pinned.items() <= dict(re.findall(r"^([\w-]+)==([\w.]+)", released, re.MULTILINE)).items()
    assert pinned.keys() >= {"redis", "hiredis", "msgspec", "click", "rich", "uvloop"}
