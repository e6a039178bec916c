"""All that `chute top` shows, at one moment."""

import pytest

from chute import connection, snapshot
from servers import Server

pytestmark = pytest.mark.leaves("workers", "leases")


def test_a_queue_with_its_minutes_workers_and_failures(server: Server) -> None:
    client = server.client()
    seconds = int(client.time()[0])
    for ago, count in ((0, 3), (1, 5), (19, 7), (20, 9)):
        client.hset(f"counts:{{queue:jobs}}:{seconds // 60 - ago}", "completed", count)
        client.expire(f"counts:{{queue:jobs}}:{seconds // 60 - ago}", 600)
    client.hset("workers:{queue:jobs}", "w", "7")
    client.lpush("queue:jobs", "{}", "{}")
    for n in range(10):
        client.xadd("dead:{queue:jobs}", {"body": "{}", "reason": "failed", "job_id": str(n)}, id=f"{2 * n + 1}000-0")
        client.xadd("refused:{queue:jobs}", {"body": "x", "reason": "bad_json"}, id=f"{2 * n + 2}000-0")
    found = snapshot.take(connection.endpoint(server.url), ["jobs", "other"])
    assert found.at == pytest.approx(seconds, abs=5)
    jobs, other = found.queues
    assert len(jobs.minutes) == snapshot.MINUTES
    assert sorted(jobs.minutes)[-3:] == [3, 5, 7] or int(found.at // 60) != seconds // 60
    assert (jobs.stats.queue, jobs.stats.depth, jobs.stats.dead) == ("jobs", 2, 20)
    assert [member.worker for member in jobs.members] == ["w"]
    assert [letter.entry for letter in jobs.failures[:3]] == ["refused/20000-0", "dead/19000-0", "refused/18000-0"]
    assert len(jobs.failures) == snapshot.FAILURES
    assert (other.stats.depth, other.members, other.failures) == (0, [], [])


def test_without_names_all_that_were_ever_worked(server: Server) -> None:
    server.client().sadd("queues", "b", "a")
    assert [each.stats.queue for each in snapshot.take(connection.endpoint(server.url), []).queues] == ["a", "b"]
