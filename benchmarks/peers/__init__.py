"""Other job queues at the same work as Chute: no-op jobs with a stored result, one worker process each.

`PEERS` has them in the order of the table. Each lives in an environment of its own under `.cache/peers`, with the exact versions named in
`requirements/` and `node/`; nothing of theirs is installed beside Chute. `apps/` is what runs there, so it imports nothing of ours.
"""

from benchmarks.peers.peer import Drained, Peer, PeerFailed
from benchmarks.peers.table import PEERS

__all__ = ["PEERS", "Drained", "Peer", "PeerFailed"]
