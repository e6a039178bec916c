"""`chute clear`: empties what is ready, and nothing else, and not by mistake."""

from contract.helpers import chute
from servers import Server


def test_it_needs_a_yes(server: Server) -> None:
    client = server.client()
    client.lpush("queue:jobs", "{}")
    done = chute("clear", "jobs", url=server.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert client.llen("queue:jobs") == 1


def test_it_empties_what_is_ready_and_leaves_the_rest(server: Server) -> None:
    client = server.client()
    client.lpush("queue:jobs", *["{}"] * 2_500)
    client.rpush("first:{queue:jobs}", "{}")
    client.zadd("scheduled:{queue:jobs}", {"0000000000000001{}": 9e12})
    client.xadd("dead:{queue:jobs}", {"body": "{}", "reason": "failed"})
    client.lpush("queue:other", "{}")
    done = chute("clear", "jobs", "--yes", url=server.url)
    assert done.returncode == 0
    assert not client.exists("queue:jobs", "first:{queue:jobs}")
    assert client.zcard("scheduled:{queue:jobs}") == client.xlen("dead:{queue:jobs}") == client.llen("queue:other") == 1


def test_what_is_empty_already_is_fine_and_no_server_is_not(server: Server) -> None:
    assert chute("clear", "jobs", "--yes", url=server.url).returncode == 0
    assert chute("clear", "jobs", "--yes", url="redis://127.0.0.1:1").returncode == 4
    assert chute("clear", "a:b", "--yes", url=server.url).returncode == 2
