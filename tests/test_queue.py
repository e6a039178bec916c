"""A queue as a program uses it: putting jobs in one by one, by hand and by the thousand, in blocking and in asyncio code."""

import asyncio
import json
import os
import threading
from typing import Any

import pytest

import chute
from chute.errors import Rejected, ServerUnavailable, Unconfirmed
from contract.proxy import Proxy
from servers import Server, StartServer


def new_queue(url: str) -> tuple[chute.Queue, Any]:
    jobs = chute.Queue("jobs", url=url)

    @jobs.task
    def answer(question: str) -> str:
        return question

    return jobs, answer


def bodies(server: Server) -> list[dict[str, Any]]:
    """The jobs in the queue, oldest first."""
    return [json.loads(body) for body in reversed(server.client().lrange("queue:jobs", 0, -1))]


@pytest.mark.parametrize("name", ["jobs", "a", "A-Z_0.9", "x" * 64])
def test_names(name: str) -> None:
    assert chute.Queue(name).name == name


@pytest.mark.parametrize("name", ["", "a b", "a:b", "{a}", "x" * 65, "größe", "a\n", "*", "jobs\0", "а"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="queue"):
        chute.Queue(name)


def test_making_one_opens_nothing() -> None:
    chute.Queue("jobs", url="redis://127.0.0.1:1")
    chute.Queue("jobs")


def test_push_sends_what_any_language_sends(server: Server) -> None:
    jobs, _ = new_queue(server.url)
    given = jobs.push({"job_id": "job_1", "question": "?", "@headers": {"a": "b"}})
    made = jobs.push({"question": "größe"})
    assert (given.id, given.queue, jobs.depth()) == ("job_1", "jobs", 2)
    first, second = bodies(server)
    assert first == {"job_id": "job_1", "question": "?", "@headers": {"a": "b"}}
    assert second == {"job_id": made.id, "question": "größe"}


@pytest.mark.parametrize(
    "job",
    [
        [],
        "text",
        None,
        {"job_id": None},
        {"job_id": 1},
        {"job_id": ""},
        {"job_id": "a b"},
        {"@attempt": -1},
        {"@headers": 1},
        {"q": float("nan")},
        {"q": "\ud800"},
        {"q": object()},
        {"q": "x" * (1 << 20)},
        {1: 2, "q": {3, object}},
    ],
)
def test_push_refuses_what_is_no_job(server: Server, job: Any) -> None:
    jobs, _ = new_queue(server.url)
    with pytest.raises(ValueError, match=r"."):
        jobs.push(job)
    assert not server.client().exists("queue:jobs")


def test_the_same_from_asyncio_code(server: Server) -> None:
    async def run() -> list[str]:
        jobs, answer = new_queue(server.url)
        sent = [await jobs.apush({"question": "a"}), await answer.aenqueue("b"), *await jobs.aenqueue_many([answer.bind("c")])]
        assert await jobs.adepth() == 3
        await chute.aclose()
        return [job.id for job in sent]

    ids = asyncio.run(run())
    assert [(job["job_id"], job["question"]) for job in bodies(server)] == list(zip(ids, "abc", strict=True))


def test_many_calls_of_several_tasks_with_options(server: Server) -> None:
    jobs, answer = new_queue(server.url)

    @jobs.task(name="other")
    def other(n: int = 1) -> int:
        return n

    calls = [
        answer.bind("a"),
        other.bind(n=2),
        answer.options(job_id="mine", headers={"h": "1"}).bind("b"),
        answer.options(delay=60).bind("later"),
        other.bind(),
        answer.options(result_ttl=5).bind("c"),
    ]
    sent = jobs.enqueue_many(calls)
    assert [job.id for job in sent][2] == "mine"
    assert len({job.id for job in sent}) == 6
    ready = bodies(server)
    assert [job["job_id"] for job in ready] == [sent[n].id for n in (0, 1, 2, 4, 5)]
    assert [job["@task"] for job in ready] == ["answer", "other", "answer", "other", "answer"]
    ((member, due),) = server.client().zrange("scheduled:{queue:jobs}", 0, -1, withscores=True)
    assert json.loads(member[16:])["job_id"] == sent[3].id
    assert due > 0


def test_many_jobs_keep_their_order_and_need_few_exchanges(server: Server) -> None:
    jobs, answer = new_queue(server.url)
    jobs.depth()
    before = calls_of(server, "lpush")
    sent = jobs.enqueue_many(answer.bind(str(n)) for n in range(25_000))
    assert [job["question"] for job in bodies(server)] == [str(n) for n in range(25_000)]
    assert len(sent) == 25_000
    assert calls_of(server, "lpush") - before < 100


def calls_of(server: Server, command: str) -> int:
    return int(server.client().info("commandstats").get(f"cmdstat_{command}", {"calls": 0})["calls"])


def test_what_are_no_calls_is_told_and_nothing_is_sent(server: Server) -> None:
    jobs, answer = new_queue(server.url)
    sent: Any = answer.job("sent")
    many: Any = jobs.enqueue_many
    call = 'as in enqueue_many([answer.bind("What is RAG?")])'
    for wrong, says in (
        ([sent], f"takes calls, {call}, not Job: its job has been sent already. Nothing more was sent"),
        ([answer.bind("a"), sent], f"takes calls, {call}, not Job: its job has been sent already. Nothing more was sent"),
        ([answer], f"takes calls, {call}, not Task. Nothing was sent"),
        ([{"question": "a"}], f"takes calls, {call}, not dict. Nothing was sent"),
        ("text", f"takes calls, {call}, not str. Nothing was sent"),
        (answer.bind("a"), f"takes many calls, {call}, not Call. Nothing was sent"),
        (sent, f"takes many calls, {call}, not Job. Nothing was sent"),
        (None, f"takes many calls, {call}, not NoneType. Nothing was sent"),
    ):
        with pytest.raises(TypeError) as caught:
            many(wrong)
        assert str(caught.value) == f"enqueue_many {says}"
        with pytest.raises(TypeError) as caught:
            asyncio.run(jobs.aenqueue_many(wrong))
        assert str(caught.value) == f"enqueue_many {says}"
    assert server.client().keys() == []


def test_calls_of_another_queue_are_told_and_nothing_is_sent(server: Server) -> None:
    """Its worker would refuse them one by one."""
    jobs, answer = new_queue(server.url)
    others = chute.Queue("others", url=server.url)
    ask = others.task(name="ask")(answer.fn)
    says = "<chute.Call of task 'ask'> belongs to queue others, and not to jobs, whose enqueue_many this is. Nothing was sent"
    calls: list[Any] = [answer.bind("a"), ask.bind("b")]
    with pytest.raises(TypeError) as caught:
        jobs.enqueue_many(calls)
    assert str(caught.value) == says
    with pytest.raises(TypeError) as caught:
        asyncio.run(jobs.aenqueue_many(calls))
    assert str(caught.value) == says
    assert server.client().keys() == []


def test_a_mistake_far_behind_says_what_was_accepted_before(server: Server) -> None:
    jobs, answer = new_queue(server.url)
    untyped: Any = answer
    with pytest.raises(TypeError, match='"question" must be str, not int') as caught:
        jobs.enqueue_many(untyped.bind("a" if n < 15_000 else n) for n in range(20_000))
    assert caught.value.__notes__ == ["The first 10,000 jobs were accepted before."]
    with pytest.raises(TypeError, match='needs "question"') as caught:
        jobs.enqueue_many(untyped.bind(*["a"] * (n < 15_000)) for n in range(20_000))
    assert caught.value.__notes__ == ["The first 10,000 jobs were accepted before."]
    assert jobs.depth() == 20_000


def test_no_calls_send_nothing(server: Server) -> None:
    jobs, _ = new_queue(server.url)
    assert jobs.enqueue_many([]) == []
    assert server.client().keys() == []


@pytest.mark.parametrize("way", ["enqueue", "push", "enqueue_many"])
def test_a_lost_reply_is_unconfirmed_and_never_repeated(server: Server, way: str) -> None:
    with Proxy(server, lose=b"LPUSH") as proxy:
        jobs, answer = new_queue(proxy.url)
        with pytest.raises(Unconfirmed) as caught:
            send(jobs, answer, way)
        (only,) = bodies(server)
        assert caught.value.job_id == only["job_id"]
        send(jobs, answer, way)  # the next one finds a connection again
    assert len(bodies(server)) == 2
    assert proxy.lost == 1


def send(jobs: chute.Queue, answer: Any, way: str) -> None:
    if way == "enqueue":
        answer.enqueue("a")
    elif way == "push":
        jobs.push({"question": "a"})
    else:
        jobs.enqueue_many([answer.bind("a")])


def test_a_lost_reply_in_asyncio_code(server: Server) -> None:
    async def run(url: str) -> str:
        _, answer = new_queue(url)
        try:
            with pytest.raises(Unconfirmed) as caught:
                await answer.aenqueue("a")
            return caught.value.job_id
        finally:
            await chute.aclose()

    with Proxy(server, lose=b"LPUSH") as proxy:
        job_id = asyncio.run(run(proxy.url))
    assert [job["job_id"] for job in bodies(server)] == [job_id]


def test_a_lost_reply_to_a_delayed_job(server: Server) -> None:
    with Proxy(server, lose=b"EVALSHA") as proxy:
        _, answer = new_queue(proxy.url)
        with pytest.raises(Unconfirmed):
            answer.options(delay=60).enqueue("a")
    assert server.client().zcard("scheduled:{queue:jobs}") <= 1


def test_a_full_server_rejects(start_server: StartServer) -> None:
    full = start_server("valkey", "--maxmemory", "1mb", "--maxmemory-policy", "noeviction")
    jobs, answer = new_queue(full.url)
    for call in (lambda: answer.enqueue("a"), lambda: jobs.push({}), lambda: answer.options(delay=5).enqueue("a")):
        with pytest.raises(Rejected):
            call()
    assert not full.client().keys()


def test_no_server_is_unavailable() -> None:
    jobs, answer = new_queue("redis://127.0.0.1:1")
    for call in (lambda: answer.enqueue("a"), jobs.depth, lambda: jobs.job("x").status(), lambda: answer.options(delay=1).enqueue("a")):
        with pytest.raises(ServerUnavailable):
            call()

    async def run() -> None:
        with pytest.raises(ServerUnavailable):
            await answer.aenqueue("a")
        await chute.aclose()

    asyncio.run(run())


def test_confirm_is_refused_before_anything_is_sent_where_it_cannot_be(server: Server) -> None:
    jobs, answer = new_queue(server.url)
    with pytest.raises(Rejected):
        answer.options(confirm="disk").enqueue("a")
    with pytest.raises(ValueError, match="confirm"):
        answer.options(confirm="moon")
    assert not server.client().exists("queue:jobs")
    assert jobs.depth() == 0


def test_confirmed_on_disk(start_server: StartServer) -> None:
    kept = start_server("valkey", "--appendonly", "yes")
    jobs, answer = new_queue(kept.url)
    answer.options(confirm="disk").enqueue("a")
    jobs.enqueue_many([answer.options(confirm="disk").bind(str(n)) for n in range(10)])
    assert jobs.depth() == 11


def test_a_server_without_the_command_refuses_disk(start_server: StartServer) -> None:
    old = start_server("redis", "--appendonly", "yes")
    if old.client().info("server")["redis_version"] >= "7.2":
        pytest.skip("this Redis has WAITAOF")
    jobs, answer = new_queue(old.url)
    with pytest.raises(Rejected):
        answer.options(confirm="disk").enqueue("a")
    assert jobs.depth() == 0


def test_a_replica_confirms_or_not(start_server: StartServer) -> None:
    primary = start_server("valkey", "--repl-diskless-sync-delay", "0", tcp=True)
    _, answer = new_queue(primary.url)
    with pytest.raises((Rejected, Unconfirmed)):
        answer.options(confirm="replica").enqueue("alone")
    replica = start_server("valkey", "--replicaof", f"127.0.0.1 {primary.port}")
    deadline = threading.Event()
    for _ in range(1000):
        if replica.client().info("replication").get("master_link_status") == "up":
            break
        deadline.wait(0.01)
    answer.options(confirm="replica").enqueue("b")
    assert b'"b"' in replica.client().lindex("queue:jobs", 0)


def test_after_a_fork_both_sides_have_their_own_connection(server: Server) -> None:
    jobs, answer = new_queue(server.url)
    answer.enqueue("before")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            for n in range(50):
                answer.enqueue(f"child {n}")
            code = 0 if jobs.depth() >= 51 else 2
        finally:
            os._exit(code)
    for n in range(50):
        answer.enqueue(f"parent {n}")
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    said = [job["question"] for job in bodies(server)]
    assert sorted(said) == sorted(["before", *[f"child {n}" for n in range(50)], *[f"parent {n}" for n in range(50)]])


def test_threads_share_a_queue(server: Server) -> None:
    _, answer = new_queue(server.url)
    threads = [threading.Thread(target=lambda: [answer.enqueue("x") for _ in range(50)]) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len({job["job_id"] for job in bodies(server)}) == 400


def test_each_event_loop_has_its_own_client(server: Server) -> None:
    _, answer = new_queue(server.url)

    async def run() -> None:
        await asyncio.gather(*[answer.aenqueue("x") for _ in range(20)])
        await chute.aclose()

    for _ in range(3):
        asyncio.run(run())
    assert len(bodies(server)) == 60


@pytest.mark.parametrize("errors", [[ValueError], "ValueError", ValueError("x"), (ValueError, int), None])
@pytest.mark.parametrize("option", ["retry_on", "give_up_on"])
def test_what_is_no_exception_class_is_refused_at_once(option: str, errors: Any) -> None:
    with pytest.raises(TypeError, match=f"{option}= is an exception class or a tuple of them"):
        chute.Queue("jobs").task(**{option: errors})


def test_a_task_of_the_class_instead_of_a_queue() -> None:
    decorate: Any = chute.Queue.task
    with pytest.raises(TypeError, match=r"a task belongs to a queue: write @jobs.task"):
        decorate(test_a_task_of_the_class_instead_of_a_queue)
