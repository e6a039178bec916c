"""What goes wrong again and again is said once, then once a minute, and once more when it is over: a log is for people."""

import logging

from chute.worker import clock

log = logging.getLogger("chute.worker")
AGAIN = 60.0
"""Seconds after which what still goes wrong is said again."""
QUIET = 2.0
"""Seconds without a mishap after which it is over."""


class Trouble:
    """One thing that may go wrong. `over`: what to say when it has gone well again."""

    def __init__(self, over: str) -> None:
        self._over = over
        self._said, self._at = "", 0.0
        self._last = 0.0

    def says(self, text: str) -> None:
        """It went wrong, so."""
        now = self._last = clock.now()
        if text != self._said or now > self._at + AGAIN:
            self._said, self._at = text, now
            log.warning("%s", text)

    def ends(self) -> None:
        """It went well. Where one thing goes well between others that do not, it is not over."""
        if self._said and clock.now() > self._last + QUIET:
            self._said = ""
            log.warning("%s", self._over)
