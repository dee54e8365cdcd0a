"""Idempotency keys: the same write of the same job always has the same key, any other write another one.

The root is the job's own id, also for a job that retries another: its values were read anew, and a channel that knows
the old key would repeat its old answer without writing them.
"""

from uuid import UUID, uuid5

_NAMESPACE = UUID("7a1c9a36-5a50-5c1e-9a2f-2b6f4c1d8e05")


def idempotency_key(job_id: str, batch: int, step: int, content: object) -> str:
    """The key of one call of a batch. step: 1, then 2 for what had to be read again; content: what is written."""
    return str(uuid5(_NAMESPACE, f"{job_id}/{batch}/{step}/{content}"))
