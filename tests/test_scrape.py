"""Pages over HTTP."""

import pytest

from chute.scrape import TEXT, Page, serve
from scraping import get


def test_pages_and_what_is_below_them() -> None:
    server = serve("127.0.0.1", 0, {"/one": lambda _: Page(503, TEXT, b"no"), "/below/": lambda rest: Page(200, TEXT, rest.encode())})
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        assert get(f"{url}/one?x=1") == (503, "no")
        assert get(f"{url}/below/a/b") == (200, "a/b")
        assert get(f"{url}/onemore") == (404, "there is /one, /below/\n")
        with pytest.raises(OSError, match="Address already in use"):
            serve("127.0.0.1", server.server_port, {})
    finally:
        server.shutdown()
        server.server_close()
