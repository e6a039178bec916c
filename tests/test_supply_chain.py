"""What is released: the same bytes wherever it is built, nothing in it that is not meant, everything pinned by its hash; and who may release."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from test_dangerous_calls import AT_IMPORT

ROOT = Path(__file__).parents[1]
LOCKS = sorted([ROOT / "requirements.lock", *(ROOT / "tools" / "requirements").glob("*.txt")])
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PACKAGES = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==([^ ;\\]+)", re.MULTILINE)
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def git(*words: str, cwd: Path = ROOT) -> str:
    """What git says."""
    return subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with what is here now, committed: also what is not yet, so that a test fails before the commit and not after it."""
    folder = tmp_path_factory.mktemp("tree") / "of some name"
    folder.mkdir()
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    for name in [name for name in names if (ROOT / name).is_file()]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / name).chmod((ROOT / name).stat().st_mode)
    git("init", "-q", cwd=folder)
    git("add", "-A", cwd=folder)
    git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "x", cwd=folder)
    return folder


def build(tree: Path, out: Path, umask: int, **env: str) -> dict[str, bytes]:
    """The distributions."""
    command = [sys.executable, str(tree / "tools" / "dist.py"), "--out", str(out)]
    done = subprocess.run(command, cwd=out.parent, env={**os.environ, **env}, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in out.iterdir() if path.name != ".gitignore"}


@pytest.fixture(scope="module")
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return build(tree, tmp_path_factory.mktemp("first") / "dist", 0o022)


def test_they_are_the_same_bytes_elsewhere_and_later(built: dict[str, bytes], tree: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "another place"
    elsewhere.mkdir()
    git("clone", "-q", str(tree), str(elsewhere / "clone"))
    (elsewhere / "clone" / "src" / "chute" / "left.py").write_text("lies about and is not committed")
    (elsewhere / "clone" / "README.md").write_text("changed and not committed")
    for path in (elsewhere / "clone").rglob("*.py"):
        os.utime(path, (0, 0))
    again = build(elsewhere / "clone", elsewhere / "dist", 0o077, TZ="Asia/Tokyo", LC_ALL="C", SOURCE_DATE_EPOCH="1", HOME=str(tmp_path))
    assert again.keys() == built.keys() == {f"chute-{VERSION}-py3-none-any.whl", f"chute-{VERSION}.tar.gz"}
    assert again == built


def test_the_wheel_has_the_package_and_nothing_else(built: dict[str, bytes], tree: Path, tmp_path: Path) -> None:
    (tmp_path / "wheel").write_bytes(built[f"chute-{VERSION}-py3-none-any.whl"])
    with zipfile.ZipFile(tmp_path / "wheel") as wheel:
        has = {name: wheel.read(name) for name in wheel.namelist() if not name.endswith("/")}
    info = {f"chute-{VERSION}.dist-info/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    package = git("ls-files", "src/chute", cwd=tree).split()
    assert has.keys() - info == {name.removeprefix("src/") for name in package}
    assert info <= has.keys()
    assert {Path(name).suffix for name in package} == {".py", ".lua", ".md", ".typed"}
    for name in package:
        assert has[name.removeprefix("src/")] == (tree / name).read_bytes(), name


def test_the_source_distribution_is_the_repository(built: dict[str, bytes], tree: Path, tmp_path: Path) -> None:
    (tmp_path / "sdist").write_bytes(built[f"chute-{VERSION}.tar.gz"])
    with tarfile.open(tmp_path / "sdist") as sdist:
        files = {each.name.partition("/")[2]: sdist.extractfile(each) for each in sdist if each.isfile()}
        has = {name: file.read() for name, file in files.items() if file}
    assert has.pop("PKG-INFO").startswith(b"Metadata-Version")
    assert (
        tomllib.loads(has.pop("pyproject.toml").decode())["project"]["version"] == VERSION
    )  # as the builder read it; the file itself is beside it
    has["pyproject.toml"] = has.pop("pyproject.toml.orig")
    names = git("ls-files", "-z", cwd=tree).rstrip("\0").split("\0")
    assert has.keys() == set(names)
    assert [name for name in names if has[name] != (tree / name).read_bytes()] == []


def needed(name: str, known: dict[str, metadata.Distribution]) -> dict[str, metadata.Distribution]:
    """The distributions that one needs here, without extras, as they are installed."""
    for requirement in map(Requirement, metadata.distribution(name).requires or ()):
        if requirement.name not in known and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            known[requirement.name] = metadata.distribution(requirement.name)
            needed(requirement.name, known)
    return known


def test_the_wheel_alone_does_nothing_when_it_is_imported(built: dict[str, bytes], tmp_path: Path) -> None:
    """In an environment with what it needs and nothing else."""
    uv, python = Path(sys.executable).parent / "uv", tmp_path / "empty" / "bin" / "python"
    wheel = tmp_path / f"chute-{VERSION}-py3-none-any.whl"
    wheel.write_bytes(built[wheel.name])
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, tmp_path / "empty"], check=True)
    (packages,) = (tmp_path / "empty" / "lib").glob("python*/site-packages")
    for each in needed("chute", {}).values():
        for file in [file for file in each.files or () if ".." not in file.parts and "__pycache__" not in file.parts]:
            (packages / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), packages / file)
    subprocess.run([uv, "pip", "install", "-q", "--offline", "--no-deps", "--python", python, wheel], check=True)
    before = set((tmp_path / "empty").rglob("*"))
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run([python, "-B", "-c", AT_IMPORT], cwd=home, env={"HOME": str(home)}, capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:2] == ["0", "1"], done.stdout + done.stderr
    assert set((tmp_path / "empty").rglob("*")) == before
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_everything_that_is_pinned_has_its_hashes(lock: Path) -> None:
    text = lock.read_text()
    packages = PACKAGES.findall(text)
    assert len(packages) > 10
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert len(blocks) == len(packages), "each is pinned to one version"
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block.partition("\n")[0]
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links|--trusted-host", text), "no addresses"


def test_what_a_release_lists_is_what_was_tested() -> None:
    tested = set(PACKAGES.findall((ROOT / "requirements.lock").read_text()))
    listed = set(PACKAGES.findall((ROOT / "tools" / "requirements" / "runtime.txt").read_text()))
    assert listed <= tested
    assert {"redis", "hiredis", "msgspec", "click", "rich"} <= {name for name, _ in listed}


def jobs(workflow: Path) -> dict[str, Any]:
    """The jobs of a workflow."""
    return dict(yaml.safe_load(workflow.read_text())["jobs"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_nothing_but_what_a_job_says(workflow: Path) -> None:
    whole = yaml.safe_load(workflow.read_text())
    assert whole["permissions"] == {}
    for name, job in jobs(workflow).items():
        assert "permissions" in job, name
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False
            assert "${{" not in step.get("run", ""), "what somebody else writes must not become a command"
    for line in re.findall(r"uses: *(.*)", workflow.read_text()):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", line), line
    assert "pull_request_target" not in workflow.read_text()
    assert "workflow_run" not in workflow.read_text()


def test_an_action_has_one_version_everywhere() -> None:
    used = {line for workflow in WORKFLOWS for line in re.findall(r"uses: *(.*)", workflow.read_text())}
    assert len(used) == len({line.partition("@")[0] for line in used})


def test_only_one_job_can_publish_and_nothing_strange_comes_into_it() -> None:
    release = ROOT / ".github" / "workflows" / "release.yml"
    whole = yaml.safe_load(release.read_text())
    assert whole[True] == {"push": {"tags": ["v*"]}}, "`on`, which YAML takes for a truth"
    those = jobs(release)
    assert [name for name, job in those.items() if "id-token" in job["permissions"]] == ["publish"]
    assert those["publish"]["environment"]["name"] == "pypi"
    assert [name for name, job in those.items() if "checkout" in str(job)] == ["build"], "who publishes runs nothing of the repository"
    assert {"write"} == {right for job in those.values() for right in job["permissions"].values()} - {"read"}
    assert "cache" not in re.sub(r"--no-cache-dir|\.cache/release|# .*", "", release.read_text())
    assert "secrets." not in release.read_text(), "there is no token that could be stolen"
    assert those["compare"]["needs"] == "build"
    assert those["publish"]["needs"] == "compare"


def test_the_workflows_are_audited() -> None:
    zizmor = ROOT / ".cache" / "release" / "bin" / "zizmor"
    if not zizmor.exists():
        pytest.skip("zizmor is not here; `make audit` brings it, and runs it")
    command = [zizmor, "--offline", "--no-progress", "--persona=pedantic", ".github"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
