"""Runs a function of an app under the app's own name, so that tasks are not called after `__main__`: run.py APP [FUNCTION]"""

import asyncio
import importlib
import inspect
import sys

app, function = (*sys.argv[1:], "enqueue")[:2]
done = getattr(importlib.import_module(app), function)()
if inspect.isawaitable(done):
    uvloop = importlib.import_module("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(done)
