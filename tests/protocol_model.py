"""A model of the protocol that keeps jobs: every order in which claims, runs, finishes, lost messages, deaths, closings and reclaims can
happen to a few workers and jobs. Pure; knows no server.

    queued -- claim --> leased -- finish --> done          a lease belongs to an identity: a worker's boot
       ^------ reclaim ---'  (of an identity that a judge closed)

What a worker sends is carried out at once or, where the worker gives it up (a fault), maybe later: a claim until its deadline. An answer is
read later or lost (a fault). A claim that was given up is doubted: the worker looks for leases of it and takes them up. `Rules` names what
the protocol does, so that a search without one of them shows what that one is for.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

Identity = tuple[int, int]  # worker, boot
Lease = tuple[Identity, int, int]  # identity, number of the claim, job
Set = frozenset[Any]
NONE: Set = frozenset()


class Rules(NamedTuple):
    """What the protocol does; one that is off is a bug."""

    claim_writes_a_lease: bool = True
    claim_is_fenced: bool = True
    claim_has_a_number_of_its_own: bool = True
    finish_looks_for_the_lease: bool = True
    finish_is_repeated: bool = True
    doubts_are_looked_for: bool = True
    only_doubts_are_looked_for: bool = True
    adopts_once: bool = True
    doubts_last_until_the_deadline: bool = True
    judge_sees_progress: bool = True


class Worker(NamedTuple):
    """What a worker knows."""

    boot: int = 0
    calls: int = 0
    claim: tuple[int, ...] = ()  # number and job of an answer that it has not read yet
    doubts: Set = NONE  # of numbers, each with whether its deadline has passed
    adopted: Set = NONE  # of leases
    hand: tuple[Lease, ...] = ()  # claimed, not started
    ran: tuple[Lease, ...] = ()  # run, not known to be finished


class State(NamedTuple):
    """The server (queue, leases, who is registered and alive, what is done), the workers, and what may be carried out though given up."""

    queue: tuple[int, ...]
    leases: Set
    alive: Set  # identities
    closed: Set  # identities that hold leases
    done: tuple[int, ...]  # jobs, as often as they were finished
    workers: tuple[Worker, ...]
    late: Set  # of (identity, number), claims, and of leases, finishes
    runs: tuple[int, ...]  # of each job
    closings: tuple[int, ...]  # of identities that held it, for each job
    faults: int  # to come


class Search(NamedTuple):
    """How many states were visited, and what is wrong in the first one where something is: "" and None when nothing is in any."""

    states: int
    violation: str
    state: State | None


def search(workers: int, jobs: int, faults: int, rules: Rules) -> Search:
    """Visits every state that can be reached, the nearest first, until something is wrong in one."""
    everybody = frozenset((w, 0) for w in range(workers))
    start = State(tuple(range(jobs, 0, -1)), NONE, everybody, NONE, (), (Worker(),) * workers, NONE, (0,) * jobs, (0,) * jobs, faults)
    seen, todo = {start}, deque([start])
    while todo:
        state = todo.popleft()
        ways = [way for way in _ways(state, rules) if way != state]
        if violation := _violation(state) or (not ways and len(state.done) < jobs and "stuck"):
            return Search(len(seen), violation, state)
        for following in (*ways, *_faults(state, rules)):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return Search(len(seen), "", None)


def _violation(state: State) -> str:
    if len(set(state.done)) < len(state.done):
        return "finished twice"
    there = {*state.queue, *state.done, *[job for _, _, job in state.leases]}
    if len(there) < len(state.runs):
        return "lost"
    if any(runs > 1 + closings for runs, closings in zip(state.runs, state.closings, strict=True)):
        return "ran too often"
    return ""


def _ways(state: State, rules: Rules) -> Iterator[State]:
    """What can happen without a fault."""
    for w in range(len(state.workers)):
        yield from _works(state, w, rules)
    for request in state.late:
        rest = state._replace(late=state.late - {request})
        if len(request) == 2:
            yield _claim(rest, *request, rules)[0]
        else:
            yield _finish(rest, request, rules)
    for identity in state.alive:
        if state.workers[identity[0]].boot > identity[1]:
            yield _close(state, identity)
    for identity in state.closed:
        yield _reclaim(state, identity)


def _works(state: State, w: int, rules: Rules) -> Iterator[State]:
    worker = state.workers[w]
    me = (w, worker.boot)
    if worker.claim:
        yield _with(state, w, worker._replace(claim=(), hand=(*worker.hand, (me, *worker.claim))))
    else:
        number = worker.calls + 1 if rules.claim_has_a_number_of_its_own else 1
        after, job = _claim(state, me, number, rules)
        if job:
            yield _with(after, w, worker._replace(claim=(number, job), calls=number))
    if worker.hand:
        lease, *rest = worker.hand
        runs = tuple(count + (job == lease[2]) for job, count in enumerate(state.runs, 1))
        yield _with(state._replace(runs=runs), w, worker._replace(hand=tuple(rest), ran=(*worker.ran, lease)))
    if worker.ran:
        yield _with(_finish(state, worker.ran[0], rules), w, worker._replace(ran=worker.ran[1:]))
    for number, passed in worker.doubts:
        if not passed:
            doubts = worker.doubts - {(number, False)} | {(number, True)}
            yield _with(state, w, worker._replace(doubts=doubts))._replace(late=state.late - {(me, number)})
    if worker.doubts or not rules.only_doubts_are_looked_for:
        yield _looks(state, w, rules)
    if me not in state.alive:
        yield _boots(state, w, worker.ran)  # its beat told it; what has not started is left to who reclaims


def _looks(state: State, w: int, rules: Rules) -> State:
    """The worker looks for leases of claims that it doubts, and forgets those that can take nothing more."""
    worker = state.workers[w]
    me = (w, worker.boot)
    hidden = {lease for lease in state.leases if lease[0] == me and lease not in worker.hand}
    if rules.only_doubts_are_looked_for:
        hidden = {lease for lease in hidden if {(lease[1], False), (lease[1], True)} & worker.doubts}
    if rules.adopts_once:
        hidden -= worker.adopted | {*worker.ran}
    if not rules.doubts_are_looked_for:
        hidden = set()
    doubts = {(number, passed) for number, passed in worker.doubts if not passed and rules.doubts_last_until_the_deadline}
    hand = worker.hand + tuple(sorted(hidden))
    return _with(state, w, worker._replace(hand=hand, adopted=worker.adopted | hidden, doubts=frozenset(doubts)))


def _boots(state: State, w: int, ran: tuple[Lease, ...]) -> State:
    """A new identity; what ran is finished under the old one."""
    boot = state.workers[w].boot + 1
    return _with(state, w, Worker(boot=boot, ran=ran))._replace(alive=state.alive | {(w, boot)})


def _claim(state: State, identity: Identity, number: int, rules: Rules) -> tuple[State, int]:
    """On the server; the answer is a job, or 0."""
    if not state.queue or (rules.claim_is_fenced and identity not in state.alive):
        return state, 0
    *left, job = state.queue
    state = state._replace(queue=tuple(left))
    if rules.claim_writes_a_lease:
        others = {lease for lease in state.leases if lease[:2] != (identity, number)}
        state = state._replace(leases=frozenset({*others, (identity, number, job)}))
    return state, job


def _finish(state: State, lease: Lease, rules: Rules) -> State:
    """On the server."""
    if rules.finish_looks_for_the_lease and lease not in state.leases:
        return state
    return state._replace(leases=state.leases - {lease}, done=tuple(sorted((*state.done, lease[2]))))


def _close(state: State, identity: Identity) -> State:
    held = {job for owner, _, job in state.leases if owner == identity}
    closings = tuple(count + (job in held) for job, count in enumerate(state.closings, 1))
    closed = state.closed | ({identity} if held else NONE)
    return state._replace(alive=state.alive - {identity}, closed=closed, closings=closings)


def _reclaim(state: State, identity: Identity) -> State:
    """One lease of a closed identity, the youngest first; forgets the identity once it holds nothing."""
    *older, youngest = sorted(lease for lease in state.leases if lease[0] == identity) or [()]
    closed = state.closed if older else state.closed - {identity}
    queue = (*state.queue, youngest[2]) if youngest else state.queue
    return state._replace(leases=state.leases - {youngest}, queue=queue, closed=closed)


def _faults(state: State, rules: Rules) -> Iterator[State]:
    """Deaths (another boot begins at once), false suspicions, requests that are given up before they are carried out, lost answers."""
    if not state.faults:
        return
    struck = state._replace(faults=state.faults - 1)
    for w, worker in enumerate(state.workers):
        me = (w, worker.boot)
        yield _boots(struck, w, ())
        if me in state.alive:
            suspected = _close(struck, me)
            yield suspected if rules.judge_sees_progress else suspected._replace(closings=state.closings)
        if worker.claim:
            yield _with(struck, w, worker._replace(claim=(), doubts=worker.doubts | {(worker.claim[0], False)}))
        elif state.queue and me in state.alive:
            number = worker.calls + 1
            given_up = _with(struck, w, worker._replace(calls=number, doubts=worker.doubts | {(number, False)}))
            yield given_up._replace(late=state.late | {(me, number)})
        if worker.ran:
            lease = worker.ran[0]
            given_up = _with(struck, w, worker if rules.finish_is_repeated else worker._replace(ran=worker.ran[1:]))
            yield _finish(given_up, lease, rules)
            yield given_up._replace(late=state.late | {lease})
            if not rules.finish_is_repeated:
                yield given_up


def _with(state: State, w: int, worker: Worker) -> State:
    return state._replace(workers=(*state.workers[:w], worker, *state.workers[w + 1 :]))
