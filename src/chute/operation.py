"""One exchange with a server as a value: the commands, how their replies are read, and what a lost reply means. Sends nothing.

`store`, `holdings` and `sight` build them, `endpoint` and `nodes` run them, in blocking and in asyncio code alike.
"""

import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import redis

from chute.errors import ChuteError, Rejected, ServerUnavailable
from chute.script import LOAD, Command

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)
_QUOTED = re.compile(r",? with args beginning with.*", re.DOTALL)
LOST = (redis.ConnectionError, redis.TimeoutError, redis.InvalidResponse, OSError)
"""What an exchange may end with: also a reply that cannot be read, since what it was is unknown."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One exchange with the server as a value: the commands, sent in one write, and how their replies are read.

    `read` gets one reply for each command, an error as a value. `lost` makes the error to raise when the replies were lost; None says that
    the operation only reads and is sent once more.
    """

    commands: tuple[Command, ...]
    read: Callable[[list[Any]], T]
    lost: Callable[[str], ChuteError] | None = None
    confirming: int = 0
    """So many commands at the end answer for those before them: sent again with any of those."""
    at: str = ""
    """The key whose server gets the commands that name none, where there are several servers."""
    opening: int = 0
    """So many commands at the beginning tell who answers: sent again with what another server is to answer."""
    patient: bool = True
    """Where there are several servers: waits for another in place of one that is gone."""

    @property
    def unsent(self) -> str:
        """What to add where there is no server: an operation that only reads has nothing to send."""
        return "" if self.lost in (None, gone) else ". Nothing was sent"

    @property
    def once_more(self) -> "Operation[T]":
        """The same, when its replies were lost for the first time and it only reads."""
        return replace(self, lost=gone)

    def part(self, places: Sequence[int]) -> "Operation[list[Any]]":
        """Those of the commands alone, with their replies as they come."""
        last = len(self.commands) - self.confirming
        confirming, opening = sum(place >= last for place in places), sum(place < self.opening for place in places)
        return Operation(tuple(self.commands[place] for place in places), list, self.lost, confirming, opening=opening)

    def unscripted(self, replies: list[Any]) -> list[int]:
        """The commands whose script the server does not know: they have done nothing, so these alone are sent again behind the scripts, and
        what confirms them after them."""
        return self.with_confirmation([i for i, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)])

    def with_confirmation(self, places: list[int]) -> list[int]:
        """What to send again where these are."""
        last = len(self.commands) - self.confirming
        return [place for place in places if place < last] + list(range(last, len(self.commands))) if places else []

    def for_another(self, places: list[int]) -> list[int]:
        """What to send to another server where these are."""
        if not (todo := self.with_confirmation(places)):
            return []
        return [*range(self.opening), *[place for place in todo if place >= self.opening]]

    def begun(self, replies: list[Any]) -> bool:
        """Whether a part of what was asked for was accepted. Who answers, and about copies, is no part of it."""
        asked_for = replies[self.opening : len(replies) - self.confirming]
        return any(reply is not None and not isinstance(reply, Exception) for reply in asked_for)

    def with_scripts(self, places: list[int]) -> tuple[Command, ...]:
        """The scripts, and those of the commands behind them."""
        return LOAD + tuple(self.commands[place] for place in places)


def merge(replies: list[Any], places: Sequence[int], again: list[Any]) -> None:
    """Puts the replies to commands that were sent again behind the scripts where they belong."""
    for place, reply in zip(places, again[len(LOAD) :], strict=True):
        replies[place] = reply


def accepted(reply: Any) -> Any:
    """The reply, or `Rejected` when it is the server's refusal."""
    if isinstance(reply, Exception):
        raise Rejected(f"the server refused: {reply}. Nothing was kept there")
    return reply


def refused(error: BaseException | None) -> bool:
    """Whether somebody was there and did not let us in, or was not who it should be: to try again is in vain."""
    wrong = (redis.AuthenticationError, redis.ResponseError, redis.InvalidResponse, ssl.SSLCertVerificationError)
    return any(isinstance(each, wrong) for each in causes(error))


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those behind it: redis-py wraps its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def discreet(error: E) -> E:
    """An error of redis-py's without what may have a password in it: the way that it came, whose variables some tracebacks show, and what a
    server says that quotes the command that it does not know (a Redis before 6 does so with our login)."""
    chain: list[BaseException] = [error]
    for each in chain:
        each.__traceback__ = None
        each.args = tuple(_QUOTED.sub("", said) if isinstance(said, str) else said for said in each.args)
        chain += [behind for behind in (each.__cause__, each.__context__) if behind and behind not in chain]
    return error


def gone(why: str) -> ServerUnavailable:
    """The error of what only reads, once it was lost twice."""
    return ServerUnavailable(f"the server did not answer: {why.rstrip('.')}. Nothing was changed")
