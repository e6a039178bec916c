"""Leases of a living worker that it does not know of: taken up within two beats, each once, and nothing else is."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
import redis

from chute import script
from chute.keys import keys_of
from chute.worker import clock
from chute.worker.claim import Claims
from chute.worker.engine import Engine
from chute.worker.finish import Finisher
from chute.worker.held import Held
from chute.worker.search import Look, Search, _doubt
from chute.worker.slots import Slots
from faulty import Proxy
from servers import Server
from worker.made import lane
from worker.running import until, working
from worker.test_engine import at_rest, counting, holding

pytestmark = pytest.mark.usefixtures("quick")
KEYS = keys_of("jobs")


def body(number: int) -> str:
    return json.dumps({"job_id": f"j{number}", "number": number})


class Looks:
    """The search of a worker without a server: the answers are given by hand."""

    def __init__(self, *in_hand: int) -> None:
        self.lane = lane()
        self.slots = Slots(10)
        self.slots.ready.extend(Held(self.lane, self.lane.holdings, lease, 1, b"{}", 0.0) for lease in in_hand)
        self.claims = Claims([self.lane], self.slots, 5.0, lambda _: None)
        self.claims.last = 7
        finisher = Finisher(lambda *_: None, lambda: None, None)
        engine = SimpleNamespace(
            slots=self.slots, claims=self.claims, shuttle={self.lane: SimpleNamespace(finisher=finisher)}, poke=lambda: None
        )
        self.search = Search(cast(Engine, engine))
        self.sent: list[Any] = []
        """Who reads the answers to what was sent."""
        self.asked: list[Any] = []
        setattr(self.lane.route.line, "send", self._send)  # noqa: B010 # it is connected to nothing

    def _send(self, commands: list[Any], answered: Any) -> None:
        self.asked.extend(commands)
        self.sent.append(answered)

    def look(self, reply: Any, sent: float = 100.0) -> None:
        """A look that was sent then is answered."""
        self.search.read(Look(self.lane, self.lane.holdings, sent), reply)

    @property
    def hand(self) -> list[tuple[int, int]]:
        """What is in hand: lease and tag of each."""
        return [(held.lease, held.tag) for held in self.slots.ready]


def test_a_number_is_looked_into_only_where_more_is_held_than_is_known() -> None:
    looks = Looks(6001, 6002)
    for count in (0, 1, 2):
        looks.look(count)
    assert looks.asked == []
    looks.look(3)
    assert looks.asked == [looks.lane.holdings.held]
    looks.sent[0]([[b"6001", b"6002", b"6003"]])
    assert looks.asked[1] == looks.lane.holdings.adopt([6003])


@pytest.mark.parametrize(
    ("lease", "hidden"),
    [(6001, False), (6002, True), (7001, True), (7999, True), (5001, False), (8001, False), (9001, False)],
)
def test_hidden_is_what_is_not_in_hand_and_of_a_claim_that_was_answered(lease: int, hidden: bool) -> None:
    """The seventh claim is the last, and the fifth is under way."""
    looks = Looks(6001)
    looks.claims.under_way.add(5)
    looks.look([str(lease).encode()])
    assert looks.asked == ([looks.lane.holdings.adopt([lease])] if hidden else [])


def test_what_is_taken_up_has_one_tag_after_the_other_and_what_is_gone_is_not_taken_up() -> None:
    looks = Looks()
    looks.look([b"7001", b"7002", b"7003", b"7004"])
    looks.sent[0]([[20, [b"a", None, b"c", b"d"]]])
    assert looks.hand == [(7001, 20), (7003, 22), (7004, 23)]


def test_what_was_taken_up_of_a_claim_in_doubt_is_not_taken_up_again() -> None:
    looks = Looks()
    looks.lane.doubt(7, 150.0)
    looks.look([b"7001"])
    looks.sent[0]([[20, [b"a"]]])
    looks.slots.ready.clear()  # it runs, and ends
    looks.look([b"7001"])
    assert len(looks.asked) == 1


@pytest.mark.parametrize("answer", [None, [redis.exceptions.ResponseError("MISCONF no")]])
def test_a_taking_up_that_failed_is_tried_again(answer: Any) -> None:
    looks = Looks()
    looks.look([b"7001"])
    looks.look([b"7001"])
    assert len(looks.asked) == 1  # beside the one under way
    looks.sent[0](answer)
    assert looks.hand == []
    looks.look([b"7001"])
    looks.sent[1]([[20, [b"a"]]])
    assert looks.hand == [(7001, 20)]


def test_nothing_is_taken_up_under_an_identity_that_others_closed() -> None:
    looks = Looks()
    looks.look([b"7001"])
    before = Look(looks.lane, looks.lane.holdings, 100.0)
    looks.lane.boot()
    looks.sent[0]([[20, [b"a"]]])
    looks.search.read(before, [b"7002"])
    assert looks.hand == []
    assert len(looks.asked) == 1


@pytest.mark.parametrize(("sent", "stays"), [(49.0, True), (50.0, True), (51.0, False)])
def test_a_doubt_stays_while_the_look_is_no_younger_than_its_deadline(sent: float, stays: bool) -> None:
    looks = Looks()
    looks.lane.doubt(7, 50.0)
    looks.look([], sent)
    assert (7 in looks.lane.uncertain) is stays


def test_what_came_back_under_a_living_worker_is_done(each_server: Server) -> None:
    """As after a restart from an older snapshot: claims that were answered, their jobs finished, and the leases there again."""
    client = each_server.client()
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue) as engine:
            client.lpush(KEYS.queue, *[body(n) for n in range(5)])
            await until(lambda: len(runs) == 5 and engine.shuttles[0].quiet)
            leases = KEYS.leases(engine.lanes[0].holdings.worker)
            client.hset(leases, mapping={str(1000 * engine.claims.last + n): body(n) for n in (2, 3)})
            await until(lambda: runs[2] > 1 and runs[3] > 1)
            await until(lambda: not client.exists(leases))
            assert leases == KEYS.leases(engine.lanes[0].holdings.worker), "others closed its identity meanwhile"

    asyncio.run(main())
    assert runs == {0: 1, 1: 1, 2: 2, 3: 2, 4: 1}
    assert at_rest(each_server)


def test_two_looks_that_overlap_take_up_once(each_server: Server) -> None:
    """The second is sent while the taking up that the first brought about is not answered."""
    client = each_server.client()

    async def main() -> None:
        with Proxy(each_server.socket) as proxy:
            queue, runs = counting(proxy.url)
            async with working(queue) as engine:
                client.lpush(KEYS.queue, body(0))
                await until(lambda: runs[0] == 1 and engine.shuttles[0].quiet)
                engine.lanes[0].doubt(1 << 40, clock.now() + 60)  # while a claim is in doubt, each beat brings the leases themselves
                adopt, proxy.longest = script.ADOPT.sha.encode(), 10 * engine.timing.beat
                proxy.fault = lambda command: "delay" if adopt in command else None
                leases = KEYS.leases(engine.lanes[0].holdings.worker)
                client.hset(leases, str(1000 * engine.claims.last + 7), body(1))
                await until(lambda: runs[1] >= 1)
                await asyncio.sleep(5 * engine.timing.beat)
                assert proxy.count["delay"] == 1
                await until(lambda: not client.exists(leases))
            assert runs == {0: 1, 1: 1}

    asyncio.run(main())


def test_what_is_in_hand_or_under_way_is_left_alone(each_server: Server) -> None:
    client = each_server.client()
    queue, tasks = holding(each_server.url)

    async def main() -> None:
        async with working(queue, concurrency=10) as engine:
            client.lpush(KEYS.queue, *[body(n) for n in range(40)])
            await until(lambda: len(tasks.order) == 10)
            await asyncio.sleep(10 * engine.timing.beat)
            assert len(tasks.order) == 10
            tasks.go.set()
            await until(lambda: engine.totals["completed"] == 40)

    asyncio.run(main())
    assert sorted(tasks.order) == list(range(40))
    assert at_rest(each_server)


@pytest.mark.parametrize(("lease", "call"), [(1001, 1), (1002, 1), (2000, 1), (2001, 2), (7_000_999, 7000), (7_001_000, 7000)])
def test_which_claim_a_lease_is_of(lease: int, call: int) -> None:
    """Body 1 to 1000 of a claim is held under its number times a thousand, and that."""
    of_lane = lane()
    of_lane.doubt(call, 0.0)
    assert _doubt(of_lane, lease) is of_lane.uncertain[call]
    of_lane.uncertain.clear()
    of_lane.doubt(call + 1, 0.0)
    of_lane.doubt(call - 1, 0.0)
    assert _doubt(of_lane, lease) is None


def test_a_doubt_is_forgotten_when_a_look_from_after_its_deadline_found_nothing(each_server: Server) -> None:
    """Until then it takes up what it finds, each with the next tag; what was finished since is in no look."""
    client = each_server.client()
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue) as engine:
            await until(lambda: engine.lanes[0].live)
            of_lane, leases = engine.lanes[0], KEYS.leases(engine.lanes[0].holdings.worker)
            of_lane.doubt(1 << 40, clock.now() + 10 * engine.timing.beat)
            client.hset(leases, mapping={str((1000 << 40) + n): body(n) for n in (1, 2, 3)})
            await until(lambda: len(runs) == 3)
            assert of_lane.uncertain
            await until(lambda: not client.exists(leases))
            await until(lambda: not of_lane.uncertain)

    asyncio.run(main())
    assert runs == {1: 1, 2: 1, 3: 1}
    tags = [int(client.hget(f"result:j{n}", "@tag") or 0) for n in (1, 2, 3)]
    assert sorted(tags) == list(range(min(tags), min(tags) + 3))


def test_an_outcome_that_the_server_refused_is_still_in_hand(each_server: Server) -> None:
    """Its lease stands while it waits to be sent again; the job must not be run for that."""
    client = each_server.client()
    queue, runs = counting(each_server.url)

    async def main() -> None:
        async with working(queue) as engine:
            client.execute_command("ACL", "SETUSER", "default", "-xadd", "-hdel")
            client.lpush(KEYS.queue, *[body(n) for n in range(5)])
            await until(lambda: len(runs) == 5)
            await asyncio.sleep(10 * engine.timing.beat)
            client.execute_command("ACL", "SETUSER", "default", "+@all")
            await until(lambda: at_rest(each_server))

    try:
        asyncio.run(main())
    finally:
        client.execute_command("ACL", "SETUSER", "default", "+@all")
    assert runs == dict.fromkeys(range(5), 1)
