"""worker/slots.py: how much is held, how much more may be asked for, and how far ahead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chute.holdings import Holdings
from chute.outcome import Released
from chute.worker.desk import Opened
from chute.worker.held import Held
from chute.worker.slots import MAX_PREFETCH, NEAR, Slots
from worker.made import lane

LANE = lane()
OPENED = Opened(None, print, (), {}, None)  # type: ignore[arg-type]


def jobs(count: int, first: int = 1) -> list[Held]:
    return [Held(LANE, LANE.holdings, 1000 + first + i, i, b"{}", 0.0) for i in range(count)]


def holding(concurrency: int, *, running: int = 0, ready: int = 0, parked: int = 0, asked: int = 0) -> Slots:
    slots = Slots(concurrency)
    slots.running.update(jobs(running, 1))
    slots.ready.extend(jobs(ready, 200))
    slots.parked.update(dict.fromkeys(jobs(parked, 400), OPENED))
    slots.asked = asked
    return slots


def test_an_idle_worker_has_all_its_slots() -> None:
    slots = holding(10)
    assert (slots.allowance, slots.free, slots.room, len(slots.unstarted), slots.full, slots.empty) == (10, 10, 10, 0, False, True)


@pytest.mark.parametrize(
    ("slots", "free", "room", "full", "unstarted"),
    [
        (holding(10, running=4), 6, 6, False, 0),
        (holding(10, running=4, ready=3), 3, 3, False, 3),
        (holding(10, running=4, ready=3, asked=3), 0, 0, False, 3),
        (holding(10, running=10), 0, 0, True, 0),
        (holding(10, running=10, ready=5), -5, -5, True, 5),
        (holding(10, running=8, parked=1), 1, 1, False, 1),
        (holding(10, running=7, parked=2), 1, 0, False, 2),
        (holding(10, running=8, parked=2), 0, 0, True, 2),
    ],
)
def test_what_is_held_and_asked_for_takes_room(slots: Slots, free: int, room: int, full: bool, unstarted: int) -> None:
    assert (slots.free, slots.room, slots.full, len(slots.unstarted), slots.empty) == (free, room, full, unstarted, False)


def test_prefetch_gives_room_beyond_the_slots_but_none_behind_a_job_that_waits_for_a_thread() -> None:
    slots = holding(10, running=10)
    slots.prefetch = 20
    assert (slots.allowance, slots.free, slots.room) == (30, 0, 20)
    slots.parked.update(dict.fromkeys(jobs(1, 400), OPENED))
    assert slots.room == 20 - 1, "a thread takes it at once"
    slots.parked.update(dict.fromkeys(jobs(1, 401), OPENED))
    assert slots.room == 0


def test_prefetch_grows_at_once_and_falls_by_a_quarter() -> None:
    slots = Slots(10)
    seen: list[int] = []
    for ran in (5, 50, 0, 0, 10, 0, 0, 0):
        slots.adapt(ran)
        seen.append(slots.prefetch)
    assert seen == [10, 100, 75, 56, 42, 31, 23, 17]


def test_prefetch_grows_beyond_what_a_near_server_needs_only_when_nothing_was_left_to_run() -> None:
    slots = holding(10, ready=1)
    seen: list[int] = []
    for ran in (400, 5000, 5000):
        slots.adapt(ran)
        seen.append(slots.prefetch)
    slots.ready.clear()
    slots.adapt(1500)
    seen.append(slots.prefetch)
    slots.ready.extend(jobs(1, 500))
    for _ in range(3):
        slots.adapt(1500)
        seen.append(slots.prefetch)
    assert seen == [800, NEAR, NEAR, 3000, 2812, 2636, 2471]


@given(st.lists(st.integers(0, 100_000), max_size=60))
def test_prefetch_has_bounds_and_ends(ran: list[int]) -> None:
    slots = Slots(1)
    for each in ran:
        slots.adapt(each)
        assert min(2 * each, MAX_PREFETCH) <= slots.prefetch <= MAX_PREFETCH
    for _ in range(60):
        slots.adapt(0)
    assert slots.prefetch == 0


def test_what_is_taken_back_leaves_the_others_in_their_order() -> None:
    slots = holding(10, ready=5, parked=3, running=1)
    ready, parked, running = list(slots.ready), list(slots.parked), set(slots.running)
    assert slots.take_back([ready[1], ready[3], parked[0]]) == [ready[1], ready[3], parked[0]]
    assert list(slots.ready) == [ready[0], ready[2], ready[4]]
    assert list(slots.parked) == parked[1:]
    assert slots.running == running
    slots.take_back([*slots.ready, *slots.parked])
    assert not slots.unstarted


def test_what_a_thread_has_taken_meanwhile_stays() -> None:
    slots = Slots(4, 4, plain=True)
    waits, begun = jobs(2)
    slots.parked[waits] = OPENED
    slots.threaded.add(begun)
    assert slots.take_back([begun, waits]) == [waits]
    assert (slots.started, slots.unstarted, slots.empty) == ([begun], [], False)


def test_what_has_ended_in_a_thread_leaves_its_slot_at_once_and_stays_in_hand() -> None:
    slots = Slots(1, 1, plain=True)
    (job,) = jobs(1)
    slots.threaded.add(job)
    assert (slots.free, slots.full) == (0, True)
    slots.came.append((job, Released()))
    assert (slots.free, slots.full, slots.leases(job.holdings), slots.empty) == (1, False, {job.lease}, False)


def test_where_all_are_plain_functions_more_than_there_are_slots_wait_at_the_threads() -> None:
    plain, mixed = Slots(2, 2, plain=True), Slots(2, 2)
    for slots in (plain, mixed):
        slots.parked.update(dict.fromkeys(jobs(3), OPENED))
        slots.prefetch = 10
    assert (plain.open, plain.room, plain.full) == (True, 9, True)
    assert (mixed.open, mixed.room, mixed.full) == (False, 0, True)


def test_a_suspect_starts_when_nothing_is_left_that_runs() -> None:
    slots = holding(10, running=1, ready=2)
    slots.suspect = jobs(1, 700)[0]
    assert (slots.alone, slots.open, slots.free, len(slots.unstarted)) == (False, False, 0, 3)
    slots.running.clear()
    assert (slots.alone, slots.open) == (True, False)
    slots.threaded.add(slots.suspect)
    slots.came.append((slots.suspect, Released()))
    assert not slots.alone, "it has run, and the loop has not yet looked"
    assert len(slots.unstarted) == 2


@given(st.data())
def test_all_figures_of_any_hand(data: st.DataObject) -> None:
    """Reckoned here once more, from nothing but how many there are of each kind."""
    some = st.integers(0, 6)
    concurrency, threads, plain = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 6)), data.draw(st.booleans())
    running, ready, parked, threaded = (data.draw(some) for _ in range(4))
    came, asked, prefetch = data.draw(st.integers(0, threaded)), data.draw(some), data.draw(some)
    suspect = data.draw(st.sampled_from(["", "waits", "runs", "is parked", "is in a thread"]))
    stopping, held_up, quota = data.draw(st.booleans()), data.draw(st.booleans()), data.draw(st.sampled_from([None, 0, 1, 2]))

    slots = Slots(concurrency, threads, plain=plain)
    held = [jobs(count, first) for count, first in ((running, 1), (ready, 100), (parked, 200), (threaded, 300))]
    if suspect:
        (slots.suspect,) = jobs(1, 400)
        if suspect != "waits":
            held[{"runs": 0, "is parked": 2, "is in a thread": 3}[suspect]].append(slots.suspect)
    on_loop, waiting, at_threads, in_threads = held
    slots.running.update(on_loop)
    slots.ready.extend(waiting)
    slots.parked.update(dict.fromkeys(at_threads, OPENED))
    slots.threaded.update(in_threads)
    slots.came += [(job, Released()) for job in in_threads[:came]]
    slots.asked, slots.prefetch, slots.stopping, slots.held_up, slots.quota = asked, prefetch, stopping, held_up, quota

    plain_ones = len(at_threads) + len(in_threads) - came
    taken = len(on_loop) + plain_ones
    closed = bool(suspect) or held_up or quota == 0
    idle = not (on_loop or at_threads or in_threads)
    may_start = idle and not stopping and not held_up and quota != 0
    opened = not stopping and not closed and (plain or taken < concurrency)
    behind = not plain and bool(at_threads) and plain_ones > threads
    free = 0 if closed else concurrency - taken - ready - asked
    if suspect:
        startable = 1 if may_start else 0
    elif not opened:
        startable = 0
    else:
        startable = ready if plain else min(ready, concurrency - taken)
    unstarted = ([slots.suspect] if suspect == "waits" else []) + waiting + at_threads
    everything = [*on_loop, *waiting, *at_threads, *in_threads, *([slots.suspect] if slots.suspect else [])]

    assert slots.allowance == concurrency + prefetch
    assert (slots.taken, slots.closed, slots.full) == (taken, closed, closed or taken >= concurrency)
    assert (slots.open, slots.alone, slots.startable) == (opened, may_start, startable)
    assert (slots.free, slots.room) == (free, 0 if closed or behind else free + prefetch)
    assert slots.unstarted == unstarted
    assert {*slots.started} == {*on_loop, *in_threads}
    assert slots.leases(LANE.holdings) == {job.lease for job in everything}
    assert slots.leases(Holdings("jobs", "another")) == set()
    assert slots.empty == (not everything)


def test_who_is_started_is_counted_only_where_there_is_a_quota() -> None:
    slots = Slots(1)
    slots.spend()
    assert (slots.quota, slots.done) == (None, 0)
    slots.quota = 2
    slots.spend()
    assert slots.quota == 1


def test_a_suspect_is_taken_back_alone_or_stays() -> None:
    slots = holding(10, ready=1)
    (slots.suspect,) = jobs(1, 700)
    suspect, waits = slots.suspect, list(slots.ready)
    assert slots.take_back(waits) == waits
    assert slots.suspect is suspect
    assert slots.take_back([suspect]) == [suspect]
    assert slots.suspect is None
