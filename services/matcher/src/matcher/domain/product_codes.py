"""The codes of products as evidence that two are the same: who shares a SKU or a GTIN, and what speaks against it."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from msgspec import Struct
from rapidfuzz import fuzz

from matcher.domain.candidates import LABELS, TITLES, Candidate, Method
from matcher.domain.keys import barcode_key, sku_key
from matcher.domain.overlap import TitleOverlap, WordCounts
from matcher.domain.record_keys import GTIN, SKU, key_of
from matcher.domain.text import fold, full_name, same_words
from platforms.spelling import visible

FILLER = 10
"""A key that more records of one platform have is a filler and is ignored."""
OTHER_BRAND = 0.5
"""Titles that share no more than this disagree where the brands do, too."""
_SHOWN = 40
"""Characters of a code that a reason quotes."""
METHODS: tuple[Method, Method] = ("sku", "barcode")


class Product(Struct, frozen=True, omit_defaults=True):
    """A sellable variant as the catalogue has it."""

    title: str | None = None
    variant_title: str | None = None
    brand: str | None = None
    model: str | None = None
    description: str | None = None
    sku: str | None = None
    barcode: str | None = None

    @property
    def name(self) -> str:
        """The title with what tells this variant from its siblings."""
        return full_name(self.title, self.variant_title)


StoredKeys = Mapping[str, list[str]]
"""Record id -> keys as record_keys.py makes them."""


class ProductCodes:
    """Products of both platforms, sorted by id, ready to be compared by their codes.

    Left: of the hub; right: of the channel. titles: what the two platforms are called in sentences. A part of the
    catalogue will do that has with each record all others of its side with a code of it; corpus: the words of all.
    keys: of both sides, where they are stored.
    """

    def __init__(
        self,
        hub: Mapping[str, Product],
        channel: Mapping[str, Product],
        titles: tuple[str, str] = TITLES,
        *,
        corpus: Callable[[], WordCounts] | None = None,
        keys: tuple[StoredKeys, StoredKeys] | None = None,
    ) -> None:
        self._platform_titles = titles
        self._left_ids, self._right_ids = sorted(hub), sorted(channel)
        self._left = [hub[one] for one in self._left_ids]
        self._right = [channel[one] for one in self._right_ids]
        self._corpus = corpus
        if keys is None:
            self._skus = _Keys([sku_key(p.sku) for p in self._left], [sku_key(p.sku) for p in self._right])
            gtins = [barcode_key(p.barcode) for p in self._left], [barcode_key(p.barcode) for p in self._right]
            self._gtins = _Keys(*gtins)
        else:
            sides = (self._left_ids, keys[0]), (self._right_ids, keys[1])
            self._skus = _Keys(*([key_of(SKU, stored[one]) for one in ids] for ids, stored in sides))
            self._gtins = _Keys(*([key_of(GTIN, stored[one]) for one in ids] for ids, stored in sides))

    def evidence(self) -> list[Candidate]:
        """The pairs for which a code speaks that belongs to no other record of either side, doubted ones too."""
        return [one for left in range(len(self._left)) for one in self._by_evidence(left).values()]

    @cached_property
    def _overlap(self) -> TitleOverlap:
        names = [p.name for p in self._left], [p.name for p in self._right]
        return TitleOverlap(*names, None if self._corpus is None else self._corpus())

    def _by_evidence(self, left: int) -> dict[int, Candidate]:
        return {
            right: self._evidence(left, right, unique)
            for right, methods in self._hits(left).items()
            if (unique := self._unique(left, methods))
        }

    def _hits(self, left: int) -> dict[int, list[Method]]:
        """Right positions that share a code with a left one, and which."""
        hits: dict[int, list[Method]] = {}
        for method in METHODS:
            for right in self._keys(method).partners(left):
                hits.setdefault(right, []).append(method)
        return hits

    def _unique(self, left: int, methods: Iterable[Method]) -> list[Method]:
        return [method for method in methods if self._keys(method).unique(left)]

    def _keys(self, method: Method) -> "_Keys":
        return self._skus if method == "sku" else self._gtins

    def _evidence(self, left: int, right: int, methods: list[Method]) -> Candidate:
        """A pair whose SKU or GTIN agrees and belongs to no other record on either side."""
        one, other = self._left[left], self._right[right]
        doubts: list[str] = []
        code = " and the ".join(f"{LABELS[method]} {self._quoted(left, method)}" for method in methods)
        if methods == ["sku"] and self._gtins.contradict(left, right):
            doubts.append(f"the {code} agrees, the barcodes differ: {show(one.barcode)} and {show(other.barcode)}")
        if self._strangers(left, right):
            verb = "agrees" if len(methods) == 1 else "agree"
            doubts.append(f"the {code} {verb}, but the titles have nothing in common")
        score = 1.0 if len(methods) > 1 else 0.99
        return Candidate(
            self._left_ids[left],
            self._right_ids[right],
            methods[0],
            self._doubtful_score(left, right) if doubts else score,
            "; ".join(doubts) or None,
            same_name=same_words(one.name, other.name),
        )

    def _doubtful_score(self, left: int, right: int) -> float:
        names = fold(self._left[left].name), fold(self._right[right].name)
        return round(0.5 + 0.4 * fuzz.token_set_ratio(*names) / 100, 4)

    def _strangers(self, left: int, right: int) -> bool:
        if same_words(self._left[left].name, self._right[right].name):
            return False
        if self._overlap.strangers(left, right):
            return True
        brands = fold(self._left[left].brand), fold(self._right[right].brand)
        share = self._overlap.share(left, right)
        other_brand = all(brands) and brands[0] not in brands[1] and brands[1] not in brands[0]
        return other_brand and share is not None and share <= OTHER_BRAND

    def _quoted(self, left: int, method: Method) -> str:
        product = self._left[left]
        return show(product.sku if method == "sku" else product.barcode)


class _Keys:
    """One kind of key on both sides: who carries it, and whether it names one record on each."""

    def __init__(self, left: Sequence[str | None], right: Sequence[str | None]) -> None:
        self._left, self._right = left, right
        self._left_counts = Counter(key for key in left if key is not None)
        self._rights: dict[str, list[int]] = {}
        for position, key in enumerate(right):
            if key is not None:
                self._rights.setdefault(key, []).append(position)

    def partners(self, left: int) -> list[int]:
        key = self._left[left]
        if key is None or self._left_counts[key] > FILLER:
            return []
        rights = self._rights.get(key, [])
        return rights if len(rights) <= FILLER else []

    def carriers(self, left: int) -> tuple[int, int]:
        """How many records of each side carry the key of this one."""
        key = self._left[left]
        return (0, 0) if key is None else (self._left_counts[key], len(self._rights.get(key, [])))

    def unique(self, left: int) -> bool:
        return self.carriers(left) == (1, 1)

    def contradict(self, left: int, right: int) -> bool:
        """Whether both records have a key, each its own alone on its side, and the keys differ."""
        ours, theirs = self._left[left], self._right[right]
        if ours is None or theirs is None or ours == theirs:
            return False
        return self._left_counts[ours] == 1 and len(self._rights[theirs]) == 1


def show(text: str | None) -> str:
    """A code as a reason quotes it."""
    shown = visible(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
