"""What a worker says to the process that beats for it, one JSON object a line. Data only.

The socket belongs to these two alone; its end is the end of the worker.
"""

from typing import TypeAlias

import msgspec


class Server(msgspec.Struct, tag=True):
    """Where the queues are: a URL ("" = the embedded server) and who chose it."""

    url: str
    how: str


class Introduced(msgspec.Struct, tag=True):
    """An identity, told before the server knows it: `number` on the board, `lane` = which of the queues."""

    number: int
    lane: int
    queue: str
    worker: str


Said: TypeAlias = Server | Introduced
_decoder = msgspec.json.Decoder(Said)


def encode(message: Said) -> bytes:
    """One line."""
    return msgspec.json.encode(message) + b"\n"


def decode(line: bytes) -> Said:
    """What a line says."""
    said: Said = _decoder.decode(line)
    return said
