"""What is read from a shop: pages of products and customers, records by id, locations, the shop itself.

Every connection inside a record is complete: it comes as `{"nodes": [...]}` with all its nodes.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from platforms.cursors import CursorGuard
from platforms.errors import Rejected
from platforms.results import Json, Page
from platforms.shopify import cost
from platforms.shopify.cost import Nested, PageQuery
from platforms.shopify.transport import GraphqlTransport, QueryTooDear

WALK_LIMIT: Final = 24_000
"""Shopify ends a walk over one connection after 25,000 objects; before that a new walk starts behind the last id."""

_MANY: Final = 0.25  # share of records with unfinished connections from which on bigger pages pay
_MAX_NESTED_PAGES: Final = 1000


class ShopifyReader:
    """Reads one shop; learns while it reads how large its pages may be."""

    def __init__(self, transport: GraphqlTransport) -> None:
        self._transport = transport
        self._nested: dict[PageQuery, Nested] = {}
        self._ceilings: dict[PageQuery, int] = {}
        self._guards: dict[tuple[str, str | None], CursorGuard] = {}

    def products(self, cursor: Json | None, query: str | None, size: int) -> Page:
        """A page of products with all their variants and levels, by ascending id."""
        page = self._page("products", cursor, query, size)
        for product in page.items:
            self._finish_product(product)
        self._adapt_products("products", page.items)
        return page

    def customers(self, cursor: Json | None, query: str | None, size: int) -> Page:
        """A page of customers with all their addresses, by ascending id."""
        page = self._page("customers", cursor, query, size)
        for customer in page.items:
            self._finish_customer(customer)
        return page

    def count(self, kind: Literal["products", "customers"], query: str | None) -> int | None:
        """How many records a walk with this `query` would meet now, as the shop counts them; None = it does not say."""
        found = self._transport.execute(f"{kind}_count", {"query": query}, cost=1)[f"{kind}Count"]
        return found and found["count"]

    def variants_by_ids(self, ids: Sequence[str]) -> list[Json]:
        """The variants among `ids` that exist, in that order, each with its `product {id}` and all levels."""
        found = self._by_ids("variants_by_ids", ids, {})
        for variant in found:
            self._finish_levels(variant)
        return found

    def customers_by_ids(self, ids: Sequence[str], namespace: str) -> list[Json]:
        """The customers among `ids` that exist, with addresses and the metafields of `namespace`."""
        extra = {"metafields": cost.METAFIELDS_FIRST, "namespace": namespace}
        found = self._by_ids("customers_by_ids", ids, extra)
        for customer in found:
            self._finish_customer(customer)
        return found

    def locations(self) -> list[Json]:
        """All active locations by ascending id: `id`, `name`, `isActive`."""
        nodes: list[Json] = []
        self._follow(nodes, None, self._locations_page)
        return nodes

    def shop(self, retry_timeout: float) -> Json:
        """The shop's `id`, `name`, `myshopifyDomain` and `currencyCode`."""
        return self._transport.execute("shop", {}, cost=1, retry_timeout=retry_timeout)["shop"]

    def _page(self, kind: Literal["products", "customers"], cursor: Json | None, query: str | None, size: int) -> Page:
        position: Json = cursor or {}
        wanted = (kind, query)
        above = position.get("above")
        if above is not None:
            query = f"({query}) AND id:>{above}" if query else f"id:>{above}"
        fixed = {"after": position.get("after"), "query": query, "count": cursor is None}

        def variables(first: int, nested: Nested) -> Json:
            return {"first": first, **fixed, **_sizes(kind, nested)}

        data = self._sized(kind, size, variables)
        count = data.get(f"{kind}Count")
        total = count["count"] if count else position.get("total")
        page = _as_page(data[kind], position, total)
        guard = self._guards.setdefault(wanted, _guard())
        guard.check(cursor and _place(cursor), page.next and _place(page.next))
        return page

    def _by_ids(self, kind: PageQuery, ids: Sequence[str], extra: Json) -> list[Json]:
        found: list[Json] = []
        done = 0
        while done < len(ids):
            chunk: Sequence[str] = ()

            def variables(first: int, nested: Nested) -> Json:
                nonlocal chunk
                chunk = ids[done : done + first]  # noqa: B023  called before the loop goes on
                return {"ids": chunk, **extra, **_sizes(kind, nested)}

            data = self._sized(kind, len(ids) - done, variables)
            done += len(chunk)
            found.extend(record for record in data["nodes"] if record and "id" in record)
        return found

    def _sized(self, kind: PageQuery, at_most: int, variables: Callable[[int, Nested], Json]) -> Json:
        """Run document `kind` with the largest page that fits; halve it as often as the shop finds it too dear."""
        while True:
            nested = self._nested.setdefault(kind, Nested())
            ceiling = self._ceilings.get(kind, cost.MAX_FIRST)
            first = cost.fitting_first(kind, nested, min(at_most, ceiling))
            try:
                return self._transport.execute(kind, variables(first, nested), cost=cost.page(kind, first, nested))
            except QueryTooDear:
                if first > 1:
                    self._ceilings[kind] = first // 2
                    continue
                smaller = cost.narrowed(nested)
                if smaller is None:
                    raise
                self._nested[kind] = smaller

    def _adapt_products(self, kind: PageQuery, products: list[Json]) -> None:
        """Ask for more nested records where many products needed a query of their own."""
        nested = self._nested[kind]
        if kind in self._ceilings or not products:
            return  # the shop counts dearer than we do: don't press it
        variants = [variant for product in products for variant in product["variants"]["nodes"]]
        self._nested[kind] = cost.widened(
            nested,
            variants=_share(products, lambda p: len(p["variants"]["nodes"]) > nested.variants) >= _MANY,
            levels=_share(variants, lambda v: len(_levels(v)["nodes"]) > nested.levels) >= _MANY,
        )

    def _finish_product(self, product: Json) -> None:
        def more(after: str | None) -> Json | None:
            nested = Nested()
            first = cost.fitting_first("variants", nested, cost.NESTED_FIRST)
            variables = {"id": product["id"], "first": first, "after": after, **_sizes("variants", nested)}
            estimate = 1 + cost.page("variants", first, nested)
            found = self._transport.execute("product_variants", variables, cost=estimate)["product"]
            return found and found["variants"]

        self._finish(product, "variants", more)
        for variant in product["variants"]["nodes"]:
            self._finish_levels(variant)

    def _finish_levels(self, variant: Json) -> None:
        item = variant["inventoryItem"]

        def more(after: str | None) -> Json | None:
            variables = {"id": item["id"], "first": cost.NESTED_FIRST, "after": after}
            estimate = 1 + cost.connection(cost.NESTED_FIRST, 3)
            found = self._transport.execute("inventory_levels", variables, cost=estimate)["inventoryItem"]
            return found and found["inventoryLevels"]

        self._finish(item, "inventoryLevels", more)

    def _finish_customer(self, customer: Json) -> None:
        def more(after: str | None) -> Json | None:
            variables = {"id": customer["id"], "first": cost.NESTED_FIRST, "after": after}
            estimate = 1 + cost.connection(cost.NESTED_FIRST, 1)
            found = self._transport.execute("customer_addresses", variables, cost=estimate)["customer"]
            return found and found["addressesV2"]

        self._finish(customer, "addressesV2", more)

    def _finish(self, record: Json, field: str, more: Callable[[str | None], Json | None]) -> None:
        part = record[field]
        nodes = list(part["nodes"])
        if part["pageInfo"]["hasNextPage"]:
            self._follow(nodes, part["pageInfo"]["endCursor"], more)
        record[field] = {"nodes": nodes}

    def _follow(self, nodes: list[Json], after: str | None, more: Callable[[str | None], Json | None]) -> None:
        """Append the pages behind `after`. `more` answers None when the record has been deleted meanwhile."""
        guard = _guard()
        for _ in range(_MAX_NESTED_PAGES):
            part = more(after)
            if part is None:
                return
            nodes.extend(part["nodes"])
            info = part["pageInfo"]
            following = info["endCursor"] if info["hasNextPage"] else None
            guard.check(after, following)
            if following is None:
                return
            after = following
        raise Rejected("TOO_MANY_PAGES", f"more than {_MAX_NESTED_PAGES} pages inside one record")

    def _locations_page(self, after: str | None) -> Json:
        variables = {"first": cost.NESTED_FIRST, "after": after}
        estimate = cost.connection(cost.NESTED_FIRST, 1)
        return self._transport.execute("locations", variables, cost=estimate)["locations"]


def _as_page(part: Json, position: Json, total: int | None) -> Page:
    nodes, info = part["nodes"], part["pageInfo"]
    if not info["hasNextPage"]:
        return Page(items=nodes, next=None, total=total)
    walked = position.get("walked", 0) + len(nodes)
    following: Json = {"total": total}
    last = next((node["id"] for node in reversed(nodes) if isinstance(node.get("id"), str)), None)
    if walked >= WALK_LIMIT and last is not None:
        following["above"] = last.rpartition("/")[2]
    else:
        following["after"] = info["endCursor"]
        following["walked"] = walked
        following["above"] = position.get("above")
    return Page(items=nodes, next=following, total=total)


def _place(cursor: Json) -> list[str | None]:
    """Where in the shop's list a cursor stands, without what it counts."""
    return [cursor.get("above"), cursor.get("after")]


def _guard() -> CursorGuard:
    return CursorGuard("REPEATED_CURSOR", "Shopify promised another page behind a cursor that it had given before")


def _sizes(kind: PageQuery, nested: Nested) -> Json:
    match kind:
        case "products":
            return {"variants": nested.variants, "levels": nested.levels}
        case "variants" | "variants_by_ids":
            return {"levels": nested.levels}
        case "customers" | "customers_by_ids":
            return {"addresses": nested.addresses}


def _levels(variant: Json) -> Json:
    return variant["inventoryItem"]["inventoryLevels"]


def _share(records: Sequence[Json], holds: Callable[[Json], Any]) -> float:
    return sum(1 for record in records if holds(record)) / len(records) if records else 0.0
