"""Builds both distributions from what is committed: the same bytes wherever and whenever. `python tools/dist.py [COMMIT] [--out FOLDER]`.

Nothing but the commit goes in, whatever else lies in the folder; nothing is downloaded, since uv is the build backend as well.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).parent / "uv"
GIT = shutil.which("git") or "git"
USUAL = 0o755


def build(commit: str, out: Path) -> list[Path]:
    """Both files, in that folder."""
    packed = subprocess.run([GIT, "archive", "--format=tar", commit], cwd=ROOT, check=True, capture_output=True).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=BytesIO(packed)) as tree:
            tree.extractall(folder, filter="tar")
        for path in Path(folder).rglob("*"):
            path.chmod(USUAL if path.is_dir() or path.stat().st_mode & 0o100 else USUAL & 0o666)  # whatever the umask is here
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        subprocess.run([UV, "build", "--quiet", "--offline", "--out-dir", out, folder], check=True, env=environment)
    return sorted(path for path in out.iterdir() if path.name.endswith((".whl", ".tar.gz")))


def main() -> None:
    """Builds and tells what came of it."""
    parser = argparse.ArgumentParser(description="Builds both distributions from what is committed.")
    parser.add_argument("commit", nargs="?", default="HEAD")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    given = parser.parse_args()
    for path in build(given.commit, given.out.resolve()):
        print(f"{sha256(path.read_bytes()).hexdigest()}  {path.name}")


if __name__ == "__main__":
    main()
