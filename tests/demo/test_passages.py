"""Documents become passages and questions."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chute.demo.passages import LONGEST, Passage, find_documents, passages_of, questions_of, read_document, read_folder, sentences_of

DOCUMENT = """# The title

Opening words, on
two lines.

## First part

Some **bold** text with a [link](https://example.org/x) and `code`.

```python
# not a heading
print("not a passage")
```

- one item
- another item
  that goes on

### Deeper

| word | meaning |
| --- | --- |
| job | one call |

![picture](x.png)
## Second part ##
Last words.
"""


def trails(text: str) -> list[tuple[str, str]]:
    return [(passage.source, passage.text) for passage in passages_of("a.md", text)]


def test_each_paragraph_item_and_row_is_a_passage_under_its_headings() -> None:
    assert trails(DOCUMENT) == [
        ("a.md", "Opening words, on two lines."),
        ("a.md › First part", "Some bold text with a link and code."),
        ("a.md › First part", "one item"),
        ("a.md › First part", "another item that goes on"),
        ("a.md › First part › Deeper", "word: meaning"),
        ("a.md › First part › Deeper", "job: one call"),
        ("a.md › Second part", "Last words."),
    ]


def test_underlined_headings_count_by_the_order_of_their_marks() -> None:
    text = "Title\n=====\n\nPart\n----\n\nWords.\n\nSub\n~~~\n\nMore.\n\nNext\n----\n\nEnd.\n"
    assert trails(text) == [("a.md › Part", "Words."), ("a.md › Part › Sub", "More."), ("a.md › Next", "End.")]


def test_a_heading_of_the_first_level_counts_when_it_is_not_the_title() -> None:
    assert trails("# One\n\na.\n\n# Two\n\nb.\n") == [("a.md", "a."), ("a.md › Two", "b.")]


def test_a_ruler_is_no_heading() -> None:
    assert trails("one\ntwo\n---\nthree\n") == [("a.md", "one two"), ("a.md", "three")]


def test_a_fence_of_the_other_kind_does_not_close_a_block() -> None:
    assert trails("~~~\n```\nhidden\n~~~\nshown\n") == [("a.md", "shown")]


def test_long_text_is_cut_between_sentences() -> None:
    sentence = "Word " * 30 + "end."
    cut = [passage.text for passage in passages_of("a.txt", " ".join([sentence] * 40))]
    assert len(cut) > 1
    assert all(len(text) <= LONGEST for text in cut)
    assert " ".join(cut).split() == ([*["Word"] * 30, "end."]) * 40
    cut = [passage.text for passage in passages_of("a.txt", "x" * 3 * LONGEST + " " + "word " * LONGEST)]
    assert all(len(text) <= LONGEST for text in cut)
    assert "".join(cut).replace(" ", "") == "x" * 3 * LONGEST + "word" * LONGEST


def test_questions_are_headings_and_sentences_each_once() -> None:
    passages = [
        Passage(("a.md",), "No heading here. And a second sentence? Short."),
        Passage(("a.md", "What is it?"), "No heading here. The third sentence!"),
        Passage(("a.md", "Word"), "What is it?"),
    ]
    assert questions_of(passages) == ["No heading here.", "And a second sentence?", "What is it?", "The third sentence!"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? (Four.)", ["One.", "Two!", "Three?", "(Four.)"]),
        ("See e.g. the list, v. 1.2 of it.", ["See e.g. the list, v.", "1.2 of it."]),
        ("没有空格。第二句？", ["没有空格。", "第二句？"]),
        ("", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert sentences_of(text) == expected


@given(st.text(alphabet=st.sampled_from("ab \n#`~|-=*.1>![]()é。"), max_size=300))
def test_no_text_fails_and_no_passage_is_empty(text: str) -> None:
    for passage in passages_of("a.md", text):
        assert passage.text.strip()
        assert passage.trail[0] == "a.md"


def test_a_folder_gives_its_documents_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.md", "sub/a.RST", "c.txt", "d.py", ".hidden/e.md", "sub/.f.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"Words of {name}.")
    assert [path.name for path in find_documents(tmp_path)] == ["b.md", "c.txt", "a.RST"]
    assert [passage.source for passage in read_folder(tmp_path, "docs/")] == ["docs/b.md", "docs/c.txt", "docs/sub/a.RST"]


def test_bytes_that_are_not_text_do_not_stop_the_reading(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"good \xff\xfe words\n\nmore\x00")
    assert [passage.text for passage in read_document(tmp_path / "x.txt", "x.txt")] == ["good \ufffd\ufffd words", "more\x00"]
