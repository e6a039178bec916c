"""Writes docs/commands.md, the reference of the commands, from the commands themselves: `python tools/commands.py`, part of `make docs`."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from chute.cli.commands import COMMANDS, command

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """\
# Commands

<!-- written by tools/commands.py: change the commands, not this page -->

Data goes to stdout, messages to stderr; without a terminal there are no colours, bars or questions, and `NO_COLOR` takes the colours away.
`--url` stands after the command it belongs to.

| exit code | means |
| --- | --- |
| 0 | done; `chute work`: stopped as asked, with everything given back |
| 1 | the job failed; or some lines of many were refused |
| 2 | wrong usage or bad input: nothing was sent |
| 3 | not there, or not finished in time |
| 4 | the server cannot be reached, or refuses |
| 5 | unknown: the reply was lost, and a repetition may do it twice |
| 130 | interrupted by Ctrl-C; `chute work` ends with 0 |
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(part for name in COMMANDS for part in _command(command(name), f"chute {name}"))])


def _command(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name)
    yield f"{'#' * len(name.split())} {name}\n"
    yield f"```text\n{name} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield "".join(f"{_escaped(' '.join(part.split()))}\n\n" for part in (command.help or "").split("\n\n"))[:-1]
    options = [each for each in command.params if isinstance(each, click.Option)]
    if options:
        yield "| option | meaning |\n| --- | --- |"
        yield from map(_option, options)
        yield ""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from _command(below, f"{name} {below.name}")


def _option(option: click.Option) -> str:
    wants = "" if option.is_flag else f" {option.metavar or _wanted(option.type)}"
    meaning = [_escaped(option.help or "")] if option.help else []
    if isinstance(option.type, click.Choice):
        meaning.append(f"One of {', '.join(option.type.choices)}.")
    if option.show_default:
        default = option.default
        meaning.append(f"Default: {f'{default:g}' if isinstance(default, float) else default}.")
    return f"| `{', '.join(option.opts)}{wants}` | {' '.join(meaning)} |"


def _wanted(kind: click.ParamType) -> str:
    return "NAME" if isinstance(kind, click.Choice) else "N"


def _escaped(text: str) -> str:
    return re.sub(r"([*<|\[\]])", r"\\\1", text)


if __name__ == "__main__":
    PAGE.write_text(page())
