"""The alerts, by promtool: the files are valid, each alert fires where it should, and says what to do."""

import re
import subprocess
from typing import Any

import pytest

from chute.cli.commands import COMMANDS
from deploy.prometheus import ALERTS, RULES

pytestmark = pytest.mark.usefixtures("a_prometheus")

FOLDER = RULES.parent


def promtool(*words: str) -> str:
    done = subprocess.run(["promtool", *words], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_files_are_valid() -> None:
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", RULES.name)
    promtool("check", "config", "prometheus.yml")


def test_each_alert_fires_and_is_silent_while_all_is_well() -> None:
    promtool("test", "rules", "chute.rules.test.yml")
    fired = set(re.findall(r'alertname="(\w+)",alertstate="firing"', (FOLDER / "chute.rules.test.yml").read_text()))
    assert fired == {alert["alert"] for alert in ALERTS}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("warning", "critical")
    summary, description = alert["annotations"]["summary"], alert["annotations"]["description"]
    assert "\n" not in summary
    commands = re.findall(r"`chute (\w+)", description)
    assert commands, "it names no command to look with"
    assert {*commands} <= {*COMMANDS}
