"""How finish is called in its tables: records as tuples, packed the way a worker packs them."""

from typing import Any

import msgspec

from chute.script import FINISH
from scripts.table import DEAD, LEASES, QUEUE, REFUSED, SCHEDULED, TAGS, Table, raw

LETTER = ["reason", "failed", "worker", "w"]
"""What stands beside the body in a dead letter."""

_pack = msgspec.msgpack.Encoder().encode


def pack(*record: Any) -> bytes:
    """One record as msgpack."""
    return _pack(record)


def finish(table: Table, *records: tuple[str, Any]) -> Any:
    """The answer to pairs of a key and a record; bytes are sent as they are."""
    call = FINISH.on(leases=LEASES, queue=QUEUE, scheduled=SCHEDULED, dead=DEAD, refused=REFUSED, tags=TAGS)
    packed = [record if isinstance(record, bytes) else _pack(record) for _, record in records]
    command = call.each([key for key, _ in records], packed)
    return table.call(tuple(raw(word) if isinstance(word, str) else word for word in command))
