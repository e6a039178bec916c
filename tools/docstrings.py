"""How the API reference shows docstrings: an example at the end is a code block. Read by mkdocstrings, see mkdocs.yml.

Where nothing but the example follows the first line of a docstring, its indentation is the docstring's own, so Markdown alone cannot tell it
from prose: it is what parses as Python.
"""

import ast
import inspect
from typing import Any

import griffe


def as_markdown(text: str) -> str:
    """The docstring with its example fenced."""
    parts = text.split("\n\n")
    for at in range(1, len(parts)):
        example = inspect.cleandoc("\n" + "\n\n".join(parts[at:]))
        if _is_python(example):
            return "\n\n".join([*parts[:at], f"```python\n{example}\n```"])
    return text


def _is_python(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True


class Examples(griffe.Extension):
    """Rewrites every docstring as it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
