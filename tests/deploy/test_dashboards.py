"""The dashboards are whole: whoever reads a panel learns what it means, in which unit, and from when on to worry."""

import re
from typing import Any

import pytest

from deploy.boards import BOARDS
from deploy.prometheus import ROOT

PANELS = [(name, panel) for name, board in BOARDS.items() for panel in board["panels"]]
ANY_PANEL = pytest.mark.parametrize(("name", "panel"), PANELS, ids=lambda each: each["title"] if isinstance(each, dict) else each)
NO_LIMIT = {
    "Ready", "Running", "Finished", "Depth", "Finished by queue", "Dead letters by queue", "Server memory", "Commands refused", "Versions", "Jobs by state",
    "Outcomes", "Duration", "Finished by task", "Duration by task, p90", "Slots in use", "Claimed and ended",
}  # fmt: skip
"""Panels of which no number is good or bad everywhere."""


def test_there_are_two() -> None:
    assert {name: board["title"] for name, board in BOARDS.items()} == {"overview": "Chute: overview", "queue": "Chute: queue"}


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_can_be_imported_anywhere(name: str) -> None:
    board = BOARDS[name]
    assert board["schemaVersion"] == 41
    assert board["uid"] == f"chute-{name}"
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert variables.keys() == {"datasource", "queue"}
    assert variables["queue"]["definition"] == "label_values(queue_depth, queue)"
    for panel in board["panels"]:
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_the_picture_shows_the_panels_of_a_queue() -> None:
    titles = set(re.findall(r'font-weight="600" font-size="12">([^<]+)<', (ROOT / "docs" / "images" / "panels.svg").read_text()))
    ours = {name: {panel["title"] for panel in board["panels"] if panel["type"] == "timeseries"} for name, board in BOARDS.items()}
    assert ours["queue"] <= titles <= ours["queue"] | ours["overview"], "python tools/panels.py draws them anew"


@ANY_PANEL
def test_a_panel_explains_itself(name: str, panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert panel["description"].endswith(".")
    limits = defaults["thresholds"]["steps"]
    assert len(limits) > 1 or panel["title"] in NO_LIMIT
    assert all(target["legendFormat"] for target in panel["targets"])


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_beside_each_other(name: str) -> None:
    taken = set[tuple[int, int]]()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in BOARDS[name]["panels"]}) == len(BOARDS[name]["panels"])
