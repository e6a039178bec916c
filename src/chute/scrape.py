"""Answers HTTP GETs for figures and health, in a thread of its own: `chute work --metrics-port` and `chute metrics`. Knows neither figures nor queues."""

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

TEXT, JSON = "text/plain; charset=utf-8", "application/json"


class Page(NamedTuple):
    """What is answered."""

    status: int
    kind: str
    body: bytes


Route = Callable[[str], Page]
"""What follows the route's path -> its page."""


def serve(host: str, port: int, routes: Mapping[str, Route]) -> ThreadingHTTPServer:
    """Serves until the process ends or `shutdown`. A route that ends in / has everything below it. Raises OSError where the port cannot be
    had; port 0 is one that is free."""
    handler = type("Handler", (_Handler,), {"routes": dict(routes)})
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="chute scrape", daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    routes: Mapping[str, Route] = {}
    timeout = 10
    server_version = "chute"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        page = self._page(path)
        self.send_response(page.status)
        self.send_header("Content-Type", page.kind)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(page.body)

    def _page(self, path: str) -> Page:
        for prefix, route in self.routes.items():
            if path == prefix or (prefix.endswith("/") and path.startswith(prefix)):
                return route(path.removeprefix(prefix))
        return Page(404, TEXT, f"there is {', '.join(self.routes)}\n".encode())

    def log_message(self, *_: object) -> None:
        """Nothing: who scrapes every few seconds is no news."""
