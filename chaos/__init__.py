"""Proof by fault: real servers, real `chute work` processes, faults of every kind, and a judge who was not there.

A row (`rows`) sets a stage: a server, workers (`fleet`), producers (`load`), maybe a proxy between them; strikes; heals; waits until all is
quiet. What happened is read from files that producers and handlers wrote outside of the server (`oracle`) and compared with what the server
has in the end (`final`) by rules that know nothing of how Chute works (`checker`). `python -m chaos` prints the ledger of it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))  # servers are started here as the tests start them
