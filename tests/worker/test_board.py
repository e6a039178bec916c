"""The memory that a worker shares with the process that watches it."""

import os

from chute.worker.board import KINDS, Board, shared


def test_what_one_process_marks_the_other_sees() -> None:
    theirs, fd = shared(3)
    ours = Board(3, fd)
    os.close(fd)
    first, second = ours.take(), ours.take()
    ours.start(first, 1, 1001, None)
    ours.start(second, 2, 123_456_789_001, 17.5)
    assert set(theirs.started()) == {(1, 1001, 0.0), (2, 123_456_789_001, 17.5)}
    ours.end(first)
    assert list(theirs.started()) == [(2, 123_456_789_001, 17.5)]
    assert theirs.ran() == {(1, 1001), (2, 123_456_789_001)}, "what has ended stays known"
    ours.start(ours.take(), 3, 7, None)
    ours.end(second)
    assert list(theirs.started()) == [(3, 7, 0.0)]
    assert theirs.ran() == {(3, 7), (2, 123_456_789_001)}, "until another takes its slot"
    ours.tick = 3.25
    ours.count([4, 3, 2, 1])
    theirs.prove(15, 9.5)
    assert (theirs.tick, theirs.totals, ours.proof(15)) == (3.25, dict(zip(KINDS, (4, 3, 2, 1), strict=True)), 9.5)


def test_a_board_has_a_place_for_each_slot_for_ever() -> None:
    board = Board(2)
    for lease in range(1, 1000):
        slots = [board.take(), board.take()]
        for place, slot in enumerate(slots):
            board.start(slot, 0, lease + place, None)
        assert len(list(board.started())) == 2
        for slot in slots:
            board.end(slot)
    assert not list(board.started())


def test_jobs_may_follow_each_other_in_one_slot() -> None:
    board = Board(1)
    slot = board.take()
    for lease in (1, 2, 3):
        board.start(slot, 0, lease, 9.0)
        assert list(board.started()) == [(0, lease, 9.0)]
    board.end(slot)
    assert (list(board.started()), board.ran(), board.take()) == ([], {(0, 3)}, slot)
