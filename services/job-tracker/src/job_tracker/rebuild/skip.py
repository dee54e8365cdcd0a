"""Moves positions that the log cannot serve behind the gap. The loss is reported first, and no row changes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from job_tracker.errors import RebuildRefused
from job_tracker.log.broker import Broker
from job_tracker.log.records import Span, TopicPartition
from job_tracker.store.offsets import (
    LivePosition,
    Stretch,
    delete_empty,
    delete_ends,
    delete_faults,
    delete_positions,
    insert_stretches,
    live_positions,
    lock_positions,
    set_positions,
)
from job_tracker.store.postgres import Connection
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "skip.sql")
_NAMED = 50  # jobs


@dataclass(frozen=True, slots=True)
class LogGap:
    """A position that the log cannot serve. `resume` is where reading goes on; None: the broker has no such partition.

    `since` and `until` are the broker's times of the last record read before the gap and of the first one behind it,
    None where there is none.
    """

    partition: TopicPartition
    held: LivePosition
    resume: LivePosition | None
    what: str
    since: datetime | None
    until: datetime | None

    @property
    def gives_offsets_again(self) -> bool:
        """Whether records that come are given offsets that the table has read others of."""
        return self.resume is None or self.resume.next_offset < self.held.next_offset

    @property
    def held_alone(self) -> Stretch:
        """What the table holds of this partition and no log does."""
        held, resume = self.held, self.resume
        low = held.first_offset
        if resume is not None and resume.topic_id == held.topic_id and self.gives_offsets_again:
            low = resume.next_offset
        return Stretch(held.topic_id, self.partition, Span(low, held.next_offset))

    def sentence(self) -> str:
        times = " and ".join(
            f"{word} {moment.isoformat()}"
            for word, moment in (("not before", self.since), ("not after", self.until))
            if moment is not None
        )
        return f"{self.partition[0]}[{self.partition[1]}]: {self.what}; appended {times or 'at a time not known'}"


class GapSkipper:
    """Finds and skips the gaps of one projection. `first_time` gives the broker's time of a stretch's first record.

    `connection` commits each statement by itself and finds the live tables.
    """

    def __init__(
        self,
        connection: Connection,
        broker: Broker,
        projection: str,
        topics: Iterable[str],
        first_time: Callable[[TopicPartition, Span], datetime | None],
    ) -> None:
        self._connection = connection
        self._broker = broker
        self._projection = projection
        self._topics = list(topics)
        self._first_time = first_time

    def find(self) -> tuple[list[LogGap], list[str]]:
        """The gaps, and the topics that the broker does not have: those are no gap until they are made again.

        Raises:
            BrokerAway
        """
        live = live_positions(self._connection, self._projection)
        ids = self._broker.topic_ids(self._topics)
        there = [partition for partition in live if partition[0] in ids and partition[1] < ids[partition[0]][1]]
        spans = self._broker.spans(there, stable=True) if there else {}
        applied = self._applied()
        gaps: list[LogGap] = []
        for partition, held in live.items():
            if partition[0] not in ids:
                continue
            span = spans.get(partition)
            found = _gap(held, ids[partition[0]][0], span)
            if found is None:
                continue
            resume, what = found
            until = self._first_time(partition, span) if span is not None and held.next_offset <= span.high else None
            gaps.append(LogGap(partition, held, resume, what, applied.get(partition), until))
        return gaps, sorted(set(self._topics) - ids.keys())

    def affected(self, gap: LogGap) -> tuple[int, list[str]]:
        """Jobs that are not finished and may have an event in the gap: how many, and the first of them in words."""
        topic, number = gap.partition
        asked = {"topic": topic, "partition": number, "until": gap.until, "most": _NAMED}
        rows = self._connection.execute(_SQL["affected"], asked).fetchall()
        described = [f"{job_id} ({status}, last sign {_time(at)})" for job_id, status, at, _ in rows]
        return (int(str(rows[0][3])) if rows else 0), described

    def skip(self, gaps: list[LogGap]) -> None:
        """Move the positions behind the gaps, and note what the tables hold from in front of them.

        Raises:
            RebuildRefused: a position has moved since the gaps were found; nothing has changed.
        """
        with self._connection.transaction():
            now = lock_positions(self._connection, self._projection)
            if any(now.get(gap.partition) != gap.held for gap in gaps):
                raise RebuildRefused("a position has moved meanwhile; look again")
            kept = [gap.held_alone for gap in gaps]
            insert_stretches(self._connection, self._projection, [one for one in kept if one.span.low < one.span.high])
            on = {gap.partition: gap.resume for gap in gaps if gap.resume is not None}
            off = [gap.partition for gap in gaps if gap.resume is None]
            set_positions(self._connection, self._projection, on)
            delete_positions(self._connection, self._projection, off)
            delete_faults(self._connection, self._projection, off)
            delete_ends(self._connection, [gap.partition for gap in gaps])
            again = [gap.partition for gap in gaps if gap.gives_offsets_again]
            delete_empty(self._connection, self._projection, again)

    def _applied(self) -> dict[TopicPartition, datetime]:
        rows = self._connection.execute(_SQL["applied"], {"projection": self._projection}).fetchall()
        return {(str(topic), int(str(n))): at for topic, n, at in rows if isinstance(at, datetime)}


def _gap(held: LivePosition, topic_id: str, span: Span | None) -> tuple[LivePosition | None, str] | None:
    """Where to go on, and what is lost in words; None: there is no gap."""
    at = held.next_offset
    if span is None:
        return None, f"the broker does not have this partition any more; what followed offset {at} in it is lost"
    if topic_id != held.topic_id:
        what = f"the topic was recreated; what followed offset {at} in the former one is lost, how much is not known"
        return LivePosition(topic_id, span.low, span.low), what
    if at < span.low:
        what = f"offsets {at} to {span.low} are lost, up to {span.low - at:,} records"
        return LivePosition(topic_id, span.low, span.low), what
    if at > span.high:
        what = (
            f"the log ends at {span.high}, but the table has read up to {at}: the broker has lost what it had "
            "acknowledged, and gives these offsets once more"
        )
        return LivePosition(topic_id, min(held.first_offset, span.high), span.high), what
    return None


def _time(moment: object) -> str:
    return moment.isoformat() if isinstance(moment, datetime) else str(moment)
