"""The scripts against the model of a queue; and with one wrong edit each, to show that the machine sees what it is for."""

import functools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from chute.script import SCRIPTS, Script
from queue_machine import QueueMachine
from servers import Server

pytestmark = pytest.mark.leaves("leases", "workers", "result")

OURS: Mapping[str, Script] = {script.name: script for script in SCRIPTS}
STEPS = settings(stateful_step_count=50, suppress_health_check=list(HealthCheck))

# Script, what stands there, and what stands there instead.
WRONG_EDITS = {
    "claim takes one too many out of the list": ("claim", "'LTRIM', KEYS[s], 0, -taken - 1)", "'LTRIM', KEYS[s], 0, -taken - 2)"),
    "claim holds only the first step": ("claim", "if #held > 0 then", "if #held > 0 and taken == 0 then"),
    "claim does not pass the wake on": ("claim", "  redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')\n", ""),
    "finish drops the lease without storing": ("finish", "ok = store(key, r[3], r, 4)", "ok = true"),
    "finish leaves fields of an earlier run": ("finish", "    try('DEL', key)\n", ""),
    "finish forgets to drop the lease": ("finish", "call('HDEL', leases, unpack(gone))", "call('HDEL', leases, gone[1])"),
    "release goes to the wrong end": ("finish", "try('RPUSH', KEYS[2], call('HGET'", "try('LPUSH', KEYS[2], call('HGET'"),
    "reclaim forgets a worker that holds something": ("reclaim", "if redis.call('EXISTS', KEYS[2]) == 0 then", "if true then"),
}


def run_machine(server: Server, scripts: Mapping[str, Script], given: settings) -> None:
    machine: Any = functools.partial(QueueMachine, server.client(), scripts)
    run_state_machine_as_test(machine, settings=given)


def test_the_scripts_do_what_the_model_does(server: Server) -> None:
    run_machine(server, OURS, settings(STEPS, max_examples=200, phases=[Phase.reuse, Phase.generate, Phase.shrink]))


@pytest.mark.parametrize(("name", "right", "wrong"), WRONG_EDITS.values(), ids=WRONG_EDITS)
def test_a_wrong_edit_is_found(server: Server, name: str, right: str, wrong: str) -> None:
    """Derandomized, so that what is found once is found each time; the first find is enough, small or not."""
    source = OURS[name].source
    assert source.count(right) == 1
    edited = {**OURS, name: Script(name, source.replace(right, wrong))}
    once = settings(STEPS, max_examples=300, derandomize=True, database=None, print_blob=False, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_machine(server, edited, once)
