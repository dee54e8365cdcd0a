"""Similarity of product names over a whole catalogue: TF-IDF for candidates, then refined pair by pair.

The weights were set by hand on Abt-Buy; tests/unit/matcher/test_abt_buy.py prints what they reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sparse_dot_topn import sp_matmul_topn

from matcher.domain.text import distinctions, fold, measures, model_numbers, words
from platforms.spelling import without_accents

CANDIDATES = 10
"""Neighbours that each view of a name contributes."""
NOISE = 0.05
"""Cosines below this are no neighbours."""
WEIGHTS = (0.35, 0.25, 0.25, 0.15)
"""Character n-grams of names, words with description, words of names, RapidFuzz's token set ratio."""
MODEL_WEIGHT = 0.6
"""How much of the way to 1 an agreeing model number carries a score."""
OTHER_MODEL = 0.8
"""Factor where both names carry model numbers and none of them agree."""
CAP = 0.4
"""Highest score of a pair whose numbers or sizes contradict each other: a sibling until a person says otherwise."""
UNACCENTED = 0.9
"""Factor where one name is typed without accents: the other, with its accents, may be another word."""
DESCRIPTION_CHARS = 400
_FLOAT: Any = np.float32  # half the memory; scikit-learn's hints know float64 alone


@dataclass(frozen=True, slots=True)
class Described:
    """A product's words: `name` with its variant, `model` from a column of its own, `description` without markup."""

    name: str
    model: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class AccentDifference:
    """Two words of a pair of names that only their accents tell apart; `untyped`: one name has no accents at all."""

    left: str
    right: str
    untyped: bool


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Positions on both sides, and how alike the names are, 0 to 1."""

    left: int
    right: int
    score: float


class TitleIndex:
    """Both sides of a catalogue, ready to compare any slice of the left with all of the right."""

    def __init__(self, left: Sequence[Described], right: Sequence[Described]) -> None:
        self._left, self._right = _TitleWords(left), _TitleWords(right)
        counts: dict[str, int] = {}
        for side in (self._left, self._right):
            for numbers in side.models:
                for number in numbers:
                    counts[number] = counts.get(number, 0) + 1
        self._model_counts = counts
        self._views = [
            _view(_characters(), self._left.names, self._right.names),
            _view(_words(), self._left.texts, self._right.texts),
            _view(_words(), self._left.coded_names, self._right.coded_names),
        ]

    def neighbours(self, first: int, last: int) -> list[Neighbour]:
        """Refined neighbours of the left positions first..last (both counted), in order of positions."""
        pairs: set[tuple[int, int]] = set()
        for lefts, rights in self._views:
            near = sp_matmul_topn(
                lefts[first : last + 1], rights.T.tocsr(), top_n=CANDIDATES, threshold=NOISE, sort=True
            ).tocoo()
            pairs.update(zip((near.row + first).tolist(), near.col.tolist(), strict=True))
        ordered = sorted(pairs)
        if not ordered:
            return []
        rows, columns = (np.array(positions) for positions in zip(*ordered, strict=True))
        cosines = [_cosines(lefts, rights, rows, columns) for lefts, rights in self._views]
        return [
            Neighbour(left, right, self._refine(left, right, [float(view[at]) for view in cosines]))
            for at, (left, right) in enumerate(ordered)
        ]

    def similarity(self, left: int, right: int) -> float:
        """How alike two names are, 0 to 1, without the evidence of model numbers."""
        return fuzz.token_set_ratio(self._left.names[left], self._right.names[right]) / 100

    def accent_difference(self, left: int, right: int) -> AccentDifference | None:
        """The first words that are one word only without accents: `bò` and `bơ`."""
        ours, theirs = self._left.spelled[left], self._right.spelled[right]
        if ours == theirs:
            return None
        mine, yours = ours - theirs, theirs - ours
        by_plain = {without_accents(word): word for word in sorted(yours)}
        for word in sorted(mine):
            other = by_plain.get(without_accents(word))
            if other is not None:
                return AccentDifference(word, other, _is_plain(ours) or _is_plain(theirs))
        return None

    def _refine(self, left: int, right: int, cosines: list[float]) -> float:
        one, other = self._left, self._right
        parts = (*cosines, self.similarity(left, right))
        score = sum(weight * part for weight, part in zip(WEIGHTS, parts, strict=True))
        evidence = self._model_evidence(one.models[left], other.models[right])
        if evidence > 0:
            score += (1 - score) * MODEL_WEIGHT * evidence
        elif one.name_models[left] and other.name_models[right]:
            score *= OTHER_MODEL
        if _contradict(one.names[left], other.names[right], same_model=evidence == 1):
            score = min(score, CAP)
        accents = self.accent_difference(left, right)
        if accents is not None:
            score = score * UNACCENTED if accents.untyped else min(score, CAP)
        return round(min(max(score, 0.0), 1.0), 4)

    def _model_evidence(self, left: frozenset[str], right: frozenset[str]) -> float:
        """1 for the same rare number, less for a common one or one that only continues the other (colour suffixes)."""
        best = 0.0
        for number in left & right:
            best = max(best, 1.0 if self._model_counts[number] <= 3 else 0.6)
        if best:
            return best
        for ours in left:
            for theirs in right:
                short, long = sorted((ours, theirs), key=len)
                share = 0.7 * len(short) / len(long)
                if len(short) >= 4 and long.startswith(short):
                    best = max(best, share + 0.15)
                elif len(short) >= 5 and short in long:
                    best = max(best, share + 0.05)
        return best


class _TitleWords:
    """One side's texts in the forms that the views read."""

    def __init__(self, products: Sequence[Described]) -> None:
        self.names = [fold(product.name) for product in products]
        self.spelled = [frozenset(words(product.name)) for product in products]
        self.name_models = [model_numbers(product.name) for product in products]
        self.models = [
            numbers | model_numbers(product.model) | model_numbers(product.description[:DESCRIPTION_CHARS])
            for numbers, product in zip(self.name_models, products, strict=True)
        ]
        self.coded_names = [
            " ".join([name, *sorted(number.lower() for number in numbers)])
            for name, numbers in zip(self.names, self.name_models, strict=True)
        ]
        self.texts = [
            f"{coded} {fold(product.description)[:DESCRIPTION_CHARS]}"
            for coded, product in zip(self.coded_names, products, strict=True)
        ]


def _contradict(one: str, other: str, *, same_model: bool) -> bool:
    """Measures that differ always contradict; other numbers only where no model number outweighs them."""
    measured = measures(one), measures(other)
    if all(measured) and not (measured[0] & measured[1]):
        return True
    if same_model:
        return False
    ours, theirs = distinctions(one), distinctions(other)
    return bool(ours - theirs) and bool(theirs - ours)


def _is_plain(spelled: frozenset[str]) -> bool:
    return all(word == without_accents(word) for word in spelled)


def _characters() -> TfidfVectorizer:
    return TfidfVectorizer(sublinear_tf=True, dtype=_FLOAT, lowercase=False, analyzer="char_wb", ngram_range=(3, 4))


def _words() -> TfidfVectorizer:
    return TfidfVectorizer(sublinear_tf=True, dtype=_FLOAT, lowercase=False, tokenizer=str.split, token_pattern=None)  # pyright: ignore[reportArgumentType]  # None is documented


def _view(vectorizer: TfidfVectorizer, left: list[str], right: list[str]) -> tuple[csr_matrix, csr_matrix]:
    try:
        vectorizer.fit([*left, *right])
    except ValueError:  # scikit-learn's word for "not one token in all texts"
        return csr_matrix((len(left), 1), dtype=_FLOAT), csr_matrix((len(right), 1), dtype=_FLOAT)
    return _transform(vectorizer, left), _transform(vectorizer, right)


def _transform(vectorizer: TfidfVectorizer, texts: list[str]) -> csr_matrix:
    # scikit-learn refuses an empty list, which is what a shop without products gives.
    return vectorizer.transform(texts) if texts else csr_matrix((0, len(vectorizer.vocabulary_)), dtype=_FLOAT)


def _cosines(
    lefts: csr_matrix, rights: csr_matrix, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float32]:
    return np.asarray(lefts[rows].multiply(rights[columns]).sum(axis=1)).ravel()
