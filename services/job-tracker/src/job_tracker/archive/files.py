"""The archive's files on disk: written whole or not at all, read with every byte checked."""

import fcntl
import hashlib
import io
import os
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import IO, BinaryIO, cast

import msgspec
import zstandard

from job_tracker.archive.catalogue import HORIZON, MANIFEST, ArchiveHorizon, Manifest, Part, Segment, part_name
from job_tracker.archive.lines import Archived, read_line, write_line
from job_tracker.errors import ArchiveBusy, ArchiveDamaged
from job_tracker.log.records import Record

_READERS = ".readers"
LEVEL = 6  # of zstd: events shrink about fifteenfold, and higher levels win little for their time


@contextmanager
def exclusive_lock(folder: Path) -> Generator[None]:
    """Hold the lock of the archive: two writers of one file would corrupt it.

    Raises:
        ArchiveBusy
    """
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveBusy(f"another process writes into {folder}; wait for its end") from None
        yield


@contextmanager
def reading(folder: Path) -> Generator[None]:
    """Keep pruning away while files are read. Where no lock file can be made, no one prunes either."""
    with ExitStack() as stack:
        with suppress(OSError):
            lock = stack.enter_context((folder / _READERS).open("w"))
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield


@contextmanager
def no_readers(folder: Path) -> Generator[None]:
    """Keep readers away while files are replaced; they wait.

    Raises:
        ArchiveBusy: somebody reads.
    """
    with (folder / _READERS).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArchiveBusy(f"a rebuild or an audit reads {folder}; wait for its end") from None
        yield


class PartWriter:
    """Writes the messages of one partition and day; `close` gives the part of the manifest."""

    def __init__(self, folder: Path, partition: int, pruned: date | None = None) -> None:
        self._partition = partition
        self._path = folder / part_name(partition, pruned)
        self._file = _temporary(self._path).open("wb")
        self._hashing = _Hashing(self._file)
        self._compressed = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).stream_writer(
            cast("IO[bytes]", self._hashing), closefd=False
        )
        self.records = 0

    def write(self, archived: Archived) -> None:
        try:
            self._compressed.write(write_line(archived) + b"\n")
        except OSError as error:
            raise _named(error, self._path) from None
        self.records += 1

    def close(self, start: int, end: int) -> Part:
        """The file is on disk under its name when this returns."""
        try:
            self._compressed.close()
            _settle(self._file, self._path)
        except OSError as error:
            raise _named(error, self._path) from None
        return Part(self._partition, start, end, self.records, self._path.name, self._hashing.sha256.hexdigest())

    def discard(self) -> None:
        """Leave nothing of a file that was not finished."""
        with suppress(OSError):  # the file may not be writable, for example on a full disk
            self._file.close()
        _temporary(self._path).unlink(missing_ok=True)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """The last step of a day: from now on it counts."""
    _write_whole(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def write_horizon(folder: Path, horizon: ArchiveHorizon) -> None:
    """From now on the archive is read as one that is pruned."""
    _write_whole(folder / HORIZON, msgspec.json.encode(horizon) + b"\n")


def _write_whole(path: Path, content: bytes) -> None:
    file = _temporary(path).open("wb")
    try:
        file.write(content)
        _settle(file, path)
    except OSError as error:
        raise _named(error, path) from None


def read_segment(segment: Segment, most: int) -> Iterator[list[Record]]:
    """The messages in batches of up to `most`, without what no projection reads.

    Raises:
        ArchiveDamaged
    """
    for batch in read_archived(segment, most):
        yield [archived.record for archived in batch]


def read_archived(segment: Segment, most: int) -> Iterator[list[Archived]]:
    """The messages in batches of up to `most`.

    The hash of the whole file is known only at its end: what was read before is not to be trusted until then.

    Raises:
        ArchiveDamaged: the file is missing, broken, or not the one of its manifest.
    """
    topic, partition = segment.partition
    part, records, expected = segment.part, 0, segment.part.start
    batch: list[Archived] = []
    try:
        with segment.path.open("rb") as file:
            hashing = _Hashing(file)
            lines = io.BufferedReader(
                zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", hashing), closefd=False), 1 << 20
            )
            for line in lines:
                archived = read_line(topic, partition, line)
                record = archived.record
                if not expected <= record.offset < part.end:
                    raise ArchiveDamaged(f"{segment.path} holds offset {record.offset} out of place")
                expected, records = record.offset + 1, records + 1
                batch.append(archived)
                if len(batch) == most:
                    yield batch
                    batch = []
            hashing.drain()
    except (OSError, zstandard.ZstdError, ValueError) as error:
        raise ArchiveDamaged(f"{segment.path} cannot be read: {error}") from None
    if hashing.sha256.hexdigest() != part.sha256:
        raise ArchiveDamaged(f"{segment.path} is not the file of its manifest: its SHA-256 differs")
    if records != part.records:
        raise ArchiveDamaged(f"{segment.path} holds {records} messages, its manifest says {part.records}")
    if batch:
        yield batch


def verify(segments: Iterable[Segment], done: Callable[[int], None]) -> None:
    """Hash every file again and read every line of it; `done` counts those that have proved right.

    Raises:
        ArchiveDamaged
    """
    for segment in segments:
        for _ in read_segment(segment, 10_000):
            pass
        done(1)


class _Hashing(io.RawIOBase):
    """Passes bytes through and hashes them."""

    def __init__(self, file: BinaryIO) -> None:
        self._under = file
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self._under.read(size)
        self.sha256.update(block)
        return block

    def write(self, block, /) -> int:  # pyright: ignore[reportMissingParameterType,reportIncompatibleMethodOverride]
        self.sha256.update(block)
        return self._under.write(block)

    def drain(self) -> None:
        """Hash what lies behind the end of the compressed stream: nothing, in a file that nobody touched."""
        while self.read(1 << 20):
            pass


def _named(error: OSError, path: Path) -> OSError:
    """A write does not say where it failed."""
    return OSError(error.errno, error.strerror, str(path))


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _settle(file: BinaryIO, path: Path) -> None:
    with file:
        file.flush()
        os.fsync(file.fileno())
    _temporary(path).rename(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
