"""Hears every command that a server runs, those inside of scripts too, and says of each who sent it and with which keys.

A connection says its user's name as its own (`client_name=` in the URL), since MONITOR shows addresses alone; what a script calls belongs to who
called that, since a server does one thing at a time.
"""

import re
import threading
from collections import defaultdict
from typing import Any, Self

from chute.rights import KINDS, Need
from deploy.users import password
from every_command import raw
from servers import Server, send

LINE = re.compile(rb"\+?[\d.]+ \[\d+ (\S+)\] (.*)", re.DOTALL)
WORD = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
END = "the end of the test"
NAMED = ("+client|setname", "+hello")
"""Beside their own, so that they can say who they are."""


def url(server: Server, user: str) -> str:
    """Where the server is, as whom, and saying so."""
    return f"redis://{user}:{password(user)}@127.0.0.1:{server.port}?client_name={user}"


class Listening:
    """A with block in which everything is heard. `heard`: of each user, what it sent."""

    def __init__(self, server: Server) -> None:
        self.heard: defaultdict[str, set[Need]] = defaultdict(set)
        self._server = server
        self._places = {each[0].decode(): each[3:6] for each in _all(raw(server, "COMMAND"))}
        self._client = server.new_client(socket_timeout=None)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._began = threading.Event()

    def __enter__(self) -> Self:
        with self._server.new_client() as client:
            for user in (each.decode() for each in send(client, "ACL", "USERS")):
                if user != "default":
                    send(client, "ACL", "SETUSER", user, *NAMED)
        self._thread.start()
        assert self._began.wait(5)
        return self

    def __exit__(self, *_: object) -> None:
        with self._server.new_client() as client:
            client.echo(END)
        self._thread.join(20)
        assert not self._thread.is_alive()
        self._client.close()

    def _listen(self) -> None:
        connection = self._client.connection_pool.get_connection()
        connection.send_command("MONITOR")
        assert connection.read_response() == b"OK"
        self._began.set()
        users: dict[bytes, str] = {}
        caller = ""
        while True:
            found = LINE.fullmatch(connection.read_response())
            assert found
            words = [each.decode("latin-1") for each in WORD.findall(found[2])]
            if words[-1] == END:
                return
            if words[0].lower() == "hello":
                users.pop(found[1], None)  # a new connection, from where another one had been
            if [word.lower() for word in words[:2]] == ["client", "setname"]:
                users[found[1]] = words[2]
            elif found[1] == b"lua" or (caller := users.get(found[1], "")):
                self.heard[caller].add(self._need(words))

    def _need(self, words: list[str]) -> Need:
        name = words[0].lower()
        below = f"{name}|{words[1].lower()}" if len(words) > 1 else ""
        if below in self._places:
            return Need(below)
        first, last, step = self._places[name]
        last = last if last >= 0 else len(words) + last
        return Need(name, "+".join(map(kind, words[first : last + 1 : step or 1] if first else [])))


def kind(key: str) -> str:
    """The kind of a key."""
    found = key.partition(":")[0]
    assert found in KINDS.split(), key
    return found


def _all(described: list[Any]) -> list[Any]:
    return [each for one in described for each in (one, *_all(one[9] if len(one) > 9 else []))]
