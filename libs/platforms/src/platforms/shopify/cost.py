"""What a query may cost, and how to size pages so that one query stays under Shopify's limit of 1000 points.

An object costs 1, a scalar 0, a connection 2 + first x the cost of its node, a mutation 10. Shopify does not
publish its connection formula: the real cost is learned from each answer, and a query that is refused as too
dear is sent again with half the page. `pageInfo` counts as an object here, to be on the safe side.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

MAX_QUERY_COST: Final = 1000
MUTATION_COST: Final = 10
MAX_FIRST: Final = 250
NESTED_FIRST: Final = 50  # of pages that follow a nested connection
METAFIELDS_FIRST: Final = 10
_PAGE_INFO: Final = 1
_COUNT: Final = 1  # the first page of a walk also asks how many there are
_LEVEL: Final = 3  # the level, its location, its one quantity


@dataclass(frozen=True)
class Nested:
    """How many nested records a page asks for; what does not fit is fetched by a query of its own."""

    variants: int = 3
    levels: int = 2
    addresses: int = 2


PageQuery = Literal["products", "variants", "customers", "variants_by_ids", "customers_by_ids"]


def connection(first: int, node: int) -> int:
    """The cost of a connection with its pageInfo."""
    return 2 + first * node + _PAGE_INFO


def variant(nested: Nested) -> int:
    """A variant, its inventory item and that item's levels."""
    return 1 + 1 + connection(nested.levels, _LEVEL)


def node(kind: PageQuery, nested: Nested) -> int:
    """One record of a page."""
    match kind:
        case "products":
            return 1 + connection(nested.variants, variant(nested))
        case "variants":
            return variant(nested)
        case "variants_by_ids":
            return variant(nested) + 1  # its product
        case "customers":
            return 1 + 3 + connection(nested.addresses, 1)  # amountSpent, default e-mail, default phone
        case "customers_by_ids":
            return node("customers", nested) + 2 + METAFIELDS_FIRST


def page(kind: PageQuery, first: int, nested: Nested) -> int:
    """A whole page of `first` records."""
    return _COUNT + connection(first, node(kind, nested))


def fitting_first(kind: PageQuery, nested: Nested, at_most: int) -> int:
    """The largest page that stays under the limit, at least 1."""
    room = MAX_QUERY_COST - _COUNT - connection(0, 0)
    return max(1, min(at_most, MAX_FIRST, room // node(kind, nested)))


def widened(nested: Nested, *, variants: bool = False, levels: bool = False) -> Nested:
    """Twice the nested records, where many did not fit; bounded so that a page still holds some records."""
    return replace(
        nested,
        variants=min(nested.variants * 2, 12) if variants else nested.variants,
        levels=min(nested.levels * 2, 8) if levels else nested.levels,
    )


def narrowed(nested: Nested) -> Nested | None:
    """Half the nested records, for a shop that finds even one record a page too dear; None if nothing is left."""
    halves = Nested(
        variants=max(1, nested.variants // 2),
        levels=max(1, nested.levels // 2),
        addresses=max(1, nested.addresses // 2),
    )
    return None if halves == nested else halves
