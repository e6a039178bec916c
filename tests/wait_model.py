"""A model of the wait: every order in which pushes, waits, claims and deaths of a few workers can happen. Pure; knows no server.

A wait moves the oldest job from the public list to `first` and wakes one worker, whose claim runs right behind it on the server. A wake-up
is lost in a state where jobs are ready, a worker lives, every living worker is blocked, and nothing but a new push or another death would
help. `Rules` names what the protocol does about it, so that a search without one of them shows what that one is for.

    ready -- claim --> run -- finish --> ready
      '-- nothing there --> wait -- BLMOVE --> woken (it moved one) or blocked (until a push wakes it), then claims

A worker that dies blocked, without a word to the server, stays blocked there as a ghost: its wait may still be served, and its claim is
answered FENCED.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

Jobs = tuple[int, ...]
LIVE = frozenset({"ready", "wait", "blocked", "woken", "run"})


class Rules(NamedTuple):
    """What the protocol does; one that is off is a bug."""

    want: int = 1
    wake_after_claim: bool = True
    wake_when_fenced: bool = True
    high_rings_the_bell: bool = True
    reclaim_to_the_public_list: bool = True


class State(NamedTuple):
    """Lists go from left to right; `blocked` are the waits that the server knows, longest first."""

    queue: Jobs
    first: Jobs
    phases: tuple[str, ...]
    blocked: tuple[int, ...]
    held: tuple[Jobs, ...]
    pushes: str  # to come: n for normal, h for high
    crashes: int  # to come


class Search(NamedTuple):
    """How many states there were, and those of them that lost a wake-up."""

    states: int
    lost: list[State]


def search(workers: int, pushes: str, crashes: int, rules: Rules) -> Search:
    """Visits every state that can be reached."""
    start = State((), (), ("ready",) * workers, (), ((),) * workers, pushes, crashes)
    seen, todo, lost = {start}, deque([start]), list[State]()
    while todo:
        state = todo.popleft()
        work = list(_work(state, rules))
        if not work and _sleeps_before_jobs(state):
            lost.append(state)
        for following in (*work, *_push(state, rules), *_deaths(state, rules)):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return Search(len(seen), lost)


def _sleeps_before_jobs(state: State) -> bool:
    living = [phase for phase in state.phases if phase in LIVE]
    return bool(state.queue or state.first) and bool(living) and all(phase == "blocked" for phase in living)


def _push(state: State, rules: Rules) -> Iterator[State]:
    if not state.pushes:
        return
    job = (len(state.pushes),)
    pushed = state._replace(pushes=state.pushes[1:])
    if state.pushes[0] == "n":
        yield _serve(pushed._replace(queue=job + state.queue))
    elif rules.high_rings_the_bell and not state.queue:
        yield _serve(pushed._replace(queue=job))
    else:
        yield pushed._replace(first=job + state.first)


def _work(state: State, rules: Rules) -> Iterator[State]:
    """What a worker, or the server on its behalf, does next by itself."""
    for worker, phase in enumerate(state.phases):
        if phase in {"ready", "woken"}:
            yield _claim(state, worker, rules)
        elif phase == "wait" and state.queue:
            moved = state._replace(queue=state.queue[:-1], first=state.queue[-1:] + state.first)
            yield _enter(moved, worker, "woken")
        elif phase == "wait":
            yield _enter(state, worker, "blocked")._replace(blocked=(*state.blocked, worker))
        elif phase == "run":
            yield _enter(_hold(state, worker, ()), worker, "ready")
        elif phase == "ghost woken":
            passed_on = _wake(state) if rules.wake_when_fenced else state
            yield _serve(_enter(passed_on, worker, "gone"))


def _deaths(state: State, rules: Rules) -> Iterator[State]:
    if not state.crashes:
        return
    state = state._replace(crashes=state.crashes - 1)
    for worker, phase in enumerate(state.phases):
        if phase in {"ready", "wait"}:
            yield _enter(state, worker, "gone")
        elif phase == "blocked":
            yield _enter(state, worker, "ghost blocked")
        elif phase == "run":
            yield _reclaim(state, worker, rules)


def _claim(state: State, worker: int, rules: Rules) -> State:
    queue, first, got = state.queue, state.first, Jobs()
    while len(got) < rules.want and (first or queue):
        if first:
            first, got = first[:-1], (*got, first[-1])
        else:
            queue, got = queue[:-1], (*got, queue[-1])
    state = _hold(state._replace(queue=queue, first=first), worker, got)
    if rules.wake_after_claim:
        state = _wake(state)
    return _serve(_enter(state, worker, "run" if got else "wait"))


def _reclaim(state: State, worker: int, rules: Rules) -> State:
    """A worker is dead and closed: what it held goes back, the oldest outermost."""
    back = state.held[worker][::-1]
    state = _enter(_hold(state, worker, ()), worker, "gone")
    if rules.reclaim_to_the_public_list:
        return _serve(state._replace(queue=state.queue + back))
    return state._replace(first=state.first + back)


def _wake(state: State) -> State:
    """What is left in `first` shows in the public list when that is empty."""
    if state.queue or not state.first:
        return state
    return state._replace(queue=state.first[:1], first=state.first[1:])


def _serve(state: State) -> State:
    """The server serves the waits in the order in which they came, ghosts too: it cannot tell them apart."""
    while state.queue and state.blocked:
        worker = state.blocked[0]
        state = state._replace(queue=state.queue[:-1], first=state.queue[-1:] + state.first, blocked=state.blocked[1:])
        state = _enter(state, worker, "woken" if state.phases[worker] == "blocked" else "ghost woken")
    return state


def _enter(state: State, worker: int, phase: str) -> State:
    return state._replace(phases=(*state.phases[:worker], phase, *state.phases[worker + 1 :]))


def _hold(state: State, worker: int, jobs: Jobs) -> State:
    return state._replace(held=(*state.held[:worker], jobs, *state.held[worker + 1 :]))
