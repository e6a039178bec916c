"""Documents become passages, and passages become questions. Pure but for reading the files. `app` searches the passages, `run` asks.

Reads Markdown, reStructuredText and plain text by the few marks that matter to a search: headings, lists, tables, code. It never
renders anything, and never fails on a document: what it does not understand stays text.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = (".md", ".rst", ".txt")
LONGEST = 1200
"""Characters of a passage: a text without blank lines is cut at ends of sentences."""
LONGEST_HEADING = 200
"""Characters of a heading; one of a whole page would be repeated in each passage below it."""

_FENCE = re.compile(r"\s*(```|~~~)")
_HEADING = re.compile(r"(#{1,6})\s+(.*)")
_CLOSING = "# \t\r\f\v"
"""What may close a heading, and is none of its words."""
_UNDERLINE = re.compile(r"([=\-~^\"'*+#])\1{2,}\s*")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s+(?=\S)")
_RULER = re.compile(r"[\s|:+=-]+")
_MARKUP = re.compile(r"\s*(?:!\[|<|\.\. )")
_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^\sa-z])|(?<=[。！？])")


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph, a list item or a row of a table, and where it stands: the file, then the headings above it."""

    trail: tuple[str, ...]
    text: str

    @property
    def source(self) -> str:
        """Where it stands: its file and the headings above it."""
        return " › ".join(self.trail)


def find_documents(folder: Path) -> list[Path]:
    """The documents under a folder, in the order of their names; hidden files and folders are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def read_folder(folder: Path, prefix: str = "") -> list[Passage]:
    """All passages of the documents under a folder; a file is named as it lies in the folder, after the prefix."""
    return [passage for path in find_documents(folder) for passage in read_document(path, prefix + path.relative_to(folder).as_posix())]


def read_document(path: Path, name: str) -> list[Passage]:
    """The passages of one file. Bytes that are not UTF-8 are replaced: the rest of the document is still worth searching."""
    return list(passages_of(name, path.read_text(encoding="utf-8", errors="replace")))


def passages_of(name: str, text: str) -> Iterator[Passage]:
    """The passages of a text, in order, each under its trail of headings."""
    reader = _Reader(name)
    for line in text.splitlines():
        yield from reader.feed(line)
    yield from reader.flush()


def questions_of(passages: Iterable[Passage]) -> list[str]:
    """What can be asked of the passages: every heading of two words or more and every sentence, each once, in reading order."""
    questions: dict[str, None] = {}
    for passage in passages:
        heading = passage.trail[-1]
        if len(passage.trail) > 1 and " " in heading:
            questions.setdefault(heading)
        for sentence in sentences_of(passage.text):
            if 12 <= len(sentence) <= 400:
                questions.setdefault(sentence)
    return list(questions)


def sentences_of(text: str) -> list[str]:
    """The sentences of a paragraph, without the spaces around them."""
    return [stripped for part in _SENTENCE_END.split(text) if (stripped := part.strip())]


class _Reader:
    """Takes a document line by line and gives the passages that end with each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._headings: list[tuple[int, str]] = []
        self._titled = False
        self._underlines: list[str] = []
        self._paragraph: list[str] = []
        self._fence = ""

    def feed(self, line: str) -> Iterator[Passage]:
        underline = None if self._fence else _UNDERLINE.fullmatch(line)
        if underline and len(self._paragraph) == 1:
            self._underlined(underline[1])
        elif fence := _FENCE.match(line):
            yield from self.flush()
            if self._fence in ("", fence[1]):
                self._fence = "" if self._fence else fence[1]
        elif self._fence or _MARKUP.match(line):
            return  # code, pictures, HTML and directives are no prose
        elif underline or not line.strip():
            yield from self.flush()
        elif heading := _HEADING.fullmatch(line):
            yield from self.flush()
            self._enter(len(heading[1]), heading[2].rstrip(_CLOSING))
        elif line.startswith("|"):
            yield from self._row(line)
        else:
            if item := _ITEM.match(line):
                yield from self.flush()
                line = line[item.end() :]
            self._paragraph.append(_plain(line))

    def flush(self) -> Iterator[Passage]:
        """Ends the paragraph, if there is one."""
        text, self._paragraph = " ".join(self._paragraph), []
        trail = (self._name, *(title for _, title in self._headings))
        for part in _cut(text):
            yield Passage(trail, part)

    def _underlined(self, mark: str) -> None:
        """One line and a line of marks below it are a heading, whose level is that of the first heading with such marks."""
        title, self._paragraph = self._paragraph[0], []
        if mark not in self._underlines:
            self._underlines.append(mark)
        self._enter(self._underlines.index(mark) + 1, title)

    def _row(self, line: str) -> Iterator[Passage]:
        yield from self.flush()
        if not _RULER.fullmatch(line):
            cells = (_plain(cell) for cell in line.strip().strip("|").split("|"))
            self._paragraph = [": ".join(cell for cell in cells if cell)]
            yield from self.flush()

    def _enter(self, level: int, title: str) -> None:
        """A heading closes those of its level and below. The title of the document is left out: the name of the file stands for it."""
        self._headings = [(above, kept) for above, kept in self._headings if above < level]
        if level > 1 or self._titled:
            self._headings.append((level, _plain(title)[:LONGEST_HEADING]))
        self._titled = True


def _plain(text: str) -> str:
    """The words of a line without links, emphasis and code marks."""
    return _LINK.sub(r"\1", text).replace("`", "").replace("**", "").strip()


def _cut(text: str) -> Iterator[str]:
    """The text itself, or pieces of whole sentences where it is too long for one passage; a sentence that is too long itself is broken."""
    piece = ""
    for sentence in sentences_of(text) if len(text) > LONGEST else [text]:
        for part in textwrap.wrap(sentence, LONGEST) if len(sentence) > LONGEST else [sentence]:
            if piece and len(piece) + 1 + len(part) > LONGEST:
                yield piece
                piece = ""
            piece = f"{piece} {part}".strip()
    if piece:
        yield piece
