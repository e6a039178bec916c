"""The Dockerfile and compose.yaml, as far as they can be judged without an engine. What the steps of the Dockerfile make is run in test_run.py."""

import copy
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.dockerfile import FILE, context, stages
from deploy.faults import AFTER_GRACE
from deploy.image import build
from deploy.prometheus import DASHBOARDS, ROOT, RULES

FOLDER = FILE.parent
COMPOSE = FOLDER / "compose.yaml"
HADOLINT = Path(sys.executable).parent / "hadolint"
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the wheels of these linters are for Linux only")


def lint(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HADOLINT, path], capture_output=True, text=True, check=False)


@on_linux
def test_the_dockerfile_has_no_lint(tmp_path: Path) -> None:
    done = lint(FILE)
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "Dockerfile").write_text(FILE.read_text().replace('ENTRYPOINT ["chute"]', "ENTRYPOINT chute"))
    assert "DL3025" in lint(tmp_path / "Dockerfile").stdout, "it would not see a shell between the engine and chute"


def test_the_image_is_what_it_should_be() -> None:
    first, last = stages()
    assert first.base.partition(" ")[0] == last.base
    assert last.command == ["chute"]
    assert last.last("USER") == "65532:65532"
    assert last.last("STOPSIGNAL") == "SIGTERM"
    assert not last.all("HEALTHCHECK")
    assert not last.all("RUN"), "what the last stage runs is in the image with all that it leaves behind"
    assert last.env["HOME"] == "/tmp"
    assert last.env["PYTHONDONTWRITEBYTECODE"] == "1"


def test_only_what_is_hashed_is_installed_and_nothing_of_development() -> None:
    (install,) = [step for step in stages()[0].all("RUN") if "--require-hashes" in step]
    assert re.findall(r"--extra (\w+)", install) == ["metrics", "fast"]
    assert not re.search(r"--group|--all-extras|--no-cache-dir", install)
    (uv,) = [step for step in stages()[0].all("RUN") if step.startswith("pip install")]
    assert re.findall(r'"(uv.*)"', uv) == re.findall(r"'(uv>=[^']*)'", (ROOT / "Makefile").read_text())[:1]


def test_the_context_has_what_is_copied_and_no_more() -> None:
    named = {path.name for path in context()}
    assert all(path.exists() for path in context())
    copied = {name for step in stages()[0].all("COPY") for name in step.split()[:-1]}
    assert copied == named


@pytest.mark.usefixtures("a_root")
def test_a_file_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    before, name, after = (ROOT / "requirements.lock").read_text().partition("\nmsgspec==")
    ours, end, after = re.split(r"(\n(?=\w))", after, maxsplit=1)
    lock = tmp_path / "requirements.lock"
    lock.write_text(before + name + re.sub(r"sha256:\w+", f"sha256:{0:064}", ours) + end + after)
    (tmp_path / "image").mkdir()
    with pytest.raises(AssertionError, match="Hash mismatch for `msgspec"):
        build(tmp_path / "image", lock)


def services(text: str = COMPOSE.read_text()) -> dict[str, Any]:
    """With the defaults of its variables, as compose puts them in."""
    found: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    return found


def faults(compose: dict[str, Any]) -> Iterator[str]:
    """What is wrong with it beyond its schema."""
    for name, each in compose["services"].items():
        yield from (f"{name}: {fault}" for fault in _service(each, compose))
        yield from (f"{name}: {fault}" for fault in _chute(each, compose))
    valkey = " ".join(compose["services"]["valkey"]["command"])
    if not all(part in valkey for part in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction")):
        yield "valkey: may lose jobs"


def _service(each: dict[str, Any], compose: dict[str, Any]) -> Iterator[str]:
    if not re.fullmatch(r"chute|[\w./-]+:v?\d[\w.-]*", each["image"]):
        yield "its image has no version"
    if "healthcheck" not in each:
        yield "has no healthcheck"
    yield from (f"{port} is open to others" for port in each.get("ports", []) if not port.startswith("127.0.0.1:"))
    sources = [volume.split(":")[0] for volume in each.get("volumes", [])]
    there = [(FOLDER / source).exists() if source.startswith(".") else source in compose["volumes"] for source in sources]
    yield from (f"there is no {source}" for source, found in zip(sources, there, strict=True) if not found)
    names = {config["source"] for config in each.get("configs", [])} - compose.get("configs", {}).keys()
    names |= each.get("depends_on", {}).keys() - compose["services"].keys()
    yield from (f"there is no {name}" for name in names)


def _chute(each: dict[str, Any], compose: dict[str, Any]) -> Iterator[str]:
    if each["image"] != "chute":
        return
    if grace := re.search(r"--grace=(\d+)", " ".join(each["command"])):
        if each.get("stop_grace_period") != f"{int(grace[1]) + AFTER_GRACE}s":
            yield "is killed too early"
        if each.get("init") is not True:
            yield "nobody waits for orphans"
    host = each["environment"]["CHUTE_URL"].removeprefix("redis://").partition(":")[0]
    if host not in compose["services"] or each["depends_on"].get(host) != {"condition": "service_healthy"}:
        yield f"there is no server {host}"
    if each.get("cap_drop") != ["ALL"] or each.get("read_only") is not True or "no-new-privileges:true" not in each.get("security_opt", []):
        yield "may do more than it needs"
    if (FOLDER / each["build"]["context"]).resolve() != ROOT or (ROOT / each["build"]["dockerfile"]) != FILE:
        yield "is built of something else"


@on_linux
def test_compose_takes_it() -> None:
    from compose_spec import PyCompose

    PyCompose.from_yaml(yaml.safe_dump(services()))
    with pytest.raises(ValueError, match="prots"):
        PyCompose.from_yaml(yaml.safe_dump(services(COMPOSE.read_text().replace("ports:", "prots:"))))


def test_nothing_is_wrong_with_compose() -> None:
    compose = services()
    assert list(faults(compose)) == []
    assert {name for name, each in compose["services"].items() if each.get("profiles") == ["monitoring"]} == {"prometheus", "grafana"}
    (rules,) = [each for each in compose["services"]["prometheus"]["volumes"] if "rules" in each]
    assert (FOLDER / rules.split(":")[0]).resolve() == RULES
    assert (FOLDER / compose["services"]["grafana"]["volumes"][0].split(":")[0]).resolve() == DASHBOARDS
    assert yaml.safe_load(compose["configs"]["dashboards"]["content"])["providers"][0]["options"]["path"] == "/var/lib/grafana/dashboards"
    assert yaml.safe_load(compose["configs"]["datasource"]["content"])["datasources"][0]["url"] == "http://prometheus:9090"


def test_what_prometheus_is_to_scrape_is_there() -> None:
    compose = services()
    jobs = {each["job_name"]: each for each in yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]}
    assert jobs["chute-queues"]["static_configs"] == [{"targets": ["metrics:9540"]}]
    assert "--port=9540" in compose["services"]["metrics"]["command"]
    (found,) = jobs["chute-workers"]["dns_sd_configs"]
    assert (found["names"], found["port"]) == (["worker"], 9541)
    assert "--metrics-port=9541" in compose["services"]["worker"]["command"]


@pytest.mark.usefixtures("a_prometheus")
def test_prometheus_takes_its_settings(tmp_path: Path) -> None:
    for path in (FOLDER / "prometheus.yml", RULES):
        shutil.copy(path, tmp_path)
    subprocess.run(["promtool", "check", "config", "prometheus.yml"], cwd=tmp_path, check=True, capture_output=True)


BROKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an image of no version": (lambda s: s["valkey"].update(image="valkey/valkey"), "has no version"),
    "no healthcheck": (lambda s: s["worker"].pop("healthcheck"), "has no healthcheck"),
    "an open port": (lambda s: s["metrics"].update(ports=["9540:9540"]), "open to others"),
    "a file that is not there": (lambda s: s["prometheus"]["volumes"].append("./x.yml:/x.yml"), "there is no ./x.yml"),
    "a volume that is not there": (lambda s: s["valkey"].update(volumes=["x:/data"]), "there is no x"),
    "a grace too short": (lambda s: s["worker"].update(stop_grace_period="10s"), "killed too early"),
    "orphans": (lambda s: s["worker"].pop("init"), "nobody waits"),
    "another server": (lambda s: s["worker"].update(environment={"CHUTE_URL": "redis://x:6379"}), "there is no server x"),
    "rights": (lambda s: s["metrics"].pop("cap_drop"), "may do more"),
    "eviction": (lambda s: s["valkey"]["command"].pop(), "may lose jobs"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_found(name: str) -> None:
    compose = copy.deepcopy(services())
    change, said = BROKEN[name]
    change(compose["services"])
    assert [fault for fault in faults(compose) if said in fault]
