"""The changes that live streams send: batches of changed jobs, kept for a while, coalesced and filtered, without I/O.

A batch covers the log up to its positions. Its rows were read from one snapshot of the database that
is at least as new, so a reader that takes batches in order never sees an older state of a job.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from job_events.tokens import Positions
from job_tracker.domain.positions import covers
from job_tracker.domain.scope import ALL_TENANTS, Scope


class Key(NamedTuple):
    """The fields of a job by which a view filters."""

    tenant: str
    account: str
    job_type: str
    chain: str
    status: str


@dataclass(frozen=True, slots=True)
class JobChange:
    """A job as it is now. `body` is its summary in JSON, encoded once for all readers; None: deleted.

    `former` is the key in the last batch with this job; None: not known.
    """

    job_id: str
    key: Key
    body: bytes | None
    former: Key | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Which jobs a reader wants. None, or an empty set, wants any that are in its scope."""

    tenant: str | None = None
    account: str | None = None
    chain: str | None = None
    status: frozenset[str] = frozenset()
    job_type: frozenset[str] = frozenset()
    job_id: frozenset[str] = frozenset()
    scope: Scope = ALL_TENANTS

    def holds(self, job_id: str, key: Key) -> bool:
        """Whether a job with this key is in the view."""
        return (not self.status or key.status in self.status) and self._is_about(job_id, key)

    def lost(self, change: JobChange, *, former_known: bool) -> bool:
        """Whether a job that is not in the view now may have been in it before, so that its removal is sent."""
        if not former_known or change.former is None:
            return self._is_about(change.job_id, change.key)
        return self.holds(change.job_id, change.former)

    def _is_about(self, job_id: str, key: Key) -> bool:
        return (
            self.scope.holds(key.tenant)
            and (self.tenant is None or key.tenant == self.tenant)
            and (self.account is None or key.account == self.account)
            and (self.chain is None or key.chain == self.chain)
            and (not self.job_type or key.job_type in self.job_type)
            and (not self.job_id or job_id in self.job_id)
        )


class ViewChanges(NamedTuple):
    """Changes in one view: summaries in JSON, and ids of jobs that left it."""

    jobs: list[bytes]
    removed: list[str]


def changes_in_view(view: View, changes: Iterable[JobChange], *, former_known: bool) -> ViewChanges:
    """`changes` as `view` shows them; without `former_known` ids may be removed that were never in it."""
    told = ViewChanges([], [])
    for change in changes:
        if change.body is not None and view.holds(change.job_id, change.key):
            told.jobs.append(change.body)
        elif view.lost(change, former_known=former_known):
            told.removed.append(change.job_id)
    return told


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """Changes by job, and the positions that they cover together with all batches before.

    All changes before `since` were in earlier batches when they were read.
    """

    positions: Positions
    changes: dict[str, JobChange]
    since: Positions


class TakenChanges(NamedTuple):
    """Coalesced changes, the number of the last batch among them, and what is covered with it."""

    number: int
    positions: Positions
    changes: list[JobChange]


class ChangeLog:
    """The newest batches, numbered; shared by all readers, each of which only remembers a number.

    At least `most` changes are kept, and the last keys of twice as many jobs.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._batches: deque[ChangeBatch] = deque()
        self._base: Positions = {}
        self._last = 0
        self._kept = 0
        self._last_keys: dict[str, Key] = {}

    @property
    def last(self) -> int:
        """The number of the newest batch."""
        return self._last

    @property
    def positions(self) -> Positions:
        """What is covered by all batches."""
        return self._batches[-1].positions if self._batches else self._base

    def restart(self, positions: Positions) -> None:
        """Drop everything: the next batch begins at `positions`. Readers at older numbers must read the history."""
        self._batches.clear()
        self._last_keys.clear()
        self._kept = 0
        self._base = positions
        self._last += 1

    def add(self, positions: Positions, changes: Iterable[JobChange], since: Positions) -> None:
        """Append a batch. Its changes get the former keys of their jobs."""
        batch = ChangeBatch(positions, {}, since)
        for change in changes:
            batch.changes[change.job_id] = replace(change, former=self._last_keys.pop(change.job_id, None))
            if change.body is not None:
                self._last_keys[change.job_id] = change.key
        self._batches.append(batch)
        self._last += 1
        self._kept += _size(batch)
        while self._kept - _size(self._batches[0]) >= self._most:
            dropped = self._batches.popleft()
            self._kept -= _size(dropped)
            self._base = dropped.positions
        while len(self._last_keys) > 2 * self._most:
            del self._last_keys[next(iter(self._last_keys))]

    def join(self, positions: Positions) -> int | None:
        """The number of the batch after which a reader of the table at `positions` continues; None: dropped."""
        if not covers(positions, self._base):
            return None
        behind = 0
        for batch in reversed(self._batches):
            if covers(positions, batch.positions):
                break
            behind += 1
        return self._last - behind

    def beyond(self, number: int, positions: Positions) -> tuple[int, bool]:
        """From batch `number` on past all that a reader knows who has read the table at `positions`.

        Their rows may be older than what it has read. The second value says whether all that comes then was read when
        the log had told as much as the reader knew: only then is what was told before also what the reader knows.
        """
        first = len(self._batches) - (self._last - number)
        for batch in islice(self._batches, first, None) if first >= 0 else ():
            if not covers(positions, batch.positions):
                return number, covers(batch.since, positions)
            number += 1
        return number, False

    def take(self, number: int, most: int) -> TakenChanges | None:
        """What came after batch `number`: whole batches until `most` changes; None: dropped.

        A job that changed several times is there once, as it was last, with what was told before the first.
        """
        first = len(self._batches) - (self._last - number)
        if first < 0:
            return None
        found: dict[str, JobChange] = {}
        positions = self._batches[first - 1].positions if first else self._base
        for batch in islice(self._batches, first, None):
            for job_id, change in batch.changes.items():
                before = found.get(job_id)
                found[job_id] = change if before is None else replace(change, former=before.former)
            number, positions = number + 1, batch.positions
            if len(found) >= most:
                break
        return TakenChanges(number, positions, list(found.values()))


def _size(batch: ChangeBatch) -> int:
    """A batch without changes counts too."""
    return len(batch.changes) + 1
