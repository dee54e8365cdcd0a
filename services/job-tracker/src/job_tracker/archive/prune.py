"""Removes from an archive what is behind the horizon of finished jobs.

First the horizon is written, with the ids of the jobs that still have a row: from then on, a rebuild leaves out the
earlier events of all others, wherever they lie. So the files may be replaced one by one, in any order and over several
runs: at every point, also after a kill, a rebuild gives the same table.

A day before the horizon keeps the lifecycle events of those jobs, and no items and no dead letters, which no table
keeps for so long. Its files are written under new names, then its manifest, then the former files are removed. Offsets
stay as they were, so that days still join.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from job_events.envelope import job_id_in
from job_tracker.archive.catalogue import (
    FORMAT,
    PRUNED_FORMAT,
    ArchiveCatalogue,
    ArchiveHorizon,
    Manifest,
    Part,
    Segment,
    sealed,
)
from job_tracker.archive.files import PartWriter, read_archived, write_horizon, write_manifest

MOST_DAYS = 60  # days of a topic that a run of `archive` prunes at most
_BATCH = 10_000


def set_horizon(folder: Path, ended_before: date, jobs: Iterable[str]) -> ArchiveHorizon:
    """Store up to which day the archive is pruned, and the jobs whose earlier events stay."""
    horizon = ArchiveHorizon(FORMAT, ended_before, sorted(jobs)).sealed()
    write_horizon(folder, horizon)
    return horizon


def days_to_prune(catalogue: ArchiveCatalogue, horizon: ArchiveHorizon) -> Iterator[tuple[Manifest, Path]]:
    """The days that may hold more than the horizon allows, oldest first within a topic."""
    for manifest, folder in catalogue.manifests():
        held = any(part.records for part in manifest.parts)
        if manifest.day < horizon.ended_before and held and manifest.pruned != horizon.ended_before:
            yield manifest, folder


def prune_day(
    manifest: Manifest, folder: Path, horizon: ArchiveHorizon, lifecycle: Collection[str], done: Callable[[int], None]
) -> int:
    """Write the files of a day again without what is behind the horizon; how many messages went.

    lifecycle: the topics whose events of kept jobs stay. `done` counts the messages that were looked at.

    Raises:
        ArchiveDamaged: nothing of the day has changed.
    """
    kept = frozenset(horizon.jobs) if manifest.topic in lifecycle else frozenset[str]()
    parts: list[Part] = []
    with ExitStack() as unfinished:
        for part in manifest.parts:
            writer = PartWriter(folder, part.partition, horizon.ended_before)
            unfinished.callback(writer.discard)
            segment = Segment(manifest.topic, manifest.topic_id, manifest.day, part, folder / part.file)
            for batch in read_archived(segment, _BATCH) if kept else ():
                for archived in batch:
                    if job_id_in(archived.record.value) in kept:
                        writer.write(archived)
            parts.append(writer.close(part.start, part.end))
            done(part.records)
    pruned = Manifest(
        PRUNED_FORMAT, manifest.topic, manifest.topic_id, manifest.day, parts, pruned=horizon.ended_before
    )
    write_manifest(folder, sealed(pruned))
    remove_former_files(pruned, folder)
    return sum(part.records for part in manifest.parts) - sum(part.records for part in parts)


def remove_former_files(manifest: Manifest, folder: Path) -> None:
    """Remove files of a pruned day that its manifest does not name; an interrupted run may have left some."""
    named = {part.file for part in manifest.parts}
    for path in folder.glob("*.zst*"):
        if path.name not in named:
            path.unlink(missing_ok=True)
