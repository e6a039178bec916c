"""Looks for known weaknesses: in the workflows (zizmor), and in everything that requirements.lock and tools/requirements pin (pip-audit).

The workflows are judged without a network. Vulnerabilities are known to PyPI's own service alone: where that cannot be asked, as behind a mirror
that has only the packages, this says so and does not fail, unless AUDIT_ALL=1 as in the workflow of the repository.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ROOT / ".cache" / "release" / "bin"
LOCKS = ("tools/requirements/runtime.txt", "tools/requirements/release.txt", "requirements.lock")


def workflows() -> bool:
    """Whether zizmor has nothing to say."""
    return (
        subprocess.run(
            [PROGRAMS / "zizmor", "--offline", "--no-progress", "--persona=pedantic", ".github"], cwd=ROOT, check=False
        ).returncode
        == 0
    )


def pinned(lock: str) -> dict[str, Any]:
    """What pip-audit says of a lock: what is vulnerable, and what was not looked at; nothing where the service cannot be reached."""
    words = [
        PROGRAMS / "pip-audit",
        "--requirement",
        lock,
        "--require-hashes",
        "--disable-pip",
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    asked = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    if not asked.stdout:
        print(asked.stderr.strip().rpartition("\n")[2][:300], file=sys.stderr)
        return {"dependencies": []}
    said: dict[str, Any] = json.loads(asked.stdout)
    return said


def main() -> int:
    """The exit code."""
    wrong = not workflows()
    for lock in LOCKS:
        found = pinned(lock)["dependencies"]
        looked_at = [each for each in found if "vulns" in each]
        for each in looked_at:
            for weakness in each["vulns"]:
                wrong = True
                print(
                    f"{lock}: {each['name']} {each['version']}: {weakness['id']}, fixed in {', '.join(weakness['fix_versions']) or 'none yet'}"
                )
        if looked_at and len(looked_at) == len(found):
            print(f"{lock}: {len(found)} packages, looked up")
            continue
        wrong = wrong or os.environ.get("AUDIT_ALL") == "1"
        print(f"{lock}: {len(looked_at)} of its packages were looked up. NOT AUDITED HERE: PyPI's vulnerability service does not answer")
        if not looked_at:
            break  # nor will it for the others
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
