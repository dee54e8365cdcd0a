"""What an archive holds: a folder a topic, a topic id and a day, each with a manifest that was written last.

    jobs.events/Xyz…id/2026-11-23/0.jsonl.zst       partition 0, one message a line
                                  manifest.json     which offsets, how many messages, which hashes

The topic id tells a topic from one recreated under its name. A day without a manifest is one whose writing was
interrupted: nobody reads it, and the next run writes it anew. What belongs to a day is decided by offsets, from the
end of the day before to the first message of the day after, so that days join without a gap or an overlap.

Days behind the horizon of finished jobs are pruned (prune.py): their files are replaced by 0.20261123.jsonl.zst, named
by the horizon, with fewer messages of the same offsets.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import msgspec

from job_tracker.errors import ArchiveDamaged
from job_tracker.log.records import TopicPartition

FORMAT = 1
PRUNED_FORMAT = 2  # of a day whose files were written again without what is behind the horizon
MANIFEST = "manifest.json"
HORIZON = "horizon.json"


_Count = Annotated[int, msgspec.Meta(ge=0)]


class Part(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """Messages of one partition with offsets from `start` up to, not including, `end`.

    An empty one tells that there was nothing before it when the archive began.
    """

    partition: _Count
    start: _Count
    end: _Count
    records: _Count
    file: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """One finished day of one topic. `day` is a UTC day of the broker's LogAppendTime.

    `sha256` is of everything else in it; manifests of before there was one have none, and are believed. `pruned` is the
    horizon behind which the day was when its files were written again.
    """

    format: int
    topic: str
    topic_id: str
    day: date
    parts: list[Part]
    sha256: str = ""
    pruned: date | msgspec.UnsetType = msgspec.UNSET


def sealed(manifest: Manifest) -> Manifest:
    """With its hash."""
    bare = msgspec.json.encode(msgspec.structs.replace(manifest, sha256=""))
    return msgspec.structs.replace(manifest, sha256=hashlib.sha256(bare).hexdigest())


class ArchiveHorizon(msgspec.Struct, frozen=True):
    """Up to which day an archive is pruned, and of which jobs it keeps earlier events: those that had a row then."""

    format: int
    ended_before: date
    jobs: list[str]
    sha256: str = ""

    def midnight(self) -> datetime:
        """Where the day begins, in UTC."""
        return datetime.combine(self.ended_before, time(), UTC)

    def sealed(self) -> "ArchiveHorizon":
        """With its hash."""
        bare = msgspec.json.encode(msgspec.structs.replace(self, sha256=""))
        return msgspec.structs.replace(self, sha256=hashlib.sha256(bare).hexdigest())


@dataclass(frozen=True, slots=True)
class Segment:
    """A part with where it lies."""

    topic: str
    topic_id: str
    day: date
    part: Part
    path: Path

    @property
    def partition(self) -> TopicPartition:
        return self.topic, self.part.partition


class ArchiveCatalogue:
    """All manifests of an archive, read once.

    Raises:
        ArchiveDamaged: a manifest cannot be read, the days of a partition have a gap or an overlap, or the horizon is
            not the one of the pruned days.
    """

    def __init__(self, folder: Path, topics: list[str]) -> None:
        self.folder = folder
        self.horizon = read_horizon(folder)
        self._topics = topics
        self._manifests: dict[tuple[str, str], list[Manifest]] = {}
        for topic in topics:
            for path in sorted((folder / topic).glob(f"*/*/{MANIFEST}")):
                manifest = _read(folder, path)
                self._manifests.setdefault((manifest.topic, manifest.topic_id), []).append(manifest)
        for manifests in self._manifests.values():
            manifests.sort(key=lambda manifest: manifest.day)
            self._check_joins(manifests)
            self._check_horizon(manifests)

    def check_folders(self) -> list[Path]:
        """Is there an archive at all, and is every file of it named by a manifest?

        Answers with the days behind each topic's newest one whose files have no manifest: writing them was interrupted.

        Raises:
            ArchiveDamaged
        """
        if not self.folder.is_dir():
            raise ArchiveDamaged(f"there is no archive in {self.folder}")
        named = {segment.path for segment in self.all_segments()}
        newest = {day.parent: day for day in (self._folder(manifests[-1]) for manifests in self._manifests.values())}
        unfinished: set[Path] = set()
        for topic in self._topics:
            for path in sorted((self.folder / topic).glob("*/*/*.zst")):
                if path in named or self._is_left_by_pruning(path):
                    continue
                if path.parent <= newest.get(path.parent.parent, Path()):
                    raise ArchiveDamaged(f"{path} is in no manifest")
                unfinished.add(path.parent)
        return sorted(unfinished)

    def manifests(self) -> Iterator[tuple[Manifest, Path]]:
        """All days with their folders, oldest first within a topic."""
        for _, manifests in sorted(self._manifests.items()):
            for manifest in manifests:
                yield manifest, self._folder(manifest)

    def topic_ids(self, topic: str) -> list[str]:
        """All ids under which days of a topic were archived, in the order of their first days."""
        first_days = {
            topic_id: manifests[0].day for (name, topic_id), manifests in self._manifests.items() if name == topic
        }
        return sorted(first_days, key=lambda topic_id: first_days[topic_id])

    def last_day(self, topic: str, topic_id: str) -> date | None:
        manifests = self._manifests.get((topic, topic_id))
        return manifests[-1].day if manifests else None

    def segments(self, topic: str, topic_id: str) -> Iterator[Segment]:
        """The topic's parts, day by day."""
        for manifest in self._manifests.get((topic, topic_id), []):
            folder = self._folder(manifest)
            for part in manifest.parts:
                yield Segment(manifest.topic, manifest.topic_id, manifest.day, part, folder / part.file)

    def all_segments(self) -> Iterator[Segment]:
        for topic, topic_id in sorted(self._manifests):
            yield from self.segments(topic, topic_id)

    def _is_left_by_pruning(self, path: Path) -> bool:
        """Whether pruning was interrupted before it removed this file; the next one does."""
        return self.horizon is not None and path.parent.name < self.horizon.ended_before.isoformat()

    def _check_joins(self, manifests: list[Manifest]) -> None:
        ends: dict[int, int] = {}
        for manifest in manifests:
            path = self._folder(manifest) / MANIFEST
            for part in manifest.parts:
                expected = ends.get(part.partition, part.start)
                if part.start != expected or part.end < part.start:
                    raise ArchiveDamaged(
                        f"{path}: partition {part.partition} goes from {part.start} to {part.end}, "
                        f"but the days before it end at {expected}"
                    )
                ends[part.partition] = part.end

    def _check_horizon(self, manifests: list[Manifest]) -> None:
        reached = self.horizon.ended_before if self.horizon is not None else date.min
        for manifest in manifests:
            if manifest.pruned and manifest.pruned > reached:
                raise ArchiveDamaged(
                    f"{self._folder(manifest)} is pruned up to {manifest.pruned}, and {self.folder / HORIZON} is "
                    "missing or older"
                )

    def _folder(self, manifest: Manifest) -> Path:
        return day_folder(self.folder, manifest.topic, manifest.topic_id, manifest.day)


def read_horizon(folder: Path) -> ArchiveHorizon | None:
    """The horizon of an archive; None if it was never pruned.

    Raises:
        ArchiveDamaged
    """
    path = folder / HORIZON
    try:
        horizon = msgspec.json.decode(path.read_bytes(), type=ArchiveHorizon)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as error:
        raise ArchiveDamaged(f"{path} cannot be read: {error}") from None
    if horizon.format != FORMAT or horizon != horizon.sealed():
        raise ArchiveDamaged(f"{path} was changed, or is of another version")
    return horizon


def part_name(partition: int, pruned: date | None = None) -> str:
    """The file of a partition within its day; of a pruned day with the horizon."""
    return f"{partition}.jsonl.zst" if pruned is None else f"{partition}.{pruned:%Y%m%d}.jsonl.zst"


def day_folder(folder: Path, topic: str, topic_id: str, day: date) -> Path:
    """Where a day's files lie. Ids are base64, whose slash no file name can hold."""
    return folder / topic / topic_id.replace("/", "_").replace("+", "-") / day.isoformat()


def _read(folder: Path, path: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (ValueError, RecursionError, OSError) as error:
        raise ArchiveDamaged(f"{path} cannot be read: {error}") from None
    if manifest.format not in {FORMAT, PRUNED_FORMAT}:
        raise ArchiveDamaged(
            f"{path} has format {manifest.format}; this version reads formats {FORMAT} and {PRUNED_FORMAT}"
        )
    if path.parent != day_folder(folder, manifest.topic, manifest.topic_id, manifest.day):
        raise ArchiveDamaged(f"{path} is the manifest of {manifest.topic} {manifest.topic_id} {manifest.day}")
    if manifest.sha256 and manifest != sealed(manifest):
        raise ArchiveDamaged(f"{path} was changed: its SHA-256 differs")
    if any(part.file != part_name(part.partition, manifest.pruned or None) for part in manifest.parts):
        raise ArchiveDamaged(f"{path} names a file that is not of its partition")
    return manifest
