"""The pages on containers and Kubernetes name what there is: files, folders, values, users, ports. What they show needs an engine or a cluster."""

import re
import subprocess
from pathlib import Path

import yaml

from deploy.faults import MADE_BY_HAND, kinds
from deploy.manifests import BUILDS, FOLDER, selected
from deploy.manifests import build as built
from deploy.test_containers import HADOLINT, on_linux, services
from deploy.users import MANIFEST, rules
from docs.pages import DOCS, ROOT

CONTAINERS, KUBERNETES = ((DOCS / f"{name}.md").read_text() for name in ("containers", "kubernetes"))


def rows(text: str, head: str) -> list[str]:
    """The names in the first column of the table with that head."""
    table = re.split(r"\n\n", text.partition(f"| {head} |")[2])[0]
    return [name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_every_path_is_there() -> None:
    for path in re.findall(r"\b((?:deploy|examples)/[\w./-]*\w)", CONTAINERS + KUBERNETES):
        assert (ROOT / path).exists(), path
    assert {path.removeprefix("deploy/kubernetes/") for path in re.findall(r"apply -k (\S+)", KUBERNETES)} == {*BUILDS}


def test_every_file_is_explained() -> None:
    named = {path.rpartition("/")[2] for path in rows(KUBERNETES, "file in `deploy/kubernetes`")}
    there = {path.name for path in (FOLDER / "base").iterdir()} | {path.name for path in (FOLDER / "components").iterdir()}
    assert there <= named | {"kustomization.yaml"}


def test_every_value_is_explained_and_no_other() -> None:
    settings = yaml.safe_load((FOLDER / "base" / "settings.yaml").read_text())
    assert {*rows(KUBERNETES, "value")} == {*settings["data"]}


def test_every_user_has_a_password_and_an_explanation() -> None:
    assert {*rows(KUBERNETES, "user")} == {*rules(MANIFEST.read_text())} - {"default"}
    (name,) = MADE_BY_HAND
    made = re.search(rf"create secret generic {name} (.*?)```", KUBERNETES, re.DOTALL)
    assert made
    assert {*re.findall(r"--from-literal=(\w+)=", made[1])} == MADE_BY_HAND[name]


def test_every_port_of_the_machine_is_named() -> None:
    for name, each in services()["services"].items():
        for port in each.get("ports", []):
            assert f"localhost:{port.split(':')[1]}" in CONTAINERS, name


def test_the_policy_is_one_for_the_worker() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", KUBERNETES, re.DOTALL)
    policy = yaml.safe_load(block)
    assert not list(kinds([policy]))
    assert [each["metadata"]["name"] for each in selected(built("base"), policy["spec"]["podSelector"])] == ["worker"]


@on_linux
def test_the_dockerfile_on_top_has_no_lint(tmp_path: Path) -> None:
    (block,) = re.findall(r"```dockerfile\n(.*?)```", CONTAINERS, re.DOTALL)
    (tmp_path / "Dockerfile").write_text(block)
    done = subprocess.run([HADOLINT, "--ignore", "DL3006", tmp_path / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), "DL3006 wants a version, which is the user's"
