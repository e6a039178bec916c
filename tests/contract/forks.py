"""Runs `chute` commands as processes without a start of Python for each: this one has imported the command line and forks.

Run as a program with a socket as its stdin. A request is a JSON object {"words", "cwd", "env"} together with three files for the command's
stdin, stdout and stderr; the answer is the exit code. It ends when the socket is closed.
"""

import json
import os
import socket
import sys

from chute.cli.commands import COMMANDS, command, main


def serve(wire: socket.socket) -> None:
    """Answers requests. Returns in each child too, which then is the command."""
    while True:
        request, files, _, _ = socket.recv_fds(wire, 1 << 20, 3)
        if not request:
            sys.exit(0)
        pid = os.fork()
        if pid == 0:
            wire.close()
            become(json.loads(request), files)
            return
        for file in files:
            os.close(file)
        _, status = os.waitpid(pid, 0)
        wire.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(request: dict[str, object], files: list[int]) -> None:
    """Makes this process what the request describes."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(str(request["cwd"]))
    os.environ.clear()
    os.environ.update(request["env"])  # type: ignore[call-overload]
    sys.argv = ["chute", *request["words"]]  # type: ignore[misc]


if __name__ == "__main__":
    for name in COMMANDS:
        command(name)  # imported once, not in each child
    serve(socket.socket(fileno=0))
    main()
