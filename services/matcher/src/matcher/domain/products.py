"""Which products may be the same: by exact keys and by names. What follows from it is said in resolution.py."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from matcher.domain.candidates import LABELS, TITLES, Candidate, ChunkResult, Method
from matcher.domain.keys import barcode_hint, barcode_key, sku_code, sku_hints
from matcher.domain.product_codes import FILLER, METHODS, Product, ProductCodes, show
from matcher.domain.text import without_markup
from matcher.domain.titles import Described, Neighbour, TitleIndex

KEEP = 5
"""Names kept for one record; the second best is needed to know the margin."""


class ProductIndex(ProductCodes):
    """All products of an account, sorted by id, ready to score any range of the hub's.

    Left: of the hub; right: of the channel. titles: what the two platforms are called in sentences.
    """

    def __init__(
        self, hub: Mapping[str, Product], channel: Mapping[str, Product], titles: tuple[str, str] = TITLES
    ) -> None:
        super().__init__(hub, channel, titles)
        self._titles = TitleIndex([_described(p) for p in self._left], [_described(p) for p in self._right])
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
        found = self._by_evidence(left)
        for right, methods in self._hits(left).items():
            if right not in found:
                found[right] = self._hint(left, right, methods[0], self._shared(left, right, methods[0]), by_name)
        for method in METHODS:
            hints = self._loose_skus if method == "sku" else self._loose_barcodes
            for right in hints.partners(left):
                if right not in found:
                    found[right] = self._hint(left, right, method, self._loose(left, right, method), by_name)
        return dict(sorted(found.items()))

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
            return f"the SKUs agree only in a looser form: {show(one.sku)} and {show(other.sku)}"
        return f"the barcodes agree, but are no GTIN that names one product: {show(one.barcode)}"

    def _against_names(self, left: int, right: int) -> str | None:
        """Why the names of a pair may not link it, whatever they say."""
        one, other = self._left[left], self._right[right]
        reasons: list[str] = []
        # Any two codes that differ count here, even short or shared ones: they may only cost a person's look.
        skus = sku_code(one.sku), sku_code(other.sku)
        if all(skus) and skus[0] != skus[1]:
            reasons.append(f"the SKUs differ: {show(one.sku)} and {show(other.sku)}")
        gtins = barcode_key(one.barcode), barcode_key(other.barcode)
        if all(gtins) and gtins[0] != gtins[1]:
            reasons.append(f"the barcodes differ: {show(one.barcode)} and {show(other.barcode)}")
        accents = self._titles.accent_difference(left, right)
        if accents is not None:
            apart = f"{show(accents.left)} and {show(accents.right)}"
            reasons.append(
                "the names agree only without accents: one of them is typed without"
                if accents.untyped
                else f"the names differ in their accents: {apart}"
            )
        return "; ".join(reasons) or None


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


def _described(product: Product) -> Described:
    return Described(product.name, product.model or "", without_markup(product.description))


def _sku_hints(products: Iterable[Product]) -> list[frozenset[str]]:
    return [sku_hints(product.sku) for product in products]


def _barcode_hints(products: Iterable[Product]) -> list[tuple[str, ...]]:
    found = (barcode_hint(product.barcode) for product in products)
    return [() if hint is None else (hint,) for hint in found]
