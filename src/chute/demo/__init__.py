"""The demo: real questions, answered by real jobs. `passages` reads documents, `index` searches them, `app` is what the worker runs,
`stage` keeps the processes, `run` puts the questions, `report` says what came of them.

It is an example of the library and a check of an installation: it uses what `chute` offers everybody, and nothing in the library uses it.
"""
