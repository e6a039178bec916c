"""Which passage answers a question best: Okapi BM25 over an inverted index. Pure. `app` builds one in each worker process.

The weights are those of S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with a 1 added
inside the logarithm, so that a word that stands in most passages counts little instead of counting against them.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

K1 = 1.2
"""How soon a repeated word stops adding weight."""
B = 0.75
"""How much a long passage pays for its length."""

# A script that puts no spaces between words is searched by its characters.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_\u3040-\u30ff\u3400-\u9fff]+")


def words_of(text: str) -> list[str]:
    """The words of a text as the index compares them."""
    return _WORD.findall(text.casefold())


class Index:
    """An index over texts; a text is known by its place in the sequence."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(words_of(text)) for text in texts]
        lengths = [count.total() for count in counts]
        mean = sum(lengths) / max(1, len(texts))
        self._postings: dict[str, dict[int, float]] = {}
        for number, count in enumerate(counts):
            for word, times in count.items():
                saturation = K1 * (1 - B + B * lengths[number] / mean)
                self._postings.setdefault(word, {})[number] = times * (K1 + 1) / (times + saturation)
        self._ceilings: dict[str, float] = {}
        for word, weights in self._postings.items():
            rarity = math.log(1 + (len(texts) - len(weights) + 0.5) / (len(weights) + 0.5))
            for number in weights:
                weights[number] *= rarity
            self._ceilings[word] = max(weights.values())

    def best(self, question: str) -> tuple[int, float] | None:
        """The place and the score of the text that fits best, the first of several; None when no word of the question is known.

        A word counts once, however often the question has it. Rare words go first: as soon as what the others can add is less than
        what the best text has, no further text can win, and the common words are only looked up for those that still can.
        """
        words = sorted((word for word in set(words_of(question)) if word in self._postings), key=lambda word: (-self._ceilings[word], word))
        left = sum(self._ceilings[word] for word in words)
        scores: dict[int, float] = {}
        leading = 0.0
        done = 0
        for word in words:
            if leading > left:
                break
            for number, weight in self._postings[word].items():
                scores[number] = scores.get(number, 0.0) + weight
            leading = max(scores.values())
            left -= self._ceilings[word]
            done += 1
        if not scores:
            return None
        rest = [self._postings[word] for word in words[done:]]
        hopeful = ((number, score) for number, score in scores.items() if score + left >= leading)
        totals = ((score + sum(weights.get(number, 0.0) for weights in rest), number) for number, score in hopeful)
        score, number = max(totals, key=lambda total: (total[0], -total[1]))
        return number, score
