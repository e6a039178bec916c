"""What every process of the command line says to people, and how it ends. Needs nothing of the commands: the processes that run jobs are small."""

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Callable
from typing import NoReturn

from chute import address, server, store, version
from chute.connection import Endpoint
from chute.errors import ChuteError, Rejected, ServerUnavailable, Unconfirmed

DONE, FAILED, BAD_USE, NOT_THERE, NO_SERVER, UNKNOWN = range(6)
"""The exit codes: see `chute.cli`."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What is raised where a file that the output goes to takes no more."""


def open_streams() -> None:
    """Opens to nowhere what we were started without: else a socket of ours would take the number, and get what somebody prints."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)  # our processes must not be without it either
    os.close(fd)
    sys.stdout, sys.stderr = sys.stdout or os.fdopen(1, "w"), sys.stderr or os.fdopen(2, "w")


def printable(text: str) -> str:
    """Text that came from elsewhere, with a dot in place of what would steer the terminal or break the line."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "·" for each in text)


def say(message: str) -> None:
    """A message for people, of one line or more. Where nobody can read it any more, the work goes on."""
    with contextlib.suppress(OSError):
        print("\n".join(map(printable, message.split("\n"))), file=sys.stderr, flush=True)


def fail(message: str, code: int) -> NoReturn:
    """A message for people, and the end."""
    say(f"chute: {message}")
    sys.exit(code)


def ended(run: Callable[[], object]) -> NoReturn:
    """Runs a program to its end: what was raised becomes a message and an exit code."""
    try:
        run()
    except (ServerUnavailable, Rejected) as error:
        fail(str(error), NO_SERVER)
    except Unconfirmed as error:
        fail(str(error), UNKNOWN)
    except (ChuteError, ValueError) as error:
        fail(str(error), BAD_USE)
    except BrokenPipeError:
        sys.stderr.close()  # who read our output has gone
    except OSError as error:
        if error.errno not in _NO_ROOM or error.filename:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # at the end Python writes once more what could not be written
        fail(f"the output cannot be written: {error.strerror}. What was done before stands", FAILED)
    sys.exit(DONE)


def say_what_else_answers(endpoint: Endpoint) -> None:
    """A Redis on this machine is never used unasked; but who has one may have meant it."""
    if not endpoint.address.embedded:
        return
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 6379), 0.2) as other:
        other.settimeout(0.2)
        other.sendall(b"PING\r\n")
        if other.recv(64)[:1] in (b"+", b"-"):
            say("chute: a server also answers at localhost:6379 and is not used; to use it: --url redis://localhost:6379")


def server_line(endpoint: Endpoint) -> str:
    """Which server this is and who chose it. Asks the embedded one for its version."""
    where = endpoint.address
    if where.embedded:
        return f"server {server.url()} (embedded {version.name_of(endpoint.run(store.server_info()))})"
    return f"server {address.redact(where.url)} ({where.how})"
