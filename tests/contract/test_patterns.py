"""Every pattern that the project owns reads 100,000 hostile characters in a moment: none looks at a character again and again.

The patterns are read off the source, with the way in which each is used; whoever adds one need not think of this.
"""

import ast
import contextlib
import importlib
import itertools
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import chute
from chute import address, envelope, keys
from chute.cli import logs, messages

SRC = Path(chute.__file__).parent
SHORT, LENGTH = 1_500, 100_000
MOST = 0.1
"""Seconds: ten times what it takes, and a hundredth of what a pattern takes that begins anew at each character."""
PIECES = (
    "a", "1", " ", "\t", "\n", "#", "# ", "[", "]", "[a](", "(", "`", "`, got `", "@", ":", "/", "?", "&", "=", "?a", "?password", "%70", "-", "- ", ".",
    ". ", "a.", "1.", "=-", "*", "|", "~", "\x1b[", "\x1b[0", "0;", "redis://", "a:1,", "<!", "![", "\u3002", "\u3042", "é", "\0",
    "Expected `", "password=", "::",
)  # fmt: skip
STARTS = ("", "redis+sentinel://", "redis+cluster://a@", "redis://:", "?", "Expected `", "# ", "[", "\x1b[", "[Errno 1", "- ", "a: ")
ENDS = ("", "!", "`")
WAYS = "match|fullmatch|search|sub|split|findall|finditer"
Use = Callable[[str], Any]


def use(pattern: re.Pattern[str], way: str) -> Use:
    """The pattern as it is used."""
    if isinstance(pattern.pattern, bytes):
        return lambda text: getattr(pattern, way)(text.encode())
    if way == "sub":
        return lambda text: pattern.sub("", text)
    return lambda text: list(pattern.finditer(text)) if way == "finditer" else getattr(pattern, way)(text)


def compiled() -> Iterator[tuple[str, Use]]:
    """Those with a name."""
    for info in pkgutil.walk_packages(chute.__path__, "chute."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        text = Path(module.__file__ or "").read_text()
        named = re.findall(r"^(\w+) = re\.compile\(", text, re.MULTILINE)
        assert len(named) == text.count("re.compile("), f"a pattern of {info.name} has no name"
        for name in named:
            value = getattr(module, name)
            if not isinstance(value, re.Pattern):
                yield f"{info.name}.{name}", use(value.__self__, value.__name__)
                continue
            ways = set(re.findall(rf"\b{name}\.({WAYS})\b", text))
            assert ways, f"{info.name}.{name} is used in another way"
            yield from ((f"{info.name}.{name}.{way}", use(value, way)) for way in sorted(ways))


def written() -> Iterator[tuple[str, Use]]:
    """Those that stand where they are used."""
    for path in sorted(SRC.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and re.fullmatch(rf"re\.({WAYS})", ast.unparse(node.func)):
                assert isinstance(node.args[0], ast.Constant), f"{path}:{node.lineno}: a pattern that is made"
                yield f"{path.relative_to(SRC)}:{node.lineno}", use(re.compile(node.args[0].value), ast.unparse(node.func)[3:])


FUNCTIONS: dict[str, Use] = {
    "redact": address.redact,
    "several": lambda url: contained(address.several, url),
    "client_url": lambda url: contained(address.client_url.__wrapped__, url),
    "is_job_id": keys.is_job_id,
    "is_queue_name": keys.is_queue_name,
    "base_of": keys.base_of,
    "one_line": logs.one_line,
    "printable": messages.printable,
    "nested_deeper": lambda text: envelope.nested_deeper(text.encode(), envelope.MAX_DEPTH),
    "readable": lambda text: envelope.readable(ValueError(text)),
}
USES = [*compiled(), *written(), *FUNCTIONS.items()]


def contained(take: Use, text: str) -> None:
    with contextlib.suppress(ValueError):
        take(text)


def took(take: Use, text: str) -> float:
    began = time.thread_time()
    take(text)
    return time.thread_time() - began


def test_there_are_patterns() -> None:
    assert len(USES) > 25


@pytest.mark.parametrize("take", [pytest.param(take, id=name) for name, take in USES])
def test_a_pattern_looks_at_each_character_a_few_times(take: Use) -> None:
    shapes = list(itertools.product(STARTS, PIECES, ENDS))

    def text(shape: tuple[str, str, str], length: int) -> str:
        start, piece, end = shape
        return start + piece * (length // len(piece)) + end

    slowest = sorted(shapes, key=lambda shape: took(take, text(shape, SHORT)))[-3:]
    for shape in slowest:
        assert min(took(take, text(shape, LENGTH)) for _ in range(3)) < MOST, shape
