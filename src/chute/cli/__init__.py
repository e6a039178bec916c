"""The command line: one file a command. Data on stdout, messages on stderr; exit codes are part of the interface.

0 done · 1 the job failed, or some lines of many were refused · 2 wrong usage, nothing was sent · 3 not there, or not in time ·
4 server unreachable or refusing · 5 unknown: the reply was lost.

`commands` has them all; the processes that run jobs import `child` and what it needs, and nothing of a command.
"""
