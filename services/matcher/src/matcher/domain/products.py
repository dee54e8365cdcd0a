"""Which products may be the same: by exact keys and by names. What follows from it is said in resolution.py."""

from collections import Counter
from collections.abc import Mapping

from msgspec import Struct

from matcher.domain.candidates import Candidate, ChunkResult, Method
from matcher.domain.keys import barcode_key, sku_key
from matcher.domain.text import fold, full_name, model_numbers, without_markup
from matcher.domain.titles import Described, Neighbour, TitleIndex

FILLER = 10
"""A key that more records of one side carry is no key but a filler, and is ignored."""
KEEP = 5
"""Names kept for one record; the second best is needed to know the margin."""
STRANGERS = 0.35
"""Names less alike than this disagree."""


class Product(Struct, frozen=True, omit_defaults=True):
    """A sellable variant as the catalogue has it."""

    title: str | None = None
    variant_title: str | None = None
    brand: str | None = None
    model: str | None = None
    description: str | None = None
    sku: str | None = None
    barcode: str | None = None

    def described(self) -> Described:
        name = full_name(self.title, self.variant_title)
        return Described(name, self.model or "", without_markup(self.description))


class ProductIndex:
    """All products of an account, sorted by id, ready to score any slice of the Nhanh side."""

    def __init__(self, nhanh: Mapping[str, Product], shopify: Mapping[str, Product]) -> None:
        self._left_ids, self._right_ids = sorted(nhanh), sorted(shopify)
        self._left = [nhanh[one] for one in self._left_ids]
        self._right = [shopify[one] for one in self._right_ids]
        self._titles = TitleIndex([p.described() for p in self._left], [p.described() for p in self._right])
        self._keys: dict[Method, _Keys] = {
            "sku": _Keys([sku_key(p.sku) for p in self._left], [sku_key(p.sku) for p in self._right]),
            "barcode": _Keys(
                [barcode_key(p.barcode) for p in self._left], [barcode_key(p.barcode) for p in self._right]
            ),
        }

    def score(self, first: int, last: int) -> ChunkResult:
        """Candidates of the Nhanh positions first..last (both counted) in the order of ids."""
        near: dict[int, list[Neighbour]] = {}
        for neighbour in self._titles.neighbours(first, last):
            near.setdefault(neighbour.left, []).append(neighbour)
        candidates: list[Candidate] = []
        for left in range(first, last + 1):
            exact = self._exact(left)
            candidates.extend(exact.values())
            ranked = sorted(near.get(left, []), key=lambda one: (-one.score, self._right_ids[one.right]))
            candidates.extend(self._by_title(one) for one in ranked[:KEEP] if one.right not in exact)
        return ChunkResult(candidates, {})

    def _by_title(self, one: Neighbour) -> Candidate:
        return Candidate(self._left_ids[one.left], self._right_ids[one.right], "title", one.score)

    def _exact(self, left: int) -> dict[int, Candidate]:
        hits: dict[int, list[Method]] = {}
        for method, keys in self._keys.items():
            for right in keys.partners(left):
                hits.setdefault(right, []).append(method)
        return {right: self._judge(left, right, methods) for right, methods in hits.items()}

    def _judge(self, left: int, right: int, methods: list[Method]) -> Candidate:
        alike = self._titles.similarity(left, right)
        unique: list[Method] = [method for method in methods if self._keys[method].unique(left)]
        method = unique[0] if unique else methods[0]
        doubt: str | None = None
        if not unique:
            doubt = f"the {method} is not unique"
        elif len(methods) == 1 and self._disagree(left, right, alike):
            doubt = f"the {method} agrees, brand and title do not"
        score = 1.0 if len(methods) > 1 else 0.99
        if doubt is not None:
            score = round(0.5 + 0.4 * alike, 4)
        return Candidate(self._left_ids[left], self._right_ids[right], method, score, doubt)

    def _disagree(self, left: int, right: int, alike: float) -> bool:
        """Titles have little in common, and neither the brand nor a model number speaks for the pair."""
        one, other = self._left[left], self._right[right]
        if not _name(one) or not _name(other):
            return False
        brands = fold(one.brand), fold(other.brand)
        if all(brands) and brands[0] not in brands[1] and brands[1] not in brands[0]:
            return alike < 2 * STRANGERS
        same_brand = all(brands)
        same_model = bool(model_numbers(_name(one)) & model_numbers(_name(other)))
        return alike < STRANGERS and not same_brand and not same_model


class _Keys:
    """One kind of key on both sides: who carries it, and whether it names one record on each."""

    def __init__(self, left: list[str | None], right: list[str | None]) -> None:
        self._left = left
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

    def unique(self, left: int) -> bool:
        key = self._left[left]
        return key is not None and self._left_counts[key] == 1 and len(self._rights.get(key, [])) == 1


def _name(product: Product) -> str:
    return full_name(product.title, product.variant_title)
