"""The projection `jobs`: lifecycle events become history rows and one merged row a job."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from job_events.envelope import decode
from job_events.errors import InvalidEvent
from job_events.events import (
    AnyEvent,
    Cancel,
    Finished,
    ItemRecorded,
    Pause,
    Progress,
    Requested,
    Resume,
    Started,
)
from job_events.fold import JobState, Registers
from job_events.sql_files import queries
from job_events.topics import Topics
from job_tracker.projector.records import Cursor, DeadLetter, Prepared, Record

_SQL = queries("job_tracker", "jobs.sql")
_encoder = msgspec.json.Encoder()

REQUEST_COLUMNS = (
    *("r_time", "r_id", "r_body", "tenant", "account", "job_type", "chain", "parent"),
    *("batch", "priority", "retry_of", "requested_by"),
)
START_COLUMNS = ("s_attempt", "s_seq", "s_body", "s_at", "s_worker", "s_total")
PROGRESS_COLUMNS = (
    *("p_attempt", "p_seq", "p_body", "p_at", "p_phase"),
    *("p_total", "p_processed", "p_successful", "p_failed", "p_skipped"),
)
END_COLUMNS = (
    *("e_attempt", "e_seq", "e_body", "e_at", "e_outcome"),
    *("e_total", "e_processed", "e_successful", "e_failed", "e_skipped", "e_duration_ms", "e_error_category"),
)
JOB_COLUMNS = ("job_id", *REQUEST_COLUMNS, *START_COLUMNS, *PROGRESS_COLUMNS, *END_COLUMNS)


def _absent(columns: tuple[str, ...]) -> tuple[object, ...]:
    return (-1, -1, "", *(None for _ in columns[3:]))


_NO_START, _NO_PROGRESS, _NO_END = _absent(START_COLUMNS), _absent(PROGRESS_COLUMNS), _absent(END_COLUMNS)
_NO_COUNTERS = (None, None, None, None, None)


def job_row(job_id: str, registers: Registers) -> tuple[object, ...]:
    """One row in the order of JOB_COLUMNS; an absent register has attempt and seq -1 and body ''."""
    return (
        job_id,
        *registers.request,
        *(registers.start or _NO_START),
        *(registers.progress or _NO_PROGRESS),
        *(registers.end or _NO_END),
    )


@dataclass(slots=True)
class JobsContent:
    """History rows in log order, and the folded jobs of the batch by id."""

    history: list[tuple[object, ...]] = field(default_factory=list)
    jobs: dict[str, JobState] = field(default_factory=dict)


class JobsProjection:
    """Keeps `tracker.event`, `tracker.job` and `tracker.rollup`."""

    def __init__(self, topics: Topics, name: str = "tracker-jobs") -> None:
        self._topics = topics.lifecycle()
        self._name = topics.prefix + name

    @property
    def name(self) -> str:
        return self._name

    @property
    def topics(self) -> list[str]:
        return self._topics

    def prepare(self, records: Sequence[Record]) -> Prepared[JobsContent]:
        content = JobsContent()
        dead: list[DeadLetter] = []
        for record in records:
            try:
                event = decode(record.value)
                content.history.append(history_row(record, event))
                if isinstance(event, Requested | Started | Progress | Finished):
                    state = content.jobs.get(event.job_id) or content.jobs.setdefault(event.job_id, JobState())
                    state.apply(event)
            except InvalidEvent as error:
                dead.append(DeadLetter(record, error.reason, error.job_id))
        return Prepared(records, content, dead)

    def write(self, cursor: Cursor, content: JobsContent) -> None:
        if content.history:
            with cursor.copy(_SQL["copy_history"]) as copy:
                for row in content.history:
                    copy.write_row(row)
        if content.jobs:
            rows = (job_row(job_id, content.jobs[job_id].registers()) for job_id in sorted(content.jobs))
            columns = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(_SQL["merge_jobs"], dict(zip(JOB_COLUMNS, columns, strict=True)))


def history_row(record: Record, event: AnyEvent) -> tuple[object, ...]:
    """One row in the order of `copy_history`.

    `body` holds the data that no column holds: of progress only its metadata and the job's batch and
    subject, where there are any; of the rarer types the whole data.

    Raises:
        InvalidEvent: an event that has no place on this topic, or a value that JSON cannot carry back.
    """
    data = event.data
    job_type = account = attempt = seq = phase = outcome = worker = None
    counters: tuple[int | None, ...] = _NO_COUNTERS
    match event:
        case Progress(data=progress):
            job_type, account, attempt, seq = progress.job.type, progress.job.account, progress.attempt, progress.seq
            phase, counters = progress.phase, msgspec.structs.astuple(progress.counters)
        case Finished(data=finished):
            job_type, account, attempt, seq = finished.job.type, finished.job.account, finished.attempt, finished.seq
            outcome, counters = finished.outcome, msgspec.structs.astuple(finished.counters)
        case Started(data=started):
            job_type, account, attempt, seq = started.job.type, started.job.account, started.attempt, started.seq
            worker, counters = started.worker, (started.total, None, None, None, None)
        case Requested(data=requested):
            job_type, account = requested.job.type, requested.job.account
        case Cancel() | Pause() | Resume():
            account = event.data.target.account
        case ItemRecorded():
            raise InvalidEvent("item.recorded.v1 does not belong on this topic", event.job_id)
    try:
        body = _progress_rest(event) if isinstance(event, Progress) else _encoder.encode(data).decode()
    except (ValueError, OverflowError, RecursionError, TypeError) as error:
        raise InvalidEvent(f"holds a value that JSON cannot carry back: {error}", event.job_id) from None
    return (
        *(record.appended_at, record.topic, record.partition, record.offset),
        *(event.job_id, event.id, event.__struct_config__.tag, event.time, event.source, event.tenant),
        *(event.correlationid, event.causationid, event.traceparent),
        *(job_type, account, attempt, seq, phase, outcome, worker, *counters, body),
    )


def _progress_rest(event: Progress) -> str:
    rest: dict[str, object] = {}
    if event.data.metadata:
        rest["metadata"] = event.data.metadata
    if event.data.job.batch is not None:
        rest["batch"] = event.data.job.batch
    if event.data.job.about is not None:
        rest["about"] = event.data.job.about
    return _encoder.encode(rest).decode() if rest else ""
