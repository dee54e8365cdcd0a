"""The projection `jobs`: lifecycle events become rows of the history and one merged row for each job."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString

import msgspec

from job_events.envelope import decode
from job_events.errors import InvalidEvent
from job_events.events import (
    AnyEvent,
    Cancel,
    Control,
    Deleted,
    Finished,
    Lifecycle,
    Pause,
    Progress,
    Requested,
    Resume,
    Started,
)
from job_events.fold import JobState
from job_events.topics import Topics
from job_tracker.domain.horizon import Lateness
from job_tracker.domain.job_row import STORED, STORED_NAMES, job_row
from job_tracker.domain.positions import JOBS_PROJECTION
from job_tracker.log.records import Record, TopicPartition
from job_tracker.projector.batch import DeadLetterRow
from job_tracker.store.binary_copy import EncodedRows, copy_rows, copy_statement, type_oids
from job_tracker.store.job_statements import JOB_STATEMENTS
from job_tracker.store.postgres import DATA_ERRORS, Connection, Cursor
from service_kit.sql_files import queries

_SQL = JOB_STATEMENTS
_encoder = msgspec.json.Encoder()
_COUNT_LATE = queries("job_tracker.store", "commit.sql")["count_late"]
_ALWAYS = datetime.min.replace(tzinfo=UTC)
# Up to so many jobs, and characters, are merged faster from JSON than by way of the staging table.
_FEW, _SMALL = 50, 2**20

_JOB_TYPES = type_oids(column.type for column in STORED)
# The columns of the history in the order of its rows, with their PostgreSQL types.
_HISTORY: dict[LiteralString, str] = {
    **{"appended_at": "timestamptz", "topic": "text", "partition": "int4", "offset": "int8"},
    **{"job_id": "text", "event_id": "text", "type": "text", "at": "timestamptz", "source": "text", "tenant": "text"},
    **{"chain": "text", "parent": "text", "traceparent": "text", "job_type": "text", "account": "text"},
    **{"attempt": "int4", "seq": "int8", "phase": "text", "outcome": "text", "worker": "text"},
    **dict.fromkeys(("total", "processed", "successful", "failed", "skipped"), "int8"),
    "body": "text",
}
_HISTORY_TYPES = type_oids(_HISTORY.values())
_COPY_HISTORY = copy_statement("event", _HISTORY)


@dataclass(slots=True)
class JobsContent:
    """History rows in log order, and the folded jobs of the batch by id, until `pack` encodes them as `rows` or JSON.

    `late` counts the events that change no row. The history is a list of blocks: one block for a whole batch takes a
    sixth more memory.
    """

    history: list[EncodedRows] = field(default_factory=list)
    jobs: dict[str, JobState] = field(default_factory=dict)
    late: Counter[TopicPartition] = field(default_factory=Counter)
    rows: EncodedRows = field(default_factory=lambda: EncodedRows(_JOB_TYPES))
    few: str = ""


class JobsProjection:
    """Maintains `job`, `event` from `history_since` on, and `rollup` if `with_rollups`."""

    remedy = "`jobtrail rebuild --swap` brings table and log together again, `jobtrail skip-gap` goes on behind it"
    session: LiteralString = _SQL["stage_jobs"]

    def __init__(
        self,
        topics: Topics,
        name: str = JOBS_PROJECTION,
        history_since: datetime = _ALWAYS,
        *,
        with_rollups: bool = True,
        lateness: Lateness | None = None,
    ) -> None:
        self._topics = topics.lifecycle()
        self._name = topics.prefix + name
        self._history_since = history_since
        self._lateness = lateness or Lateness()
        rolling: LiteralString = _SQL["batch_changes"] + _SQL["roll"] if with_rollups else ""
        self._merge: LiteralString = _SQL["merge_jobs"] + rolling + _SQL["changed"]

    @property
    def name(self) -> str:
        return self._name

    @property
    def topics(self) -> list[str]:
        return self._topics

    def use_lateness(self, lateness: Lateness) -> None:
        """Judge all events that are added from now on by these rules."""
        self._lateness = lateness

    def begin(self) -> JobsContent:
        return JobsContent()

    def add(self, content: JobsContent, records: Sequence[Record]) -> list[DeadLetterRow]:
        dead: list[DeadLetterRow] = []
        history = EncodedRows(_HISTORY_TYPES)
        content.history.append(history)
        jobs, since, lateness = content.jobs, self._history_since, self._lateness
        late_before = lateness.possible_before(max((record.appended_at for record in records), default=_ALWAYS))
        for record in records:
            try:
                event = decode(record.value, record.appended_at)
                row = history_row(record, event)
            except InvalidEvent as error:
                dead.append(DeadLetterRow.of(record, error))
                continue
            try:
                if record.appended_at >= since:
                    history.add(row)
            except DATA_ERRORS as error:
                dead.append(DeadLetterRow(record, f"holds a value that PostgreSQL cannot take: {error}", event.job_id))
                continue
            if isinstance(event, Lifecycle):
                if event.time < late_before and lateness.is_late(event.job_id, event.time, record.appended_at):
                    content.late[record.topic, record.partition] += 1
                    continue
                state = jobs.get(event.job_id)
                if state is None:
                    state = jobs[event.job_id] = JobState()
                state.apply(event, record.value or b"")
        return dead

    def pack(self, content: JobsContent) -> None:
        # Sorted, so that two projectors lock rows in one order.
        rows = (job_row(job_id, content.jobs[job_id].registers()) for job_id in sorted(content.jobs))
        if 0 < len(content.jobs) <= _FEW:
            rows = list(rows)
            few = _encoder.encode([dict(zip(STORED_NAMES, row, strict=True)) for row in rows]).decode()
            if len(few) <= _SMALL:
                content.few, rows = few, []
        for row in rows:
            content.rows.add(row)
        content.jobs.clear()

    def write(self, cursor: Cursor, content: JobsContent) -> int:
        copy_rows(cursor, _COPY_HISTORY, content.history)
        for (topic, partition), events in content.late.items():
            place = {"projection": self._name, "topic": topic, "partition": partition}
            cursor.execute(_COUNT_LATE, place | {"events": events})
        if content.few:
            merging = cursor.execute(_SQL["sent"] + self._merge, {"rows": content.few})
        elif content.rows.data:
            copy_rows(cursor, _SQL["copy_jobs"], [content.rows])
            merging = cursor.execute(_SQL["staged"] + self._merge)
        else:
            return 0
        (changed, *_) = merging.fetchone() or (0,)
        return int(str(changed))

    def merge_staged(self, cursor: Cursor) -> None:
        """Merge rows that something else has put into `job_stage` into the tables that the cursor finds."""
        cursor.execute(_SQL["staged"] + self._merge)


def refill_rollups(connection: Connection) -> None:
    """Compute the rollups anew from all jobs."""
    with connection.transaction():
        connection.execute("TRUNCATE rollup")
        connection.execute(_SQL["all_jobs"] + _SQL["roll"] + _SQL["rolled"])


def history_row(record: Record, event: AnyEvent) -> tuple[object, ...]:
    """The values of an event in the order of the history's columns.

    `body` holds the data that no column holds: of progress only its metadata and the job's batch and
    subject, where there are any; of the rarer types the whole data.

    Raises:
        InvalidEvent: the event does not belong on this topic, or holds a value that JSON cannot represent.
    """
    make = _ROWS.get(type(event))
    if make is None:
        raise InvalidEvent(f"{event.__struct_config__.tag} does not belong on this topic", event.job_id)
    try:
        return make(record, event)
    except (ValueError, OverflowError, RecursionError, TypeError) as error:
        raise InvalidEvent(f"holds a value that JSON cannot carry back: {error}", event.job_id) from None


def _progress(record: Record, event: Progress) -> tuple[object, ...]:
    data = event.data
    job, counters = data.job, data.counters
    rest: dict[str, object] = {}
    if data.metadata:
        rest["metadata"] = data.metadata
    if job.batch is not None:
        rest["batch"] = job.batch
    if job.about is not None:
        rest["about"] = job.about
    # Most rows are made here: a plain tuple takes half the time of one that is concatenated from several.
    # fmt: off
    return (
        record.appended_at, record.topic, record.partition, record.offset,
        event.job_id, event.id, "job.progress.v1", event.time, event.source, event.tenant,
        event.correlationid, event.causationid, event.traceparent,
        job.type, job.account, data.attempt, data.seq, data.phase, None, None,
        counters.total, counters.processed, counters.successful, counters.failed, counters.skipped,
        _encoder.encode(rest).decode() if rest else "",
    )
    # fmt: on


def _started(record: Record, event: Started) -> tuple[object, ...]:
    data = event.data
    about = (data.job.type, data.job.account, data.attempt, data.seq, None, None, data.worker)
    return _row(record, event, about, (data.total, None, None, None, None))


def _finished(record: Record, event: Finished) -> tuple[object, ...]:
    data = event.data
    about = (data.job.type, data.job.account, data.attempt, data.seq, None, data.outcome, None)
    return _row(record, event, about, msgspec.structs.astuple(data.counters))


def _described(record: Record, event: Requested | Deleted) -> tuple[object, ...]:
    job = event.data.job
    return _row(record, event, (job.type, job.account, None, None, None, None, None))


def _control(record: Record, event: Control) -> tuple[object, ...]:
    return _row(record, event, (None, event.data.target.account, None, None, None, None, None))


def _row(
    record: Record,
    event: AnyEvent,
    about: tuple[object, ...],
    counters: tuple[int | None, ...] = (None, None, None, None, None),
) -> tuple[object, ...]:
    return (
        *(record.appended_at, record.topic, record.partition, record.offset),
        *(event.job_id, event.id, event.__struct_config__.tag, event.time, event.source, event.tenant),
        *(event.correlationid, event.causationid, event.traceparent, *about, *counters),
        _encoder.encode(event.data).decode(),
    )


_ROWS: dict[type[AnyEvent], Callable[[Record, Any], tuple[object, ...]]] = {
    Progress: _progress,
    Started: _started,
    Finished: _finished,
    Requested: _described,
    Deleted: _described,
    Cancel: _control,
    Pause: _control,
    Resume: _control,
}
