"""Idempotency keys: the same write of the same job always has the same key, any other write another one.

The root is the job's own id, also for a job that retries another: its values were read anew, and a shop that
remembers the old key would answer from memory without writing them.
"""

from collections.abc import Sequence
from uuid import UUID, uuid5

from msgspec import Struct

_NAMESPACE = UUID("7a1c9a36-5a50-5c1e-9a2f-2b6f4c1d8e05")


class Quantity(Struct, frozen=True):
    """One stock to set. change_from: the value read just before, None = there was no level to compare with."""

    inventory_item_id: str
    location_id: str
    quantity: int
    change_from: int | None


def idempotency_key(job_id: str, batch: int, step: int, quantities: Sequence[Quantity]) -> str:
    """The key of one inventorySetQuantities. step: 1, then 2 for what had to be read again."""
    parts = (f"{q.inventory_item_id}@{q.location_id}:{q.change_from}>{q.quantity}" for q in quantities)
    return str(uuid5(_NAMESPACE, f"{job_id}/{batch}/{step}/{','.join(parts)}"))
