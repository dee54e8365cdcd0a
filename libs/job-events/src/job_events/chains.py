"""Chains of jobs: those that people start by name, and the checks of the steps that follow a job."""

from dataclasses import dataclass

import msgspec

from job_events.errors import InvalidRequest
from job_events.events import Then
from job_events.job_types import JOB_TYPES, read_params, unknown_here


@dataclass(frozen=True, slots=True)
class Chain:
    """Jobs that start together under one chain id, and what follows them."""

    first: tuple[str, ...]
    then: tuple[Then, ...]


def _chain(pulls: tuple[str, ...], match: str, sync: str) -> Chain:
    return Chain(pulls, (Then(match, needs=pulls, then=(Then(sync, needs=(match,)),)),))


CHAINS: dict[str, Chain] = {
    "products": _chain(("PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS"), "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC"),
    "customers": _chain(("PULL_NHANH_CUSTOMERS", "PULL_SHOPIFY_CUSTOMERS"), "AUTO_MATCH_CUSTOMERS", "CUSTOMER_SYNC"),
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
    Whether those will ever be asked for, nobody knows yet. `newer_allowed`: types and parameters that this version does
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
