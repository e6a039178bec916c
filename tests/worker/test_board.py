"""The memory that a worker shares with the process that watches it."""

import os

from chute.worker.board import KINDS, Board, shared


def test_what_one_process_marks_the_other_sees() -> None:
    theirs, fd = shared(3)
    ours = Board(3, fd)
    os.close(fd)
    first = ours.start(1, 1001, None)
    second = ours.start(2, 123_456_789_001, 17.5)
    assert set(theirs.started()) == {(1, 1001, 0.0), (2, 123_456_789_001, 17.5)}
    ours.end(first)
    assert list(theirs.started()) == [(2, 123_456_789_001, 17.5)]
    assert theirs.ran() == {(1, 1001), (2, 123_456_789_001)}, "what has ended stays known"
    ours.start(3, 7, None)
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
        slots = [board.start(0, lease, None), board.start(0, lease + 1, None)]
        assert len(list(board.started())) == 2
        for slot in slots:
            board.end(slot)
    assert not list(board.started())
