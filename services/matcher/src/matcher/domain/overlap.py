"""How much two titles have in common, for pairs whose codes agree: rare words weigh more than common ones.

The share is that of the title of which more is found in the other, so that a long title and its short form agree.
tests/unit/matcher/test_title_doubt.py measures it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

from matcher.domain.text import compact, model_numbers, words
from platforms.spelling import without_accents

STRANGERS = 0.28
"""Titles of which no more than this share agrees have nothing in common."""
FEW = 20
"""Products of the larger side up to which words cannot be told rare from common."""
STRANGERS_AMONG_FEW = 0.5
"""The share then: more than half of the words must agree."""
RARE = 3
"""A model number that more products of one side carry identifies none of them."""
_MEASURE = re.compile(r"^\d{1,4}[a-z]{0,4}$")


@dataclass(frozen=True, slots=True)
class _Title:
    """`spelled`: words with accents by their plain form; `joined`: two neighbouring words written as one."""

    spelled: dict[str, frozenset[str]]
    joined: dict[str, tuple[str, str]]
    models: frozenset[str]
    accented: bool


class WordCounts:
    """How many titles of a catalogue have each word, on the side where more have it.

    number: of titles of the larger side.
    """

    def __init__(self, left: Iterable[str], right: Iterable[str]) -> None:
        self._count([_read(title) for title in left], [_read(title) for title in right])

    @classmethod
    def of(cls, left: Sequence[_Title], right: Sequence[_Title]) -> "WordCounts":
        """The counts of titles that were read."""
        made = cls((), ())
        made._count(left, right)
        return made

    def _count(self, left: Sequence[_Title], right: Sequence[_Title]) -> None:
        self.number = max(len(left), len(right), 1)
        self.counts: dict[str, int] = {}
        for side in (left, right):
            counts = Counter(word for title in side for word in (*title.spelled, *title.models))
            for word, count in counts.items():
                self.counts[word] = max(count, self.counts.get(word, 0))


class TitleOverlap:
    """The titles of both sides, ready to say of any pair how much they have in common.

    corpus: the words of the whole catalogue, where the titles are only some of it.
    """

    def __init__(self, left: Sequence[str], right: Sequence[str], corpus: WordCounts | None = None) -> None:
        self._left = [_read(title) for title in left]
        self._right = [_read(title) for title in right]
        corpus = WordCounts.of(self._left, self._right) if corpus is None else corpus
        self._number, self._counts = corpus.number, corpus.counts

    def share(self, left: int, right: int) -> float | None:
        """The weight that agrees as a share of the title's, 0 to 1; 1 for a shared rare model number.

        None where one of the titles has no words.
        """
        one, other = self._left[left], self._right[right]
        if not one.spelled or not other.spelled:
            return None
        if any(self._counts[model] <= RARE for model in one.models & other.models):
            return 1.0
        accents = one.accented and other.accented
        shared = {
            word
            for word in one.spelled.keys() & other.spelled.keys()
            if not accents or one.spelled[word] & other.spelled[word]
        }
        return max(self._of(one, other, shared), self._of(other, one, shared))

    def strangers(self, left: int, right: int) -> bool:
        """Whether two titles have nothing in common; never where one has no words."""
        share = self.share(left, right)
        limit = STRANGERS_AMONG_FEW if self._number <= FEW else STRANGERS
        return share is not None and share <= limit

    def _of(self, title: _Title, other: _Title, shared: set[str]) -> float:
        found = shared | {word for word in title.spelled if word in other.joined}
        for word, parts in title.joined.items():
            if word in other.spelled:
                found.update(parts)
        return sum(map(self._weight, found)) / sum(map(self._weight, title.spelled))

    def _weight(self, word: str) -> float:
        return 1 + log(self._number / self._counts[word])


def _read(title: str) -> _Title:
    every = words(title)
    # Numbers and measures agree between strangers; they count only where there is nothing else.
    spoken = [word for word in every if not _MEASURE.match(word)] or every
    forms: dict[str, set[str]] = {}
    for word in spoken:
        forms.setdefault(without_accents(word), set()).add(word)
    row = [without_accents(word) for word in spoken]
    return _Title(
        spelled={word: frozenset(spellings) for word, spellings in forms.items()},
        joined={first + second: (first, second) for first, second in pairwise(row)},
        models=frozenset(compact(number) for number in model_numbers(title) if not _MEASURE.match(number.casefold())),
        accented=any(word != without_accents(word) for word in every),
    )
