"""What is written to a shop. Only absolute values, so that a repeated write changes nothing."""

from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID, uuid5

import msgspec

from platforms.errors import PlatformError, Unavailable, ValidationFailed
from platforms.results import ItemResult, Json
from platforms.shopify import user_errors
from platforms.shopify.batch import Answer, Batch
from platforms.shopify.cost import MUTATION_COST
from platforms.shopify.transport import GraphqlTransport

MAX_ITEMS: Final = 250
MAX_METAFIELDS: Final = 25
_KEYS: Final = UUID("9d3b0a52-6a3b-4f0e-9a37-8f6d1f3b7c11")  # namespace of derived idempotency keys
_MAX_NEW_KEYS: Final = 5


class ShopifyWriter:
    """Writes to one shop."""

    def __init__(self, transport: GraphqlTransport) -> None:
        self._transport = transport

    def update_variants(self, product_id: str, variants: Sequence[Json]) -> list[ItemResult]:
        """productVariantsBulkUpdate with partial updates allowed."""
        _require_at_most(MAX_ITEMS, variants, "variants")

        def send(items: Sequence[Json]) -> Answer:
            variables = {"productId": product_id, "variants": items}
            payload = self._mutate("update_variants", "productVariantsBulkUpdate", variables)
            return self._answer(payload, "variants", applied=bool(payload.get("productVariants")))

        return _results(variants, lambda item: str(item["id"]), send)

    def set_quantities(self, quantities: Sequence[Json], *, reason: str, idempotency_key: str) -> list[ItemResult]:
        """inventorySetQuantities of `available`, idempotent by key."""
        _require_at_most(MAX_ITEMS, quantities, "quantities")
        if not idempotency_key.strip():
            raise ValueError("the idempotency key must not be blank")
        # Absent means "no check" to nobody but a reader of the schema: null says it.
        complete = [{"changeFromQuantity": None, **quantity} for quantity in quantities]

        def send(items: Sequence[Json]) -> Answer:
            # Shopify refuses a known key with other content, so a part of the batch gets a key of its own.
            key = idempotency_key if len(items) == len(complete) else _derived(idempotency_key, items)
            payload = self._set_quantities_once(items, reason, key)
            applied = payload.get("inventoryAdjustmentGroup") is not None
            return self._answer(payload, "quantities", applied=applied)

        return _results(complete, lambda item: f"{item['inventoryItemId']}@{item['locationId']}", send)

    def update_customer(self, customer: Json) -> ItemResult:
        """customerUpdate."""
        payload = self._mutate("update_customer", "customerUpdate", {"input": customer})
        errors = user_errors.read(payload, "input", self._transport.error)
        error = errors[0].error if errors else None
        return ItemResult(str(customer["id"]), error is None, error)

    def set_metafields(self, metafields: Sequence[Json]) -> list[ItemResult]:
        """metafieldsSet, which Shopify does wholly or not at all."""
        _require_at_most(MAX_METAFIELDS, metafields, "metafields")

        def send(items: Sequence[Json]) -> Answer:
            payload = self._mutate("set_metafields", "metafieldsSet", {"metafields": items})
            return self._answer(payload, "metafields", applied=False)

        return _results(metafields, _metafield_key, send)

    def _set_quantities_once(self, items: Sequence[Json], reason: str, key: str) -> Json:
        """One call, its idempotency refusals overcome: wait for a twin in flight, replace a burnt key."""
        retrying = self._transport.retrying()
        new_keys = 0
        while True:
            content = {"name": "available", "reason": reason, "quantities": items}
            payload = self._mutate("set_quantities", "inventorySetQuantities", {"input": content, "key": key})
            refusals = {str(error.get("code")): error for error in payload.get("userErrors") or ()}
            if "IDEMPOTENCY_CONCURRENT_REQUEST" in refusals:
                busy = Unavailable("IDEMPOTENCY_CONCURRENT_REQUEST", "the same write is still in progress")
                retrying.wait_or_raise(busy)
            elif "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED" in refusals and new_keys < _MAX_NEW_KEYS:
                new_keys += 1
                key = _derived(key, items)
            else:
                return payload

    def _mutate(self, document: str, field: str, variables: Json) -> Json:
        return self._transport.execute(document, variables, cost=MUTATION_COST)[field]

    def _answer(self, payload: Json, list_name: str, *, applied: bool) -> Answer:
        return Answer(user_errors.read(payload, list_name, self._transport.error), applied)


def _results(
    items: Sequence[Json], key: Callable[[Json], str], send: Callable[[Sequence[Json]], Answer]
) -> list[ItemResult]:
    _refuse_floats(items)
    outcomes: list[PlatformError | None] = Batch(items, send).run()
    return [ItemResult(key(item), error is None, error) for item, error in zip(items, outcomes, strict=True)]


def _refuse_floats(items: Sequence[Json]) -> None:
    """Money travels as text: a float would bring digits that nobody priced."""
    for item in items:
        for name, value in item.items():
            if isinstance(value, float):
                raise ValidationFailed("FLOAT", f"{name} must be a string, a Decimal or an int, not a float")


def _require_at_most(limit: int, items: Sequence[Json], name: str) -> None:
    if len(items) > limit:
        raise ValueError(f"at most {limit} {name} a call, got {len(items)}")


def _metafield_key(metafield: Json) -> str:
    return f"{metafield['ownerId']}#{metafield.get('namespace', '')}.{metafield['key']}"


def _derived(key: str, items: Sequence[Json]) -> str:
    """A key that the same part of the same write always gets."""
    return str(uuid5(_KEYS, f"{key} {msgspec.json.encode(items, order='sorted').decode()}"))
