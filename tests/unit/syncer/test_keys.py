"""Idempotency keys: the same write always has the same, any other write another."""

from itertools import combinations
from uuid import UUID

from syncer.store.plans import idempotency_key

ONE = "gid://shopify/InventoryItem/1@gid://shopify/Location/2:3>5"
TWO = "gid://shopify/InventoryItem/2@gid://shopify/Location/2:3>5"


def test_a_key_is_stable_over_processes_and_releases() -> None:
    """A resumed attempt may run under a newer release; a new value here would write a batch twice."""
    key = idempotency_key("job-1", 4, 1, f"{ONE},{TWO}")
    assert UUID(key).version == 5
    assert key == "ae71bef0-433a-5324-91de-2e460f3a29ca"


def test_any_difference_makes_another_key() -> None:
    keys = [
        idempotency_key("job-1", 4, 1, f"{ONE},{TWO}"),
        idempotency_key("job-2", 4, 1, f"{ONE},{TWO}"),
        idempotency_key("job-1", 5, 1, f"{ONE},{TWO}"),
        idempotency_key("job-1", 4, 2, f"{ONE},{TWO}"),
        idempotency_key("job-1", 4, 1, ONE),
        idempotency_key("job-1", 4, 1, f"{TWO},{ONE}"),
    ]
    assert all(one != other for one, other in combinations(keys, 2))
