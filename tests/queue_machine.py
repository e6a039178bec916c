"""A queue on a real server, driven by the scripts in any order that hypothesis thinks of, beside a model of it.

After each step the server holds exactly what the model holds; every job that was accepted is in exactly one place; leases belong only to
workers that are known; results are whole. The scripts are given, so that wrong ones can be tried too.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis.exceptions import NoScriptError

from chute.keys import keys_of
from chute.script import Command, Script
from queue_model import Outcome, QueueModel
from servers import send

KEYS = keys_of("jobs")
WORKERS = ("w0", "w1", "w2")
KINDS = ("fail", "refuse", "retry", "result", "drop", "release")
_pack = msgspec.msgpack.Encoder().encode


def identity(body: str) -> str:
    """The job id in a body: all that a job is, through retries and requeues."""
    return str(msgspec.json.decode(body)["job_id"])


class QueueMachine(RuleBasedStateMachine):
    """One queue on the server, driven by the scripts that it is given."""

    def __init__(self, client: redis.Redis, scripts: Mapping[str, Script]) -> None:
        super().__init__()
        self.client = client
        self.scripts = scripts
        self.model = QueueModel()
        self.accepted = 0
        self.calls = 0
        self.last: tuple[str, list[Outcome]] | None = None
        client.flushall()

    def run(self, command: Command) -> Any:
        """The reply, with the scripts made known where the server forgot them."""
        try:
            reply = send(self.client, *command)
        except NoScriptError:
            for script in self.scripts.values():
                self.client.script_load(script.source)
            reply = send(self.client, *command)
        return reply

    def new_bodies(self, count: int) -> list[str]:
        numbers = range(self.accepted, self.accepted + count)
        self.accepted += count
        return [f'{{"job_id":"j{number}"}}' for number in numbers]

    @initialize(pushed=st.sampled_from([3, 20, 60]), first=st.integers(0, 3), data=st.data())
    def begin_at_work(self, pushed: int, first: int, data: st.DataObject) -> None:
        """Hypothesis leaves some rules out of each run; so each begins with jobs ready and running."""
        for worker in WORKERS[:2]:
            self.register(worker)
        self.push(pushed)
        self.wait(first)
        self.claim(data, want=2, room=1 << 20)

    def pick(self, data: st.DataObject, likely: list[str]) -> str:
        """A worker: mostly one of the likely, now and then any."""
        return str(data.draw(st.sampled_from([*likely * 3, *WORKERS]), label="worker"))

    @rule(count=st.sampled_from([1, 1, 2, 3, 16, 40]))
    def push(self, count: int) -> None:
        bodies = self.new_bodies(count)
        self.client.lpush(KEYS.queue, *bodies)
        for body in bodies:
            self.model.enqueue(body, "", "")

    @rule(priority=st.sampled_from(["high", "high", ""]), due=st.sampled_from(["", "", "+0", "+3600000"]))
    def enqueue(self, priority: str, due: str) -> None:
        (body,) = self.new_bodies(1)
        call = self.scripts["enqueue"].on(
            queue=KEYS.queue, first=KEYS.first, scheduled=KEYS.scheduled, tags=KEYS.tags, unique=KEYS.unique("k")
        )
        job_id = identity(body)
        reply = self.run(call(body=body, job_id=job_id, due=due, priority=priority, unique_ttl=""))
        assert reply.decode() == job_id
        self.model.enqueue(body, priority, due)

    @rule(times=st.integers(1, 3))
    def wait(self, times: int) -> None:
        for _ in range(times):
            send(self.client, "LMOVE", KEYS.queue, KEYS.first, "RIGHT", "LEFT")
            self.model.wait()

    @rule(worker=st.sampled_from(WORKERS))
    def register(self, worker: str) -> None:
        assert self.run(self.scripts["register"].on(workers=KEYS.workers)(worker=worker)) == self.model.register(worker)

    @rule(data=st.data(), want=st.sampled_from([0, 1, 2, 3, 5, 16, 17, 40]), room=st.sampled_from([1 << 20, 1 << 20, 40, 300]))
    def claim(self, data: st.DataObject, want: int, room: int) -> None:
        worker = self.pick(data, [worker for worker, alive in self.model.workers.items() if alive])
        self.calls += 1
        call = self.scripts["claim"].on(
            first=KEYS.first, queue=KEYS.queue, leases=KEYS.leases(worker), workers=KEYS.workers, tags=KEYS.tags
        )
        reply = self.run(call(worker=worker, call=self.calls, want=want, bytes=room, deadline=""))
        answer = reply.decode() if isinstance(reply, bytes) else [reply[1], [body.decode() for body in reply[2]]]
        assert answer == self.model.claim(worker, self.calls, want, room)

    @precondition(lambda self: any(self.model.leases.values()))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from([worker for worker, leases in self.model.leases.items() if leases]))
        leases = self.model.leases[worker]
        chosen = data.draw(st.lists(st.sampled_from(list(leases)), min_size=1, max_size=8, unique=True))
        outcomes = [self.outcome(lease, leases[lease], data.draw(st.sampled_from(KINDS))) for lease in chosen]
        for extra in data.draw(st.lists(st.sampled_from(["garbage", "stale"]), max_size=2)):
            place = data.draw(st.integers(0, len(outcomes)))
            outcomes.insert(place, Outcome(chosen[0], "garbage") if extra == "garbage" else Outcome(999_000_001, "drop"))
        self.send_outcomes(worker, outcomes)
        self.last = worker, outcomes

    @precondition(lambda self: self.last)
    @rule()
    def finish_again(self) -> None:
        """The reply was lost, or the worker is one of the past: the same call once more."""
        assert self.last is not None
        self.send_outcomes(*self.last)

    @precondition(lambda self: any(self.model.leases.values()))
    @rule(data=st.data(), foreign=st.booleans())
    def occupy_a_result(self, data: st.DataObject, foreign: bool) -> None:
        """Something stands at the result key of a job that runs: of another type, or left by an earlier run."""
        held = sorted(body for leases in self.model.leases.values() for body in leases.values())
        job_id = identity(data.draw(st.sampled_from(held)))
        if job_id in self.model.results:
            return
        self.client.delete(f"result:{job_id}")
        if foreign:
            self.client.rpush(f"result:{job_id}", "foreign")
        else:
            self.client.hset(f"result:{job_id}", mapping={"status": "running", "left over": "of an earlier run"})

    @rule(want=st.integers(1, 5))
    def promote(self, want: int) -> None:
        reply = self.run(self.scripts["promote"].on(scheduled=KEYS.scheduled, queue=KEYS.queue)(want=want))
        assert reply[0] == self.model.promote(want)

    @rule(data=st.data(), seen_rightly=st.booleans())
    def close(self, data: st.DataObject, seen_rightly: bool) -> None:
        worker = self.pick(data, [worker for worker, leases in self.model.leases.items() if leases])
        beat = self.client.hget(KEYS.workers, worker) or b"0"
        seen = beat if seen_rightly else b"another"
        reply = self.run(self.scripts["close"].on(workers=KEYS.workers)(worker=worker, seen=seen))
        assert reply == self.model.close(worker, seen_rightly=seen_rightly)

    @rule(data=st.data(), chunk=st.sampled_from([1, 2, 30]))
    def reclaim(self, data: st.DataObject, chunk: int) -> None:
        worker = self.pick(data, [worker for worker, alive in self.model.workers.items() if not alive])
        leases = self.model.leases.get(worker, {})
        pairs = [str(word) for lease in sorted(leases, reverse=True)[:chunk] for word in (lease, leases[lease])]
        call = self.scripts["reclaim"].on(queue=KEYS.queue, leases=KEYS.leases(worker), workers=KEYS.workers, info=KEYS.info(worker))
        assert self.run(call(*pairs, worker=worker)) == self.model.reclaim(worker, chunk)

    @precondition(lambda self: self.model.dead or self.model.refused)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        streams = [(KEYS.dead, self.model.dead), (KEYS.refused, self.model.refused)]
        key, letters = data.draw(st.sampled_from([stream for stream in streams if stream[1]]))
        place = data.draw(st.integers(0, len(letters) - 1))
        entry = send(self.client, "XRANGE", key, "-", "+")[place][0]
        body, job_id = letters[place], identity(letters[place])
        call = self.scripts["requeue"].on(letters=key, queue=KEYS.queue, result=f"result:{job_id}")
        assert self.run(call(body=body, id=entry)) == 1
        assert self.run(call(body=body, id=entry)) == 0, "a repeat finds it gone"
        self.model.requeue(letters, place, body, job_id)

    @rule()
    def forget_the_scripts(self) -> None:
        self.client.script_flush()

    @invariant()
    def the_server_holds_what_the_model_holds(self) -> None:
        held = self.held()
        assert held.queue == self.model.queue
        assert held.first == self.model.first
        assert held.leases == {worker: leases for worker, leases in self.model.leases.items() if leases}
        assert held.scheduled == self.model.scheduled
        assert (held.dead, held.refused) == (self.model.dead, self.model.refused)
        assert held.workers == self.model.workers
        assert held.tags == self.model.tags
        everywhere = Counter(identity(body) for body in (*held.entries(), *self.model.done))
        assert everywhere == Counter(f"j{number}" for number in range(self.accepted)), "each job accepted is in exactly one place"
        assert held.leases.keys() <= held.workers.keys(), "only a worker that is known holds leases"

    @invariant()
    def results_are_whole(self) -> None:
        pipeline = self.client.pipeline(transaction=False)
        for job_id in self.model.results:
            pipeline.hgetall(f"result:{job_id}")
            pipeline.ttl(f"result:{job_id}")
        replies = pipeline.execute()
        for fields, ttl, expected in zip(replies[::2], replies[1::2], self.model.results.values(), strict=True):
            assert {name.decode(): value.decode() for name, value in fields.items()} == expected
            assert ttl > 0

    def outcome(self, lease: int, body: str, kind: str) -> Outcome:
        """An outcome of that kind for the job that the lease holds."""
        self.calls += 1
        job_id, mark = identity(body), str(self.calls)
        again = f'{{"job_id":"{job_id}","mark":{mark}}}'
        fields = {"result": {"status": "completed", mark: mark}, "fail": {"status": "failed", "error": mark}}.get(kind, {})
        return Outcome(lease, kind, job_id, fields, again, delay=0 if self.calls % 3 else 3_600_000)

    def send_outcomes(self, worker: str, outcomes: list[Outcome]) -> None:
        leases = KEYS.leases(worker)
        call = self.scripts["finish"].on(
            leases=leases, queue=KEYS.queue, scheduled=KEYS.scheduled, dead=KEYS.dead, refused=KEYS.refused, tags=KEYS.tags
        )
        keys = [f"result:{outcome.job_id}" if outcome.fields else leases for outcome in outcomes]
        reply = self.run(call.each(keys, [record_of(outcome) for outcome in outcomes]))
        assert reply.decode() == self.model.finish(worker, outcomes)

    def held(self) -> QueueModel:
        """What the server holds, as a model of its own."""
        pipeline: Any = self.client.pipeline(transaction=False)
        for key in (KEYS.queue, KEYS.first):
            pipeline.lrange(key, 0, -1)
        pipeline.zrange(KEYS.scheduled, 0, -1, withscores=True)
        for key in (KEYS.dead, KEYS.refused):
            pipeline.xrange(key)
        pipeline.hgetall(KEYS.workers)
        pipeline.get(KEYS.tags)
        pipeline.time()
        for worker in WORKERS:
            pipeline.hgetall(KEYS.leases(worker))
        queue, first, scheduled, dead, refused, workers, tags, now, *leases = pipeline.execute()
        held = [{int(lease): body.decode() for lease, body in each.items()} for each in leases]
        return QueueModel(
            queue=[body.decode() for body in queue],
            first=[body.decode() for body in first],
            scheduled=sorted_by_making([(score <= now[0] * 1000 + 1000, member.decode()) for member, score in scheduled]),
            dead=[fields[b"body"].decode() for _, fields in dead],
            refused=[fields[b"body"].decode() for _, fields in refused],
            workers={worker.decode(): beat != b"dead" for worker, beat in workers.items()},
            leases={worker: each for worker, each in zip(WORKERS, held, strict=True) if each},
            tags=int(tags or 0),
        )


def sorted_by_making(scheduled: list[tuple[bool, str]]) -> list[tuple[bool, str]]:
    """Due or not and the body, in the order of the number in front."""
    return [(due, member[16:]) for due, member in sorted(scheduled, key=lambda entry: entry[1][:16])]


def record_of(outcome: Outcome) -> bytes:
    """The outcome as a worker sends it."""
    words = [word for pair in outcome.fields.items() for word in pair]
    head = (outcome.kind, outcome.lease)
    match outcome.kind:
        case "garbage":
            return b"\xc1garbage"
        case "result":
            return _pack((*head, 60, *words))
        case "retry":
            return _pack((*head, outcome.delay, outcome.body))
        case "fail" | "refuse":
            return _pack((*head, 60, ["reason", outcome.kind], *words))
        case _:
            return _pack(head)
