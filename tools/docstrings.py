"""How the API reference shows docstrings: a last paragraph that is Python is a code block. Read by mkdocstrings, see mkdocs.yml.

An example stands last in a docstring. Where nothing but the example follows the first line, its indentation is the docstring's own, so
Markdown alone cannot tell it from prose.
"""

import ast
import inspect
from typing import Any

import griffe


def as_markdown(text: str) -> str:
    """The docstring with its example fenced."""
    head, gap, last = text.rpartition("\n\n")
    example = inspect.cleandoc("\n" + last)
    return f"{head}\n\n```python\n{example}\n```" if gap and _is_python(example) else text


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
