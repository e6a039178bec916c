"""A unix socket served by asyncio code in a thread of its own, so that the code under test may block or run any loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listener:
    """Listens at the path from `start` to `stop`; `serve` has each connection."""

    def __init__(self, path: str, serve: Serve) -> None:
        self._path, self._serve = path, serve
        self._loop = asyncio.new_event_loop()
        self._ready, self._end = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()), daemon=True)

    def start(self) -> None:
        """Returns once it listens."""
        self._thread.start()
        if not self._ready.wait(10):
            raise TimeoutError(f"nothing listens at {self._path}")

    def stop(self) -> None:
        """Ends every connection."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self._loop.close()

    async def _run(self) -> None:
        server = await asyncio.start_unix_server(self._serve, self._path)
        self._ready.set()
        await self._end.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
