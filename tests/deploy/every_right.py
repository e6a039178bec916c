"""Which of all commands of a server each user may send: asked of the server, and tried. `python -m deploy.every_right` in tests/ writes the lists anew."""

from pathlib import Path
from typing import Any

from deploy.users import grant, password, rules
from every_command import commands
from servers import Kind, Server

LISTS = Path(__file__).parent / "rights"
ENDS_OR_CHANGES = {"auth", "hello", "quit", "reset"}
"""What a user may always send, of itself: they end the connection, or make it another's."""
LETTER = "x"
"""Stands for every word behind a command. It is no number, so that what may be sent ends by an error before it does anything."""


def asked(server: Server, user: str) -> set[str]:
    """What the server says that a user may send, were all keys its own."""
    with server.new_client() as client:
        connection = client.connection_pool.get_connection()
        other = _with_all_keys(connection, user)
        said = {name: _reply(connection, "ACL", "DRYRUN", other, *_words(name, arity)) for name, arity in _plain(server)}
        _reply(connection, "ACL", "DELUSER", other)
        connection.disconnect()
    assert not [each for each in said.values() if isinstance(each, Exception)]
    return {name for name, reply in said.items() if reply == b"OK"}


def tried(server: Server, user: str) -> set[str]:
    """What a user is not refused when it sends it. DEBUG and MODULE are refused to all, by settings of the server."""
    with server.new_client(username=user, password=password(user)) as client:
        connection = client.connection_pool.get_connection()
        said = {name: str(_reply(connection, *_words(name, arity))) for name, arity in _plain(server) if name not in ENDS_OR_CHANGES}
        connection.disconnect()
    return {name for name, reply in said.items() if "no permissions to run" not in reply and "command not allowed" not in reply}


def text(server: Server) -> str:
    """The list: a line for each user."""
    return "".join(f"{user}: {' '.join(sorted(asked(server, user)))}\n" for user in rules() if user != "default")


def _plain(server: Server) -> list[tuple[str, int]]:
    """Every command but those that only have others below them."""
    every = commands(server)
    return [(name, arity) for name, arity in every.items() if not any(other.startswith(f"{name}|") for other in every)]


def _words(name: str, arity: int) -> list[str]:
    words = name.split("|")
    return words + [LETTER] * (abs(arity) - len(words))


def _with_all_keys(connection: Any, user: str) -> str:
    other = f"{user}-with-all-keys"
    commands = [word for word in rules()[user] if word.startswith("+")]
    for word in ("reset", "on", "~*", *commands):  # one by one: what the server does not know is left out
        _reply(connection, "ACL", "SETUSER", other, word)
    return other


def _reply(connection: Any, *words: str) -> Any:
    connection.send_command(*words)
    try:
        return connection.read_response(disconnect_on_error=False)
    except Exception as error:
        return error


if __name__ == "__main__":
    kinds: tuple[Kind, ...] = ("valkey", "redis")
    for kind in kinds:
        with Server(kind) as server:
            grant(server)
            (LISTS / f"{kind}.txt").write_text(text(server))
