"""Which products may be the same: by exact keys and by names. What follows from it is said in resolution.py."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from matcher.domain.candidates import LABELS, TITLES, Candidate, ChunkResult, Method
from matcher.domain.keys import barcode_hint, barcode_key, sku_code, sku_hints, sku_key
from matcher.domain.overlap import TitleOverlap
from matcher.domain.text import fold, full_name, same_words, without_markup
from matcher.domain.titles import Described, Neighbour, TitleIndex
from platforms.spelling import visible

FILLER = 10
"""A key that more records of one platform have is a filler and is ignored."""
KEEP = 5
"""Names kept for one record; the second best is needed to know the margin."""
OTHER_BRAND = 0.5
"""Titles that share no more than this disagree where the brands do, too."""
_SHOWN = 40
"""Characters of a code that a reason quotes."""
_METHODS: tuple[Method, Method] = ("sku", "barcode")


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

    def described(self) -> Described:
        return Described(self.name, self.model or "", without_markup(self.description))


class ProductIndex:
    """All products of an account, sorted by id, ready to score any range of the hub's.

    Left: of the hub; right: of the channel. titles: what the two platforms are called in sentences.
    """

    def __init__(
        self, hub: Mapping[str, Product], channel: Mapping[str, Product], titles: tuple[str, str] = TITLES
    ) -> None:
        self._platform_titles = titles
        self._left_ids, self._right_ids = sorted(hub), sorted(channel)
        self._left = [hub[one] for one in self._left_ids]
        self._right = [channel[one] for one in self._right_ids]
        self._titles = TitleIndex([p.described() for p in self._left], [p.described() for p in self._right])
        self._overlap = TitleOverlap([p.name for p in self._left], [p.name for p in self._right])
        self._skus = _Keys([sku_key(p.sku) for p in self._left], [sku_key(p.sku) for p in self._right])
        self._gtins = _Keys([barcode_key(p.barcode) for p in self._left], [barcode_key(p.barcode) for p in self._right])
        self._loose_skus = _Hints(_sku_hints(self._left), _sku_hints(self._right))
        self._loose_barcodes = _Hints(_barcode_hints(self._left), _barcode_hints(self._right))

    def score(self, first: int, last: int) -> ChunkResult:
        """Candidates of the hub's positions first..last (both counted) in the order of ids."""
        near: dict[int, list[Neighbour]] = {}
        for neighbour in self._titles.neighbours(first, last):
            near.setdefault(neighbour.left, []).append(neighbour)
        candidates: list[Candidate] = []
        for left in range(first, last + 1):
            ranked = sorted(near.get(left, []), key=lambda one: (-one.score, self._right_ids[one.right]))
            coded = self._by_codes(left, {one.right: one.score for one in ranked})
            candidates.extend(coded.values())
            candidates.extend(self._by_title(one) for one in ranked[:KEEP] if one.right not in coded)
        return ChunkResult(candidates, {})

    def _by_title(self, one: Neighbour) -> Candidate:
        doubt = self._against_names(one.left, one.right)
        return Candidate(self._left_ids[one.left], self._right_ids[one.right], "title", one.score, doubt)

    def _by_codes(self, left: int, by_name: Mapping[int, float]) -> dict[int, Candidate]:
        """Candidates by right position: evidence first, then hints for whom no evidence speaks."""
        hits: dict[int, list[Method]] = {}
        for method in _METHODS:
            keys = self._keys(method)
            for right in keys.partners(left):
                hits.setdefault(right, []).append(method)
        found: dict[int, Candidate] = {}
        for right, methods in hits.items():
            unique: list[Method] = [method for method in methods if self._keys(method).unique(left)]
            if unique:
                found[right] = self._evidence(left, right, unique)
            else:
                doubt = self._shared(left, right, methods[0])
                found[right] = self._hint(left, right, methods[0], doubt, by_name)
        for method in _METHODS:
            hints = self._loose_skus if method == "sku" else self._loose_barcodes
            for right in hints.partners(left):
                if right not in found:
                    found[right] = self._hint(left, right, method, self._loose(left, right, method), by_name)
        return dict(sorted(found.items()))

    def _keys(self, method: Method) -> "_Keys":
        return self._skus if method == "sku" else self._gtins

    def _evidence(self, left: int, right: int, methods: list[Method]) -> Candidate:
        """A pair whose SKU or GTIN agrees and belongs to no other record on either side."""
        one, other = self._left[left], self._right[right]
        doubts: list[str] = []
        code = " and the ".join(f"{LABELS[method]} {self._quoted(left, method)}" for method in methods)
        if methods == ["sku"] and self._gtins.contradict(left, right):
            doubts.append(f"the {code} agrees, the barcodes differ: {_show(one.barcode)} and {_show(other.barcode)}")
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

    def _hint(self, left: int, right: int, method: Method, doubt: str, by_name: Mapping[int, float]) -> Candidate:
        against = self._against_names(left, right)
        return Candidate(
            self._left_ids[left],
            self._right_ids[right],
            method,
            self._doubtful_score(left, right),
            doubt if against is None else f"{doubt}; {against}",
            hint=True,
            name_score=by_name.get(right, 0.0) if against is None else 0.0,
        )

    def _doubtful_score(self, left: int, right: int) -> float:
        return round(0.5 + 0.4 * self._titles.similarity(left, right), 4)

    def _strangers(self, left: int, right: int) -> bool:
        if self._overlap.strangers(left, right):
            return True
        brands = fold(self._left[left].brand), fold(self._right[right].brand)
        share = self._overlap.share(left, right)
        other_brand = all(brands) and brands[0] not in brands[1] and brands[1] not in brands[0]
        return other_brand and share is not None and share <= OTHER_BRAND

    def _shared(self, left: int, right: int, method: Method) -> str:
        ours, theirs = self._keys(method).carriers(left)
        holders = [
            f"{number} records of {title}"
            for number, title in zip((ours, theirs), self._platform_titles, strict=True)
            if number > 1
        ]
        return f"the {LABELS[method]} {self._quoted(left, method)} belongs to {' and '.join(holders)}"

    def _loose(self, left: int, right: int, method: Method) -> str:
        one, other = self._left[left], self._right[right]
        if method == "sku":
            return f"the SKUs agree only in a looser form: {_show(one.sku)} and {_show(other.sku)}"
        return f"the barcodes agree, but are no GTIN that names one product: {_show(one.barcode)}"

    def _against_names(self, left: int, right: int) -> str | None:
        """Why the names of a pair may not link it, whatever they say."""
        one, other = self._left[left], self._right[right]
        reasons: list[str] = []
        # Any two codes that differ count here, even short or shared ones: they may only cost a person's look.
        skus = sku_code(one.sku), sku_code(other.sku)
        if all(skus) and skus[0] != skus[1]:
            reasons.append(f"the SKUs differ: {_show(one.sku)} and {_show(other.sku)}")
        gtins = barcode_key(one.barcode), barcode_key(other.barcode)
        if all(gtins) and gtins[0] != gtins[1]:
            reasons.append(f"the barcodes differ: {_show(one.barcode)} and {_show(other.barcode)}")
        accents = self._titles.accent_difference(left, right)
        if accents is not None:
            apart = f"{_show(accents.left)} and {_show(accents.right)}"
            reasons.append(
                "the names agree only without accents: one of them is typed without"
                if accents.untyped
                else f"the names differ in their accents: {apart}"
            )
        return "; ".join(reasons) or None

    def _quoted(self, left: int, method: Method) -> str:
        product = self._left[left]
        return _show(product.sku if method == "sku" else product.barcode)


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


class _Hints:
    """Looser forms of one kind of key on both sides, several a record."""

    def __init__(self, left: Sequence[Iterable[str]], right: Sequence[Iterable[str]]) -> None:
        self._left = left
        self._left_counts = Counter(hint for hints in left for hint in hints)
        self._rights: dict[str, list[int]] = {}
        for position, hints in enumerate(right):
            for hint in hints:
                self._rights.setdefault(hint, []).append(position)

    def partners(self, left: int) -> list[int]:
        found: set[int] = set()
        for hint in self._left[left]:
            rights = self._rights.get(hint, [])
            if self._left_counts[hint] <= FILLER and len(rights) <= FILLER:
                found.update(rights)
        return sorted(found)


def _sku_hints(products: Iterable[Product]) -> list[frozenset[str]]:
    return [sku_hints(product.sku) for product in products]


def _barcode_hints(products: Iterable[Product]) -> list[tuple[str, ...]]:
    found = (barcode_hint(product.barcode) for product in products)
    return [() if hint is None else (hint,) for hint in found]


def _show(text: str | None) -> str:
    shown = visible(text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
