"""`python -m fuzz [TARGET...] [--seconds N] [--at-once N]`: tries targets, prints a line for each, exits with 1 when there is a finding."""

import argparse
import importlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec

from fuzz import ROOT
from fuzz.play import Report, play

TARGETS = ("envelope", "result", "address", "names", "logs", "spans", "replies")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m fuzz",
        description="Tries what takes bytes, text and objects of others with hostile ones.",
        epilog="\n".join(f"{name}  {_module(name).WHAT}" for name in TARGETS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="of those below (default: all)")
    parser.add_argument("--seconds", type=float, default=60, help="for each target (default 60)")
    parser.add_argument("--at-once", type=int, default=1, help="targets that are tried side by side, each in a process (default 1)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the same values again")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.targets = given.targets or list(TARGETS)
    if unknown := [name for name in given.targets if name not in TARGETS]:
        parser.error(f"no target {unknown[0]}; there are {' '.join(TARGETS)}")
    return given


def apart(name: str, seconds: float, seed: int) -> Report:
    """Tries a target in a process of its own."""
    command = [sys.executable, "-m", "fuzz", name, "--seconds", str(seconds), "--seed", str(seed), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:  # a crash of the process itself is the worst finding of all
        return Report(name, 0, 0, [f"{name} with seed {seed} ended its process ({done.returncode}): {done.stderr[-2000:]}"])
    return msgspec.json.decode(done.stdout, type=Report)


def line(report: Report) -> str:
    """What people read of a target."""
    rate = report.executions / report.seconds if report.seconds else 0
    return (
        f"{report.target:9} {report.executions:>10,} executions in {report.seconds:3.0f} s ({rate:,.0f}/s)  {len(report.findings)} findings"
    )


def main() -> int:
    """The exit code."""
    given = arguments()
    if given.json:
        print(msgspec.json.encode(play(given.targets[0], _module(given.targets[0]), given.seconds, given.seed)).decode())
        return 0
    findings: list[str] = []
    with ThreadPoolExecutor(given.at_once) as pool:
        for report in pool.map(lambda name: apart(name, given.seconds, given.seed), given.targets):
            print(line(report), flush=True)
            findings += report.findings
    for each in findings:
        print(f"\n{each}", file=sys.stderr)
    if findings:
        print(f"again: python -m fuzz {' '.join(given.targets)} --seconds {given.seconds:g} --seed {given.seed}", file=sys.stderr)
    return int(bool(findings))


def _module(name: str):  # type: ignore[no-untyped-def]  # a module is the target
    return importlib.import_module(f"fuzz.targets.{name}")


if __name__ == "__main__":
    sys.exit(main())
