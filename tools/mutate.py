"""Mutation testing: small wrong changes to the engine's core and to who calls the scripts, one at a time; the tests must notice each.

`python tools/mutate.py [MODULE...] [--at-once N]` makes every change that cosmic-ray knows to a copy of each module and runs that module's tests. It
prints what nobody noticed, and fails where that is not in `tools/survivors.txt`, which says of each why it changes nothing that a test could see.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / ".cache" / "mutation" / "bin" / "cosmic-ray"
PYTHON = ROOT / ".venv" / "bin" / "python"
SURVIVORS = ROOT / "tools" / "survivors.txt"
TIMEOUT = 60
"""Seconds after which a changed module counts as noticed: it hangs."""
MODULES = {
    "holdings": "tests/scripts tests/worker/test_claim.py tests/worker/test_finish.py tests/worker/test_search.py",
    "script": "tests/test_script.py",
    "worker/beats": "tests/worker/test_beats.py",
    "worker/charge": "tests/worker/test_charge.py",
    "worker/claim": "tests/worker/test_claim.py",
    "worker/finish": "tests/worker/test_finish.py",
    "worker/lane": "tests/worker/test_lane.py tests/worker/test_claim.py",
    "worker/search": "tests/worker/test_search.py",
    "worker/slots": "tests/worker/test_slots.py tests/worker/test_claim.py tests/worker/test_start.py",
    "worker/start": "tests/worker/test_start.py tests/worker/test_execute.py",
    "worker/verdict": "tests/worker/test_execute.py",
}
"""Each module, and the tests that must notice."""


@dataclass(frozen=True)
class Mutant:
    """One change that was made. `noticed`: a test failed, or hung."""

    module: str
    name: str
    diff: tuple[str, ...]
    noticed: bool

    @property
    def line(self) -> str:
        """The line as it was, and as it is in the mutant."""
        old = [line[1:].strip() for line in self.diff if line.startswith("-") and not line.startswith("---")]
        new = [line[1:].strip() for line in self.diff if line.startswith("+") and not line.startswith("+++")]
        return f"{self.module}: {' '.join(old)}  ->  {' '.join(new)}"


def mutants(module: str) -> list[Mutant]:
    """Every change to one module, played."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        for each in ("src", "tests", "chaos", "benchmarks", "deploy", "examples", "docs", "tools"):
            shutil.copytree(ROOT / each, here / each, ignore=shutil.ignore_patterns("__pycache__"))
        for each in ("pyproject.toml", "README.md", "Makefile", "ARCHITECTURE.md", "CHANGELOG.md"):
            shutil.copy(ROOT / each, here)
        config = here / "cosmic-ray.toml"
        tests = f"{PYTHON} -B -m pytest -x -q -p no:cacheprovider {MODULES[module]}"
        config.write_text(
            f'[cosmic-ray]\nmodule-path = "src/chute/{module}.py"\ntimeout = {TIMEOUT}\nexcluded-modules = []\n'
            f'test-command = "env PYTHONPATH=src {tests}"\n[cosmic-ray.distributor]\nname = "local"\n'
        )
        for words in (["baseline", config], ["init", config, "session.sqlite"], ["exec", config, "session.sqlite"]):
            subprocess.run([PROGRAM, *map(str, words)], cwd=here, check=True, stdout=subprocess.DEVNULL)
        dumped = subprocess.run([PROGRAM, "dump", "session.sqlite"], cwd=here, check=True, capture_output=True, text=True).stdout
    return [_read(module, *json.loads(line)) for line in dumped.splitlines()]


def _read(module: str, work: dict[str, list[dict[str, object]]], result: dict[str, object] | None) -> Mutant:
    (mutation,) = work["mutations"]
    diff = tuple(str(result["diff"]).splitlines()) if result and result.get("diff") else ()
    noticed = result is not None and result.get("test_outcome") in {"killed", "TestOutcome.KILLED"}
    return Mutant(module, f"{mutation['operator_name']} {mutation['occurrence']}", diff, noticed)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)} (default: all)")
    parser.add_argument("--at-once", type=int, default=2)
    given = parser.parse_args()
    answered = {line.split("  # ")[0] for line in SURVIVORS.read_text().splitlines()} if SURVIVORS.exists() else set()
    unanswered = 0
    with ThreadPoolExecutor(given.at_once) as pool:
        for module, made in zip(given.modules or MODULES, pool.map(mutants, given.modules or MODULES), strict=True):
            left = [each for each in made if not each.noticed]
            new = [each for each in left if each.line not in answered]
            unanswered += len(new)
            print(f"{module}: {len(made) - len(left)} of {len(made)} noticed, {len(left) - len(new)} answered, {len(new)} left", flush=True)
            for each in new:
                print(f"  {each.line}", flush=True)
    return int(unanswered > 0)


if __name__ == "__main__":
    sys.exit(main())
