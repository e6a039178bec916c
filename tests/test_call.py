"""A call on its way: the bytes of a job, and what a job cannot hold."""

import dataclasses
import json
import uuid
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pydantic
import pytest

import chute
from servers import Server, StartServer


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Model(pydantic.BaseModel):
    name: str
    when: datetime


def anything(value: Any = None) -> None: ...


def typed(point: Point, model: Model, when: datetime, key: uuid.UUID, price: Decimal) -> None: ...


def with_id(job_id: str, word: str = "") -> None: ...


def with_more(word: str, **more: int) -> None: ...


@pytest.fixture
def jobs(server: Server) -> chute.Queue:
    return chute.Queue("jobs", url=server.url)


def last(server: Server) -> dict[str, Any]:
    job: dict[str, Any] = json.loads(server.client().lindex("queue:jobs", 0))
    return job


def test_the_bytes_of_a_job(jobs: chute.Queue, server: Server) -> None:
    task = jobs.task(anything)
    before = server.client().time()[0] * 1000
    job = task.options(headers={"trace": "ä"}, result_ttl=1.5).enqueue({"größe": [1, None, 2.5, True]})
    sent = last(server)
    assert before - 2000 < sent.pop("@at") < before + 5000
    assert sent == {
        "job_id": job.id,
        "value": {"größe": [1, None, 2.5, True]},
        "@task": "anything",
        "@headers": {"trace": "ä"},
        "@result_ttl": 2,
    }


def test_ids_are_new_each_time_and_grow_with_time(jobs: chute.Queue) -> None:
    task = jobs.task(anything)
    first = task.enqueue().id
    ids = [job.id for job in jobs.enqueue_many([task.bind() for _ in range(2000)])]
    assert len({first, *ids}) == 2001
    assert all(uuid.UUID(each).version == 7 for each in ids)
    assert first[:8] <= ids[-1][:8]


def test_values_that_json_has_not_are_written_as_their_annotation_reads_them(jobs: chute.Queue, server: Server) -> None:
    when = datetime(2024, 1, 15, 10, 30, tzinfo=timezone.utc)  # noqa: UP017 - says the same
    jobs.task(typed).enqueue(Point(1, 2.5), Model(name="m", when=when), when, uuid.UUID(int=1), Decimal("1.10"))
    sent = last(server)
    assert sent["point"] == {"x": 1, "y": 2.5}
    assert (sent["key"], sent["price"]) == ("00000000-0000-0000-0000-000000000001", "1.10")
    assert sent["model"]["name"] == "m"
    for text in (sent["when"], sent["model"]["when"]):
        assert datetime.fromisoformat(text.replace("Z", "+00:00")) == when


@pytest.mark.parametrize(
    "value",
    [float("nan"), [float("inf")], "\ud800", {"a": object()}, {"deep": None}, "x" * (1 << 20)],
    ids=["nan", "infinity", "surrogate", "opaque", "deep", "large"],
)
def test_what_a_job_cannot_hold_is_told_and_not_sent(jobs: chute.Queue, server: Server, value: Any) -> None:
    if isinstance(value, dict) and "deep" in value:
        for _ in range(100):
            value = {"deep": value}
    task = jobs.task(anything)
    with pytest.raises((ValueError, TypeError)):
        task.enqueue(value)
    with pytest.raises((ValueError, TypeError)):
        jobs.enqueue_many([task.bind(1), task.bind(value)])
    assert not server.client().exists("queue:jobs")


def test_the_largest_job(jobs: chute.Queue, server: Server) -> None:
    task = jobs.task(anything)
    task.enqueue("x" * 1_000_000)
    assert len(last(server)["value"]) == 1_000_000


@pytest.mark.parametrize("value", [2**53 + 1, 2**63, 2**64 + 1, -(2**70), 0.1, 1e308, -0.0, 5e-324])
def test_numbers_arrive_exactly_or_are_refused(jobs: chute.Queue, server: Server, value: float) -> None:
    task = jobs.task(anything)
    try:
        task.enqueue(value)
    except (ValueError, TypeError):
        assert isinstance(value, int)
        assert abs(value) >= 1 << 63
        assert not server.client().exists("queue:jobs")
    else:
        assert repr(last(server)["value"]) == repr(value)


def test_a_parameter_job_id_names_the_job(jobs: chute.Queue, server: Server) -> None:
    task = jobs.task(with_id)
    job = task.enqueue("mine", "w")
    assert (job.id, last(server)["job_id"]) == ("mine", "mine")
    with pytest.raises(ValueError, match="id"):
        task.enqueue("a b")


def test_more_keywords_go_along(jobs: chute.Queue, server: Server) -> None:
    jobs.task(with_more).enqueue("w", a=1)
    sent = last(server)
    assert (sent["word"], sent["a"]) == ("w", 1)


def test_a_call_that_is_bound_is_not_sent(jobs: chute.Queue, server: Server) -> None:
    call = jobs.task(anything).bind("x")
    assert server.client().keys() == []
    first, second = jobs.enqueue_many([call, call])
    assert first.id != second.id, "sent twice it is two jobs"


def test_calls_that_want_different_copies_do_not_go_together(jobs: chute.Queue, server: Server) -> None:
    task = jobs.task(anything)
    with pytest.raises(ValueError, match="confirm"):
        jobs.enqueue_many([task.options(confirm="disk").bind(), task.options(confirm="replica").bind()])
    assert not server.client().exists("queue:jobs")


def test_what_is_sent_can_be_read_by_any_json_reader(jobs: chute.Queue, server: Server) -> None:
    jobs.task(anything).enqueue('quotes " and \\ and \n and \0 and \u2028 and \U0001f600')
    body = server.client().lindex("queue:jobs", 0)
    assert msgspec.json.decode(body) == json.loads(body)
    assert body.decode().count("\n") == 0


def test_what_confirms_a_job_comes_after_it_also_when_the_script_was_unknown(start_server: StartServer) -> None:
    server = start_server("valkey", "--appendonly", "yes")
    task = chute.Queue("jobs", url=server.url).task(confirmed)
    with server.client().monitor() as seen:
        task.options(delay=60, confirm="disk").enqueue()
        server.client().execute_command("ECHO", "end")
        order: list[str] = []
        for command in seen.listen():
            words = command["command"].split()
            order.append(words[0])
            if words[0] == "ECHO":
                break
    assert order.index("ZADD") < len(order) - 1 - order[::-1].index("WAITAOF")


async def confirmed() -> None:
    """Does nothing."""
