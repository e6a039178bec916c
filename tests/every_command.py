"""Every command that a server has, those below others too (`client|list`), and how many words each takes."""

from typing import Any

from servers import Server


def raw(server: Server, *command: str, **login: str) -> Any:
    """The reply to one command as it comes: redis-py makes some of them into what cannot be read. An error is a value."""
    with server.new_client(**login) as client:
        connection = client.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return connection.read_response()
        except Exception as error:
            return error
        finally:
            connection.disconnect()


def commands(server: Server) -> dict[str, int]:
    """Their names, and how many words each takes; where that is negative, at least so many."""
    found: dict[str, int] = {}
    for each in raw(server, "COMMAND"):
        _add(found, each)
    return dict(sorted(found.items()))


def _add(found: dict[str, int], described: Any) -> None:
    found[described[0].decode()] = int(described[1])
    for below in described[9] if len(described) > 9 else ():
        _add(found, below)
