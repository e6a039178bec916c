"""A real Prometheus of a test's own: a free loopback port, a directory that goes with it, a look at its targets every second."""

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import yaml

from servers import free_port, short_directory, until

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "chute.rules.yml"
DASHBOARDS = ROOT / "deploy" / "grafana"
ALERTS: list[dict[str, Any]] = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def installed() -> bool:
    """Whether prometheus and its promtool are in PATH."""
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


class Series(NamedTuple):
    """One series of an answer: its labels, and (Unix time, value) each."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


class Prometheus:
    """Scrapes `targets`, by the name of their job. Ends with its `with` block."""

    def __init__(self, targets: Mapping[str, Sequence[str]]) -> None:
        self._home = short_directory()
        self._base = f"http://127.0.0.1:{free_port()}"
        jobs = [{"job_name": job, "static_configs": [{"targets": list(each)}]} for job, each in targets.items()]
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)], "scrape_configs": jobs}
        (self._home / "prometheus.yml").write_text(yaml.safe_dump(config))

    def __enter__(self) -> Self:
        listen = f"--web.listen-address={urllib.parse.urlsplit(self._base).netloc}"
        places = [f"--config.file={self._home}/prometheus.yml", f"--storage.tsdb.path={self._home}/data"]
        with (self._home / "log").open("wb") as log:
            self._process = subprocess.Popen(["prometheus", listen, *places], cwd=self._home, stdout=log, stderr=log)
        if not until(self._ready, 20):
            text = (self._home / "log").read_text()
            self.__exit__()
            raise RuntimeError(f"Prometheus is not ready: {text[-2000:]}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()  # nothing in it is worth a clean stop
        self._process.wait()
        shutil.rmtree(self._home)

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """The answer at a moment; a range vector gives the samples as they were scraped."""
        result = self._get("query", query=expression, **({} if at is None else {"time": f"{at:.3f}"}))
        if result["resultType"] in ("scalar", "string"):
            return [Series({}, _points([result["result"]]))]
        return [Series(each["metric"], _points(each.get("values") or [each["value"]])) for each in result["result"]]

    def over(self, expression: str, start: float, end: float, step: float = 1) -> list[Series]:
        """The answer over a time, as a panel asks for it."""
        result = self._get("query_range", query=expression, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:g}")
        return [Series(each["metric"], _points(each["values"])) for each in result["result"]]

    def value(self, expression: str, at: float | None = None) -> float:
        """Of an answer that is one series with one value."""
        (series,) = self.query(expression, at)
        ((_, value),) = series.points
        return value

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its state and health."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def types(self) -> dict[str, str]:
        """What kind of series each is, by the names that targets give them."""
        return {name: each[0]["type"] for name, each in self._get("metadata").items()}

    def names(self, match: str, label: str) -> list[str]:
        """The values of a label, as the variable of a dashboard asks for them."""
        found: list[str] = self._get(f"label/{label}/values", **{"match[]": match})
        return found

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"{self._base}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own Prometheus
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(f"{json.load(error)['error']}: {parameters}") from None

    def _ready(self) -> bool:
        if self._process.poll() is not None:
            return True  # what asks next says that it is gone
        try:
            with urllib.request.urlopen(f"{self._base}/-/ready", timeout=1) as answer:  # noqa: S310 - our own Prometheus
                return bool(answer.status == 200)
        except OSError:
            return False


def _points(pairs: Sequence[Sequence[Any]]) -> list[tuple[float, float]]:
    return [(float(at), float(value)) for at, value in pairs]
