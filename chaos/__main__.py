"""`python -m chaos [ROW...] [--server redis|valkey|both] [--seed N]`: plays rows, prints the ledger, exits with 1 when one is red.

With `--out FILE` it also keeps the ledger: those under `chaos/results` are shown by docs/reliability.md.
"""

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import msgspec

from chaos import ROOT, bugs, ledger, seeded
from chaos.play import Entry, play
from chaos.rows import (
    availability,
    clocks,
    disk,
    handlers,
    load,
    network,
    power,
    refusals,
    roads,
    server,
    soak,
    splits,
    surroundings,
    tls,
    turns,
    upgrades,
    volume,
    workers,
)
from servers import Kind

_OF_WORKERS = (workers, handlers, surroundings)
_OF_SERVERS = (server, power, disk, refusals)
_OF_NETWORKS = (network, roads, tls, availability, splits)
_OF_TIME = (clocks, upgrades, volume, load, turns, soak)
ROWS = {row.id: row for family in (*_OF_WORKERS, *_OF_SERVERS, *_OF_NETWORKS, *_OF_TIME) for row in family.ROWS}
USUAL = ("W01", "W03", "W04", "W07", "W11", "W12", "S01", "S05", "S10", "S12", "S13", "N03", "N04", "H01", "H06", "L05")
"""What is played when no row is named: a few minutes that find most of what can be broken."""
KINDS: tuple[Kind, ...] = ("redis", "valkey")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m chaos",
        description="Faults against real workers and servers, and a judge.",
        epilog="\n".join(f"{row.id}  {row.what}: {row.expected}" for row in ROWS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"of those below, or all (default: {' '.join(USUAL)})")
    parser.add_argument("--server", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same loads and the same choices again")
    parser.add_argument("--times", type=int, default=1, help="so many times as many faults in each row (default 1)")
    parser.add_argument("--at-once", type=int, default=2, help="rows that are played side by side, but for those that measure (default 2)")
    parser.add_argument(
        "--seeded", action="store_true", help="put known bugs into a copy of the source: each must turn its row red. With rows: theirs"
    )
    parser.add_argument("--out", type=Path, help="file for the ledger, as JSON")
    parser.add_argument("--src", type=Path, default=ROOT / "src", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    everywhere = given.rows == ["all"]
    given.bugs = [bug for bug in bugs.ALL if everywhere or bug.row in given.rows] if given.rows else seeded.BUGS
    given.rows = list(ROWS) if everywhere else given.rows or list(USUAL)
    if unknown := [row for row in given.rows if row not in ROWS]:
        parser.error(f"no row {unknown[0]}; there are {' '.join(ROWS)}")
    return given


def apart(row: str, kind: Kind, seed: int, times: int, src: Path) -> Entry:
    """Plays a row in a process of its own, and says when it is over."""
    command = [
        sys.executable,
        "-m",
        "chaos",
        row,
        "--server",
        kind,
        "--seed",
        str(seed),
        "--times",
        str(times),
        "--src",
        str(src),
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return Entry(row, kind, seed, complaints=[f"the row itself broke ({done.returncode}): {done.stderr[-2000:]}"])
    entry = msgspec.json.decode(done.stdout, type=Entry)
    print(f"{row} {kind} {ledger.verdict(entry)} after {entry.seconds:.0f} s", file=sys.stderr, flush=True)
    if entry.why_red:
        print(done.stderr, file=sys.stderr, flush=True)
    return entry


def surely(entry: Entry, times: int, src: Path) -> Entry:
    """The entry; where it is red for nothing but a figure, that of a second play with nothing beside it, which counts."""
    if not entry.doubtful:
        return entry
    print(f"{entry.row} {entry.server} is played again, alone: {'; '.join(entry.doubts)}", file=sys.stderr, flush=True)
    return apart(entry.row, cast(Kind, entry.server), entry.seed, times, src)


def main() -> int:
    """The exit code."""
    given = arguments()
    kinds = KINDS if given.server == "both" else (given.server,)
    if given.json:
        entry = play(ROWS[given.rows[0]], kinds[0], given.seed, given.times, given.src)
        print(msgspec.json.encode(entry).decode())
        return 0
    with ThreadPoolExecutor(given.at_once) as pool:
        if given.seeded:
            return seeded.main(given.bugs, pool, apart, kinds[0], given.seed, given.out)
        plays = [(row, kind, given.seed, given.times, given.src) for row in given.rows for kind in kinds if kind in ROWS[row].kinds]
        beside = [pool.submit(apart, *each) for each in plays if not ROWS[each[0]].alone]
        entries = [each.result() for each in beside] + [apart(*each) for each in plays if ROWS[each[0]].alone]
    entries = [surely(entry, given.times, given.src) for entry in entries]
    print(ledger.table(entries))
    rows = ["all"] if given.rows == list(ROWS) else given.rows
    again = f"python -m chaos {' '.join(rows)} --server {given.server} --seed {given.seed} --times {given.times}"
    print(f"again: {again}")
    if given.out:
        given.out.write_bytes(ledger.kept(again, entries))
    return int(any(entry.why_red for entry in entries))


if __name__ == "__main__":
    sys.exit(main())
