"""pool.py: connections in hand are as good as new ones, never too many, and never keep anybody waiting."""

import threading

import pytest
import redis

from chute.pool import SIZE, Pool
from servers import Server, until


@pytest.fixture
def pool(server: Server) -> Pool:
    return Pool({"connection_class": redis.UnixDomainSocketConnection, "path": server.socket, "timeout": 5.0})


def asked(connection: redis.connection.Connection) -> object:
    connection.send_command("PING")
    return connection.read_response()


def test_who_comes_next_gets_the_one_that_was_given_back(pool: Pool) -> None:
    first = pool.take()
    pool.give(first)
    assert pool.take() is first
    assert asked(first) == b"PONG"


def test_one_that_the_server_has_closed_meanwhile_is_not_handed_out(pool: Pool, server: Server) -> None:
    connection = pool.take()
    connection.send_command("CLIENT", "ID")
    number = connection.read_response()
    pool.give(connection)
    server.client().client_kill_filter(_id=number)
    assert asked(pool.take()) == b"PONG"


def test_one_on_which_something_is_left_to_read_is_not_handed_out(pool: Pool) -> None:
    connection = pool.take()
    connection.send_command("ECHO", "of another")
    pool.give(connection)
    assert until(lambda: connection.can_read(timeout=0), 5)
    assert asked(pool.take()) == b"PONG"


def test_one_that_is_dropped_is_closed(pool: Pool) -> None:
    connection = pool.take()
    connection.send_command("ECHO", "half an exchange")
    pool.drop(connection)
    assert asked(pool.take()) == b"PONG"


def test_there_are_so_many_and_who_waits_for_one_gets_the_next(pool: Pool) -> None:
    taken = [pool.take() for _ in range(SIZE)]
    waited: list[object] = []
    threads = [threading.Thread(target=lambda: waited.append(asked(pool.take()))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in taken[:8]:
        pool.give(each)
    for each in threads:
        each.join(5)
    assert waited == [b"PONG"] * 8
    with pytest.raises(redis.ConnectionError):
        Pool({"connection_class": redis.UnixDomainSocketConnection, "path": "/nowhere", "timeout": 0.1}).take()


def test_many_threads_never_share_one(pool: Pool) -> None:
    in_use: set[int] = set()
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(100):
            connection = pool.take()
            if id(connection) in in_use:
                wrong.append(number)
            in_use.add(id(connection))
            connection.send_command("ECHO", f"{number} {turn}")
            if connection.read_response() != f"{number} {turn}".encode():
                wrong.append(turn)
            in_use.discard(id(connection))
            pool.give(connection)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not wrong


def test_a_url_may_say_how_many(server: Server) -> None:
    few = Pool({"connection_class": redis.UnixDomainSocketConnection, "path": server.socket, "timeout": 0.1, "max_connections": 2})
    taken = [few.take(), few.take()]
    with pytest.raises(redis.ConnectionError):
        few.take()
    few.give(taken.pop())
    assert asked(few.take()) == b"PONG"


def test_a_closed_pool_dials_again(pool: Pool) -> None:
    pool.give(pool.take())
    pool.close()
    assert asked(pool.take()) == b"PONG"
