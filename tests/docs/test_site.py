"""The built site: it builds without a warning, loads nothing from the network, and every link in it leads somewhere."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.pages import PAGES, ROOT

LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src", "object": "data"}
LINKS_THAT_LOAD = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
CSS_LOADS = re.compile(r"@import\s+(?:url\()?[\"']?([^\"')]+)|url\(\s*[\"']?(?!data:)([^\"')]+)")


@dataclass
class Page(HTMLParser):
    """What a page loads, where it links to, and what can be linked to in it."""

    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if source := found.get(LOADS.get(tag, "")):
            self.loads.append(source)
        if tag == "link" and LINKS_THAT_LOAD & set(found.get("rel", "").split()):
            self.loads.append(found["href"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if name := found.get("id") or (tag == "a" and found.get("name")):
            self.anchors.append(name)
        self.loads += [one or other for one, other in CSS_LOADS.findall(found.get("style", ""))]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.lasttag == "style":
            self.loads += [one or other for one, other in CSS_LOADS.findall(data)]


def read(html: str) -> Page:
    page = Page()
    page.feed(html)
    page.close()
    return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does, but beside it."""
    home = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "mkdocs.yml", home)  # a link would be followed, and the site built beside what it leads to
    shutil.copytree(ROOT / "docs", home / "docs")
    for name in ("src", "tools", "examples"):
        (home / name).symlink_to(ROOT / name)
    done = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    return home / "site"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page of it, by its path."""
    return {path.relative_to(site).as_posix(): read(path.read_text()) for path in site.rglob("*.html")}


def test_every_page_is_built_and_can_be_reached(pages: dict[str, Page]) -> None:
    built = {path.with_suffix(".html").name for path in PAGES}
    assert pages.keys() == built | {"404.html"}
    linked = {urlsplit(link).path for link in pages["index.html"].links}
    assert built - {"index.html"} <= linked


def test_nothing_is_loaded_from_the_network(site: Path, pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for source in page.loads:
            assert not urlsplit(source).netloc, f"{name} loads {source}"
            assert name == "404.html" or (site / name).parent.joinpath(unquote(urlsplit(source).path)).is_file(), f"{name} loads {source}"
    for path in site.rglob("*.css"):
        for one, other in CSS_LOADS.findall(path.read_text()):
            assert not urlsplit(one or other).netloc, f"{path.name} loads {one or other}"


def test_every_link_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    outside = set[str]()
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                outside.add(link)
            elif name != "404.html":  # its links are the server's, from its root
                target = parts.path or name
                assert (site / name).parent.joinpath(unquote(target)).exists(), f"{name} links to {link}"
                assert not parts.fragment or unquote(parts.fragment) in pages[target].anchors, f"{name} links to {link}"
    assert outside
    for link in outside:
        assert re.fullmatch(r"https://[\w-]+(\.[\w-]+)+(/[\w./%~+-]*)?(#[\w-]+)?", link), link


def test_no_anchor_stands_twice(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        ours = [anchor for anchor in page.anchors if not anchor.startswith("__")]
        assert len(ours) == len(set(ours)), name


def test_an_example_in_a_docstring_is_code(site: Path) -> None:
    code = re.sub(r"<[^>]+>", "", "".join(re.findall(r"<pre>.*?</pre>", (site / "api.html").read_text(), re.DOTALL)))
    assert "answers = await chute.gather(" in code  # it stands at the docstring's own indentation
    assert "jobs = chute.Queue(" in code
    assert "As aenqueue" not in code


def test_no_markup_is_left_over(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        text = "".join(page.texts)
        assert not re.search(r"^(:::|\| ---|```|--8<--)|\]\(\w+\.md", text, re.MULTILINE), name


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/x.css">',
        '<style>@import "https://fonts.example/x.css";</style>',
        "<style>p { background: url(https://x.example/y.png) }</style>",
        "<p style=\"background: url('https://x.example/y.png')\">",
        '<img src="https://x.example/y.png">',
    ],
)
def test_what_loads_from_the_network_is_seen(html: str) -> None:
    assert [urlsplit(source).netloc for source in read(html).loads] != []
    assert all(urlsplit(source).netloc for source in read(html).loads)
