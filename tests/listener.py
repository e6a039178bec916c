"""A socket served by asyncio code in a thread of its own, so that the code under test may block or run any loop."""

import asyncio
import ssl
import threading
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Address = tuple[str, int]


class Listener:
    """Listens at the path of a unix socket, or at a host and port, from `start` to `stop`; `serve` has each connection. `tls`: as a server of it."""

    def __init__(self, where: str | Address, serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        self._where, self._serve, self._tls = where, serve, tls
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()), daemon=True)

    def start(self) -> None:
        """Returns once it listens."""
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError(f"nothing listens at {self._where}")

    def stop(self) -> None:
        """Ends every connection."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()

    async def _run(self) -> None:
        if isinstance(self._where, str):
            server = await asyncio.start_unix_server(self._serve, self._where)
        else:
            server = await asyncio.start_server(self._serve, *self._where, ssl=self._tls)
        self._ready.set()
        await self._end.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
