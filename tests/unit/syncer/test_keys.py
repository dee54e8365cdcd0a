"""Idempotency keys: the same write always has the same, any other write another."""

from itertools import combinations
from uuid import UUID

from msgspec.structs import replace

from syncer.domain.keys import Quantity, idempotency_key

ONE = Quantity("gid://shopify/InventoryItem/1", "gid://shopify/Location/2", 5, 3)
TWO = replace(ONE, inventory_item_id="gid://shopify/InventoryItem/2")


def test_a_key_is_stable_over_processes_and_releases() -> None:
    """A resumed attempt may run under a newer release; a new value here would write a batch twice."""
    key = idempotency_key("job-1", 4, 1, [ONE, TWO])
    assert UUID(key).version == 5
    assert key == idempotency_key("job-1", 4, 1, [replace(ONE), replace(TWO)])
    assert key == "ae71bef0-433a-5324-91de-2e460f3a29ca"


def test_any_difference_makes_another_key() -> None:
    keys = [
        idempotency_key("job-1", 4, 1, [ONE, TWO]),
        idempotency_key("job-2", 4, 1, [ONE, TWO]),
        idempotency_key("job-1", 5, 1, [ONE, TWO]),
        idempotency_key("job-1", 4, 2, [ONE, TWO]),
        idempotency_key("job-1", 4, 1, [ONE]),
        idempotency_key("job-1", 4, 1, [TWO, ONE]),
        idempotency_key("job-1", 4, 1, [replace(ONE, quantity=6), TWO]),
        idempotency_key("job-1", 4, 1, [replace(ONE, change_from=None), TWO]),
        idempotency_key("job-1", 4, 1, [replace(ONE, location_id="gid://shopify/Location/3"), TWO]),
    ]
    assert all(one != other for one, other in combinations(keys, 2))
