"""What a worker does whose user shows as much as can be shown: every variable of every frame, every object, and errors to everybody.

Works as a module for `chute work`, with SHOWN_TO = a folder for what is shown elsewhere than on the screen.
"""

import asyncio
import faulthandler
import json
import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path

import rich.traceback
import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

import chute
from canary import found_in_objects
from chute.sentry import ChuteIntegration
from showing import show, show_error

FOLDER = Path(os.environ["SHOWN_TO"])


class Written(Transport):
    """Writes what would be sent into a file."""

    def capture_envelope(self, envelope: Envelope) -> None:
        with (FOLDER / f"sentry-{os.getpid()}").open("a") as out:
            out.write(json.dumps([item.payload.json for item in envelope.items], default=repr, indent=1))


sentry_sdk.init(
    dsn="https://public@sentry.invalid/1",
    transport=Written(),
    integrations=[ChuteIntegration()],
    send_default_pii=True,
    traces_sample_rate=1.0,
)
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=(FOLDER / f"spans-{os.getpid()}").open("a"))))
trace.set_tracer_provider(provider)
logging.getLogger().setLevel(logging.DEBUG)
rich.traceback.install(show_locals=True, width=300)
jobs = chute.Queue("jobs")


def show_everything() -> None:
    """Every frame above this one with its variables, every thread, and every object."""
    stack = traceback.StackSummary.extract(traceback.walk_stack(sys._getframe()), capture_locals=True)
    show("".join(stack.format()))
    faulthandler.dump_traceback(all_threads=True)
    for each in (jobs, jobs.tasks, chute.context(), jobs.endpoint, jobs.endpoint.address, jobs.job("x")):
        show(f"{each!r} {each}")
    for line in found_in_objects():
        show(line)


@jobs.task
async def everything() -> str:
    """On the loop."""
    show_everything()
    for task in asyncio.all_tasks():
        show(repr(task))
        for frame in [each for each in task.get_stack() if "redis" not in Path(each.f_code.co_filename).parts]:  # which may log in just now
            show("".join(traceback.StackSummary.extract(iter([(frame, frame.f_lineno)]), capture_locals=True).format()))
    return "shown"


@jobs.task
def threaded() -> str:
    """In a thread, with a process of its own."""
    show_everything()
    shown = subprocess.run([sys.executable, "-c", "import os, sys; print(sys.orig_argv, os.environ)"], capture_output=True, check=True)
    show(shown.stdout.decode())
    return "shown"


@jobs.task(retries=0)
async def fails() -> None:
    """With an error of its own."""
    raise RuntimeError("as meant")


@jobs.task(retries=0)
async def unreachable() -> None:
    """With an error of Chute's, and all that is behind it."""
    try:
        await jobs.adepth()
    except chute.errors.ChuteError as error:
        show_error(error)
        raise
