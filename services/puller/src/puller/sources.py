"""The pulls as data: what each pull job type reads, as the registered platforms declare it."""

from dataclasses import dataclass

from job_events.job_types import JOB_TYPES
from platforms.adapter import Kind, Platform, PullSource
from platforms.registry import platforms
from puller.store.marks import MarkKind


@dataclass(frozen=True, slots=True)
class Source:
    """What one type of pull reads. pull None: the platform does not list records of this kind.

    mark_kinds: the marks of incremental pulls that it moves, too.
    """

    platform: str
    kind: Kind
    pull: PullSource | None
    mark_kinds: tuple[MarkKind, ...] = ()


def sources() -> dict[str, Source]:
    """The source of every pull job type, by type."""
    found: dict[str, Source] = {}
    for name, job_type in JOB_TYPES.items():
        if job_type.platform is not None and job_type.kind is not None:
            platform = platforms()[job_type.platform]
            pull = platform.pulls.get(job_type.kind)
            found[name] = Source(platform.name, job_type.kind, pull, _mark_kinds(platform, job_type.kind))
    return found


def _mark_kinds(platform: Platform, kind: Kind) -> tuple[MarkKind, ...]:
    pull = platform.pulls.get(kind)
    if pull is None or pull.changed is None:
        return ()
    if kind == "customer":
        return ("customers",)
    return ("products", "stock") if platform.stock else ("products",)
