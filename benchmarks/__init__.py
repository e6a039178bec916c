"""How fast Chute is, beside its ceiling and its peers, on one server in one run: `python -m benchmarks`.

A scenario (`drains`, `enqueues`, `waits`, `peers`) brings figures: what was measured, of which system, how much. Rounds of all scenarios are
played in turn, so that a machine that slows down slows all of them; `report` makes a table and plots of the medians, and `targets` says which
of the project's targets they meet. Absolute figures move with the machine; the ratios are the point.

Some programs stand alone: `ceiling`, `partitions`, `failover`, `bytes` (`python -m benchmarks.partitions --help`).
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))  # servers are started here as the tests start them
