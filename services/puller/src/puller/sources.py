"""The pulls as data: what each pull job type reads, as the registered platforms declare it."""

from dataclasses import dataclass

from job_events.job_types import JOB_TYPES
from platforms.adapter import Kind, PullSource
from platforms.registry import platforms


@dataclass(frozen=True, slots=True)
class Source:
    """What one type of pull reads. pull None: the platform does not list records of this kind."""

    platform: str
    kind: Kind
    pull: PullSource | None


def sources() -> dict[str, Source]:
    """The source of every pull job type, by type."""
    found: dict[str, Source] = {}
    for name, job_type in JOB_TYPES.items():
        if job_type.platform is not None and job_type.kind is not None:
            pulls = platforms()[job_type.platform].pulls
            found[name] = Source(job_type.platform, job_type.kind, pulls.get(job_type.kind))
    return found
