"""What `chute bench` measures: a server, one worker process on it, and a task of the user's in that.

`measure` goes from one figure to the next; `stage` keeps the worker process, `app` is what that runs; `door` speaks to the server about what
only a bench needs; `report` holds the figures and says what limits them. Everything that is made is named like the queue of the bench, so that
it can be removed by name.
"""
