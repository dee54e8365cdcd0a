"""Chains of jobs: those that people start by name, and the checks of the steps that follow a job."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from job_events.errors import InvalidRequest
from job_events.events import Then
from job_events.job_types import JOB_TYPES, read_params, unknown_here


@dataclass(frozen=True, slots=True)
class FirstJob:
    """A job with which a chain starts."""

    type: str
    params: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Chain:
    """Jobs that start together under one chain id, and what follows them.

    The first jobs have different types: a step knows its parents by their types, so two parents of one type would
    start it twice. A second pull of the same type is a step behind the first one.

    Raises:
        ValueError: two first jobs have the same type.
    """

    first: tuple[FirstJob, ...]
    then: tuple[Then, ...] = ()

    def __post_init__(self) -> None:
        if len({job.type for job in self.first}) < len(self.first):
            raise ValueError("two first jobs of a chain have the same type")

    def types(self) -> tuple[str, ...]:
        """All job types of the chain, each once, first jobs first."""
        return tuple(dict.fromkeys([*(job.type for job in self.first), *_types(self.then)]))


def _types(steps: Sequence[Then]) -> Iterator[str]:
    for step in steps:
        yield step.type
    for step in steps:
        yield from _types(step.then)


def _chain(pulls: tuple[str, ...], match: str, sync: str) -> Chain:
    then = (Then(match, needs=pulls, then=(Then(sync, needs=(match,)),)),)
    return Chain(tuple(FirstJob(pull) for pull in pulls), then)


_PULL, _MATCH, _SYNC = "INCREMENTAL_PULL", "AUTO_MATCH_PRODUCTS", "AUTO_SYNC_PRODUCTS"
_SYNC_LINKED = Then(_SYNC, needs=(_MATCH,))
_MATCH_CHANGED = Then(_MATCH, needs=(_PULL,), params={"since": "last"}, then=(_SYNC_LINKED,))
# Nhanh does not count a change of stock as a change of the product, so changed stock is a list of its own.
_PULL_STOCK = Then(_PULL, needs=(_PULL,), params={"platform": "nhanh", "kind": "stock"}, then=(_MATCH_CHANGED,))

CHAINS: dict[str, Chain] = {
    "products": _chain(("PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS"), "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC"),
    "customers": _chain(("PULL_NHANH_CUSTOMERS", "PULL_SHOPIFY_CUSTOMERS"), "AUTO_MATCH_CUSTOMERS", "CUSTOMER_SYNC"),
    "sales": Chain((FirstJob("PULL_NHANH_ORDERS"),)),
    "incremental": Chain((FirstJob(_PULL, {"platform": "nhanh", "kind": "products"}),), (_PULL_STOCK,)),
}

MAX_LEVELS = 8
MAX_STEPS = 20
"""Steps in one `then`, and job types in one `needs`."""
MAX_STEPS_IN_ALL = 100
MAX_THEN_BYTES = 262_144
"""As JSON. Every event of a chain's jobs repeats what follows, and the largest message of a topic is 2 MiB."""


def check_then(then: tuple[Then, ...], parent: str, *, newer_allowed: bool = False) -> None:
    """Check every step of a chain before its first job, of type `parent`, runs.

    A step may need more than the job that it follows: jobs that start together under one chain id name each other.
    Those may be requested later, or never. `newer_allowed`: types and parameters that this version does
    not know pass, because the service that runs the step may know them by then.

    Raises:
        InvalidRequest: an unknown type, bad parameters, a step that does not need the job that it follows, two steps
            that would be one job, or more than MAX_LEVELS, MAX_STEPS, MAX_STEPS_IN_ALL or MAX_THEN_BYTES.
    """
    _check_steps(then, parent, "then", 0, newer_allowed=newer_allowed)
    size = len(msgspec.json.encode(then))
    if size > MAX_THEN_BYTES:
        raise InvalidRequest("then", f"has {size:,} bytes as JSON; at most {MAX_THEN_BYTES:,} are possible")


def _check_steps(then: tuple[Then, ...], parent: str, path: str, level: int, *, newer_allowed: bool) -> int:
    if then and level >= MAX_LEVELS:
        raise InvalidRequest(path, f"more than {MAX_LEVELS} steps follow each other")
    if len(then) > MAX_STEPS:
        raise InvalidRequest(path, f"holds {len(then)} steps; at most {MAX_STEPS} may follow one job")
    total = len(then)
    seen: set[tuple[str, frozenset[str]]] = set()
    for index, step in enumerate(then):
        here = f"{path}[{index}]"
        _check_step(step, parent, here, newer_allowed=newer_allowed)
        if (step.type, frozenset(step.needs)) in seen:
            raise InvalidRequest(f"{here}.type", f"another {step.type} follows the same jobs; the two would be one job")
        seen.add((step.type, frozenset(step.needs)))
        total += _check_steps(step.then, step.type, f"{here}.then", level + 1, newer_allowed=newer_allowed)
        if total > MAX_STEPS_IN_ALL:
            reason = f"with this step {total} follow the first job; at most {MAX_STEPS_IN_ALL} are possible"
            raise InvalidRequest(here, reason)
    return total


def _check_step(step: Then, parent: str, here: str, *, newer_allowed: bool) -> None:
    if not (newer_allowed and unknown_here(step.type, step.params)):
        try:
            read_params(step.type, step.params)
        except InvalidRequest as error:
            raise InvalidRequest(f"{here}.{error.field}", error.reason) from None
    if len(step.needs) > MAX_STEPS:
        raise InvalidRequest(f"{here}.needs", f"names {len(step.needs)} jobs; at most {MAX_STEPS} are possible")
    for need in step.needs:
        if need not in JOB_TYPES and not newer_allowed:
            raise InvalidRequest(f"{here}.needs", f"unknown job type {need[:100]!r}")
    if parent not in step.needs:
        raise InvalidRequest(f"{here}.needs", f"does not name {parent}, which this step follows")
