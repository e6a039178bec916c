"""`python -m benchmarks [SCENARIO...]`: plays rounds of scenarios in turn and writes what they came to."""

import argparse
import sys
import time
from pathlib import Path

import msgspec

from benchmarks import ROOT, drains, enqueues, peer_drains, report, waits
from benchmarks.figures import Figure
from benchmarks.peers import PEERS
from benchmarks.report import Run
from benchmarks.scenario import Round, Scenario
from servers import Kind

OWN = {each.name: each for each in (*drains.SCENARIOS, *enqueues.SCENARIOS, *waits.SCENARIOS)}
KINDS: tuple[Kind, ...] = ("redis", "valkey")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="How fast Chute is, beside its ceiling and its peers.",
        epilog="\n".join(
            [*(f"{each.name:20}{each.what}" for each in OWN.values()), f"{'peers':20}the first of them on {', '.join(PEERS)}"]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="of those below (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--server", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--scale", type=float, default=1.0, help="so many times as many jobs")
    parser.add_argument("--own", action="store_true", help="without the peers, whose environments are downloaded")
    parser.add_argument("--out", type=Path, help="folder for the figures, the tables and the plot (default: only print)")
    given = parser.parse_args()
    if unknown := [name for name in given.scenarios if name not in OWN and name != "peers" and name not in PEERS]:
        parser.error(f"no scenario {unknown[0]}; there are {', '.join([*OWN, 'peers', *PEERS])}")
    return given


def chosen(names: list[str], *, own: bool) -> list[tuple[Scenario, bool]]:
    """What is to be played, and whether it is a peer: those have no need of a second kind of server."""
    names = names or ([*OWN] if own else [*OWN, "peers"])
    ours = [(OWN[name], False) for name in OWN if name in names]
    wanted = list(PEERS) if "peers" in names else [name for name in PEERS if name in names]
    return ours + [(each, True) for each in peer_drains.scenarios(wanted)]


def play(scenarios: list[tuple[Scenario, bool]], kinds: list[Kind], options: argparse.Namespace) -> list[Figure]:
    """All rounds, each of all scenarios."""
    figures = list[Figure]()
    for number in range(options.rounds):
        for scenario, is_peer in scenarios:
            for kind in kinds[:1] if is_peer else kinds:
                began = time.monotonic()
                now = Round(kind, options.scale, ceiling_first=number % 2 == 0)
                new = [Figure(scenario.name, kind, *measured) for measured in scenario.play(now)]
                figures += new
                said = "  ".join(f"{each.system} {each.value:,.6g} {each.quantity}" for each in new[:4])
                print(
                    f"round {number + 1}  {kind:7}{scenario.name:20}{time.monotonic() - began:5.0f} s  {said}", file=sys.stderr, flush=True
                )
    return figures


def main() -> None:
    """Plays, and writes the report."""
    options = arguments()
    kinds: list[Kind] = [kind for kind in KINDS if options.server in {kind, "both"}]
    scenarios = chosen(options.scenarios, own=options.own)
    peers = [PEERS[scenario.what].versions() for scenario, is_peer in scenarios if is_peer]
    machine = report.machine([*report.server_versions(kinds), *peers])
    run = Run(machine, play(scenarios, kinds, options))
    print(report.text(run))
    if options.out:
        write(run, ROOT / options.out)


def write(run: Run, folder: Path) -> None:
    """The figures themselves, the tables, the plot."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))
    (folder / "tables.md").write_text(report.text(run))
    if any(figure.quantity == "jobs/s" for figure in run.figures):
        (folder / "drain.svg").write_text(report.plot(run))


main()
