"""Several servers behind one address: sends each command of an operation to the server that has its key, and follows when that moves.

A Cluster spreads keys over its nodes; Sentinels name the one primary that has them all. What was refused because the key is elsewhere has
done nothing there, so it is sent again; what was not answered is never.
"""

import asyncio
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import redis

from chute.address import Address
from chute.atlas import Atlas
from chute.endpoint import Server
from chute.errors import ChuteError, ServerUnavailable
from chute.operation import Operation, refused
from chute.script import Command, key_of
from chute.target import Node, Place

T = TypeVar("T")
FAILOVER = 10.0
"""Seconds that a caller waits for a server that takes what has not been sent: so long may it take until another is chosen."""
AGAIN = 0.1
ASKING: Command = ("ASKING",)
_FOR_A_WHILE = (redis.exceptions.TryAgainError, redis.exceptions.ClusterDownError, redis.exceptions.MasterDownError)


@dataclass(frozen=True, slots=True)
class Ask:
    """An operation for one server. The answer is its replies, or the error that nothing was sent."""

    server: Server
    operation: Operation[list[Any]]


@dataclass(frozen=True, slots=True)
class Look:
    """Asks anew who has what, after a pause in seconds. There is no answer."""

    pause: float = 0.0


Step: TypeAlias = Ask | Look
Journey: TypeAlias = Generator[Step, Any, list[Any]]
"""The way of an operation, for who goes it in blocking code and for who goes it in asyncio code: steps, and in the end its replies."""


class Nodes:
    """The servers of a Cluster, or the primary that Sentinels name."""

    def __init__(self, where: Address) -> None:
        self.address = where
        self.atlas = Atlas(where)
        self.spread = self.atlas.spread
        """Whether keys are on different servers."""
        self._nodes: dict[Server, Node] = {}
        self._primary = Place(self.atlas, "")

    def at(self, key: str) -> Place:
        """Who has that key, for who holds a connection there."""
        return Place(self.atlas, key)

    def node_of(self, key: str) -> Node | Place | None:
        """Who has that key, as far as is known, for who sends commands about many: the same object for the same node."""
        if not self.spread:
            return self._primary
        server = self.atlas.server_of(key)
        if server is None:
            return None
        return self._nodes.get(server) or self._nodes.setdefault(server, Node(self.atlas, server))

    @property
    def emptied(self) -> list[Node]:
        """Those that have no keys any more, as far as is known."""
        there = set(self.atlas.known_parts)
        known = list(self._nodes.items())  # another thread may add to it
        return [node for server, node in known if server not in there] if there else []

    @property
    def parts(self) -> list[Server]:
        """Everybody who has keys. Raises ServerUnavailable."""
        return self.atlas.parts

    def run(self, operation: Operation[T]) -> T:
        """Runs the operation. Raises ServerUnavailable, Rejected, or what the operation says of a lost reply."""
        journey = self._journey(operation)
        answer: Any = None
        while True:
            try:
                step = journey.send(answer)
            except StopIteration as end:
                return operation.read(end.value)
            answer = self._take(step)

    async def arun(self, operation: Operation[T]) -> T:
        """As `run`, for asyncio code."""
        journey = self._journey(operation)
        answer: Any = None
        while True:
            try:
                step = journey.send(answer)
            except StopIteration as end:
                return operation.read(end.value)
            answer = await self._atake(step)

    def close(self) -> None:
        """Closes the connections of blocking code in this process."""
        self.atlas.close()

    async def aclose(self) -> None:
        """Closes the connections of the running event loop."""
        await self.atlas.aclose()

    def _journey(self, operation: Operation[Any]) -> Journey:
        """Goes until every command was answered by who has its key, or for as long as another may take to be chosen."""
        replies: list[Any] = [None] * len(operation.commands)
        todo, end, pause = list(range(len(replies))), time.monotonic() + (FAILOVER if operation.patient else 0), 0.0
        if (self.atlas.doubtful or not self.atlas.known) and (nobody := (yield Look())):
            raise self.atlas.unreachable(nobody.__cause__, operation.unsent)
        while todo:
            again: list[int] = []
            for server, places in self._parts(operation, todo):
                if again:  # what stands behind it must not overtake
                    again += places
                    continue
                answer = (yield Ask(server, operation.part(places))) if server else self.atlas.unreachable(None, operation.unsent)
                if isinstance(answer, ServerUnavailable):
                    if time.monotonic() > end or refused(answer):
                        raise self._told(operation, replies, answer)
                    again += places
                    continue
                for place, reply in zip(places, answer, strict=True):
                    replies[place] = reply
                yield from self._asking(operation, places, replies)
                again += [place for place in places if self._again(replies[place])]
            if time.monotonic() > end:
                break
            if again and operation.lost and operation.confirming and operation.begun(replies):
                raise operation.lost("a part of it was accepted, the rest must be sent again, and nobody can confirm both")
            todo = operation.for_another(again)
            if todo:
                yield Look(pause)
                pause = AGAIN
        return replies

    def _told(self, operation: Operation[Any], replies: list[Any], nobody: ServerUnavailable) -> ChuteError:
        """The error that there is nobody left to send to; it must not say that nothing was sent where a part has been accepted."""
        if operation.lost and operation.begun(replies):
            return operation.lost(f"a part of it was accepted, then {str(nobody).removesuffix(operation.unsent)}")
        return nobody

    def _asking(self, operation: Operation[Any], places: Sequence[int], replies: list[Any]) -> Generator[Step, Any, None]:
        """Where a slot is being moved, a key may be at its new server already: there, for this once, by its leave."""
        for place in places:
            reply = replies[place]
            if isinstance(reply, redis.exceptions.AskError) and not isinstance(
                reply, redis.exceptions.MovedError
            ):  # of which that is the base
                there = operation.for_another([place])
                part = operation.part(there)
                opening, rest = part.commands[: part.opening], part.commands[part.opening :]
                asked = Operation((*opening, ASKING, *rest), list, part.lost, part.confirming, opening=part.opening)
                answer = yield Ask(self.atlas.server(reply.host, reply.port), asked)
                if not isinstance(answer, ServerUnavailable):
                    for each, said in zip(there, answer[: part.opening] + answer[part.opening + 1 :], strict=True):
                        replies[each] = said

    def _again(self, reply: object) -> bool:
        """Whether a command has done nothing and will do it elsewhere or later."""
        return self.atlas.elsewhere(reply) or isinstance(reply, (redis.exceptions.AskError, *_FOR_A_WHILE))

    def _parts(self, operation: Operation[Any], places: Sequence[int]) -> list[tuple[Server | None, list[int]]]:
        """The commands by the servers that have their keys; one that names none goes where the one before it goes."""
        parts: dict[Server | None, list[int]] = {}
        last: str | bytes = operation.at
        for place in places:
            key = key_of(operation.commands[place])
            last = last if key is None else key
            parts.setdefault(self.atlas.server_of(last), []).append(place)
        return list(parts.items())

    def _take(self, step: Step) -> Any:
        try:
            if isinstance(step, Ask):
                return step.server.replies(step.operation)
            time.sleep(step.pause)
            return self.atlas.look()
        except ServerUnavailable as error:
            return error

    async def _atake(self, step: Step) -> Any:
        try:
            if isinstance(step, Ask):
                return await step.server.areplies(step.operation)
            await asyncio.sleep(step.pause)
            return await asyncio.to_thread(self.atlas.look)
        except ServerUnavailable as error:
            return error
