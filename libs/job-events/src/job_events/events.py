"""The message types of the contract, one struct a type, as CloudEvents 1.0 in structured mode.

Readers are tolerant (unknown fields are ignored); the published schemas in `schemas/` are closed.
The types have bounds: whatever decodes here can be stored, whatever does not becomes a dead letter.
Decoded JSON holds no cycles, so the garbage collector need not look at these structs (`gc=False`).
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from job_events.errors import Category

JOB_ID_PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"
MAX_COUNT = 2**53 - 1  # the greatest integer that every JSON reader keeps exact

JobId = Annotated[str, Meta(pattern=JOB_ID_PATTERN)]
# `envelope.decode` checks these: msgspec would search the pattern and accept a trailing line end.
EnvelopeId = Annotated[str, Meta(extra_json_schema={"pattern": JOB_ID_PATTERN})]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
ShortText = Annotated[str, Meta(max_length=512)]
LongText = Annotated[str, Meta(max_length=4096)]
Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Attempt = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Time = Annotated[datetime, Meta(tz=True)]

Priority = Literal["low", "normal", "high", "urgent"]
Outcome = Literal["success", "partial", "failure", "error", "timeout", "cancelled", "skipped"]
Action = Literal["created", "updated", "unchanged", "skipped", "failed", "conflict", "would_create", "would_update"]


class JobInfo(Struct, gc=False, frozen=True, omit_defaults=True):
    """The description of the job in every lifecycle event, so that no row depends on the retention of another topic."""

    type: Name
    account: Name
    batch: ShortText | None = None
    about: dict[Name, ShortText] | None = None


class Then(Struct, gc=False, frozen=True, omit_defaults=True):
    """A step of a chain: the job type, the parent types that it needs, and the steps behind it."""

    type: Name
    needs: tuple[Name, ...]
    params: dict[str, Any] = field(default_factory=dict)
    then: tuple["Then", ...] = ()


class Request(Struct, gc=False, frozen=True, omit_defaults=True, kw_only=True):
    """The content of a request. `parents` are the finished jobs that a step of a chain follows."""

    params: dict[str, Any] = field(default_factory=dict)
    priority: Priority = "normal"
    then: tuple[Then, ...] = ()
    requested_by: ShortText = ""
    retryof: JobId | None = None
    parents: tuple[JobId, ...] = ()


class RequestCopy(Request, gc=False, frozen=True, omit_defaults=True, kw_only=True):
    """The request in a start event: with the id and the time of the original event."""

    id: ShortText
    time: Time


class Counters(Struct, gc=False, frozen=True):
    """`total` is null while unknown. Emitters keep processed ≤ total, and no number falls."""

    total: Count | None = None
    processed: Count = 0
    successful: Count = 0
    failed: Count = 0
    skipped: Count = 0


class ErrorInfo(Struct, gc=False, frozen=True):
    """Why a job or an item failed: a category for machines, the platform's code, a sentence for people."""

    category: Category
    code: ShortText
    message: LongText


class RequestedData(Request, gc=False, frozen=True, omit_defaults=True, kw_only=True):
    """Data of `job.requested.v1`."""

    job: JobInfo


class StartedData(Struct, gc=False, frozen=True, kw_only=True):
    """Data of `job.started.v1`: an attempt begins."""

    job: JobInfo
    attempt: Attempt
    seq: Count
    request: RequestCopy
    worker: ShortText
    total: Count | None = None


class ProgressData(Struct, gc=False, frozen=True, kw_only=True):
    """Data of `job.progress.v1`: all counters, never a difference."""

    job: JobInfo
    attempt: Attempt
    seq: Count
    phase: ShortText
    counters: Counters
    metadata: dict[str, Any] = field(default_factory=dict)


class FinishedData(Struct, gc=False, frozen=True, kw_only=True):
    """Data of `job.finished.v1`. `duration_ms` sums the attempts' monotonic spans, in milliseconds."""

    job: JobInfo
    attempt: Attempt
    seq: Count
    outcome: Outcome
    counters: Counters
    metadata: dict[str, Any] = field(default_factory=dict)
    error: ErrorInfo | None = None
    duration_ms: Count = 0
    then: tuple[Then, ...] = ()


class DeletedData(Struct, gc=False, frozen=True, kw_only=True):
    """Data of `job.deleted.v1`: a finished job is deleted from the table for good."""

    job: JobInfo
    requested_by: ShortText = ""
    reason: LongText = ""


class ControlTarget(Struct, gc=False, frozen=True, omit_defaults=True):
    """Exactly one of: a job, an account (all its jobs in that service), or the service's whole queue."""

    kind: Literal["job", "account", "queue"]
    job_id: JobId | None = None
    account: Name | None = None


class ControlData(Struct, gc=False, frozen=True, kw_only=True):
    """Data of `job.cancel.v1`, `job.pause.v1` and `job.resume.v1`.

    job: describes a target of kind `job`, so that a service that does not hold the job can write its end. Absent, not
    null, if unknown: events from before the field existed keep their bytes.
    """

    target: ControlTarget
    requested_by: ShortText = ""
    reason: LongText = ""
    job: JobInfo | UnsetType = UNSET


class FieldChange(Struct, gc=False, frozen=True):
    """A changed field by name; values of personal fields are masked."""

    name: Name
    before: ShortText | None = None
    after: ShortText | None = None


class ItemData(Struct, gc=False, frozen=True, kw_only=True):
    """Data of `item.recorded.v1`. `ids` maps a platform to its id; `response_ms` is the response time of the platform.

    held: why a skipped item's changes wait for a confirmation. about: what the item is, for people: `title`, `sku`,
    `linked_by`, `note`. Both are absent, not null, without a value: events from before the fields existed keep their
    bytes.
    """

    job: JobInfo
    attempt: Attempt
    item: ShortText
    action: Action
    ids: dict[Name, ShortText] = field(default_factory=dict)
    response_ms: Count | None = None
    worker: ShortText = ""
    error: ErrorInfo | None = None
    changes: tuple[FieldChange, ...] = ()
    held: LongText | UnsetType = UNSET
    about: dict[Name, ShortText] | UnsetType = UNSET


class Event(
    Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", rename={"job_id": "subject"}
):
    """The CloudEvents attributes that all messages share.

    `subject` is the job id; `correlationid` the chain; `causationid` the parent job. Every
    subclass carries its `type` as the msgspec tag, so one pass over the bytes decodes any message.
    """

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=512)]
    source: Annotated[str, Meta(min_length=1, max_length=512)]
    job_id: EnvelopeId
    time: Time
    tenant: Name
    correlationid: EnvelopeId
    causationid: EnvelopeId | None = None
    traceparent: Annotated[str, Meta(max_length=64)] | None = None


class Requested(Event, gc=False, frozen=True, kw_only=True, tag="job.requested.v1"):
    data: RequestedData


class Started(Event, gc=False, frozen=True, kw_only=True, tag="job.started.v1"):
    data: StartedData


class Progress(Event, gc=False, frozen=True, kw_only=True, tag="job.progress.v1"):
    data: ProgressData


class Finished(Event, gc=False, frozen=True, kw_only=True, tag="job.finished.v1"):
    data: FinishedData


class Deleted(Event, gc=False, frozen=True, kw_only=True, tag="job.deleted.v1"):
    data: DeletedData


class Cancel(Event, gc=False, frozen=True, kw_only=True, tag="job.cancel.v1"):
    data: ControlData


class Pause(Event, gc=False, frozen=True, kw_only=True, tag="job.pause.v1"):
    data: ControlData


class Resume(Event, gc=False, frozen=True, kw_only=True, tag="job.resume.v1"):
    data: ControlData


class ItemRecorded(Event, gc=False, frozen=True, kw_only=True, tag="item.recorded.v1"):
    data: ItemData


Lifecycle = Requested | Started | Progress | Finished | Deleted
Control = Cancel | Pause | Resume
AnyEvent = Lifecycle | Control | ItemRecorded
EVENT_TYPES: dict[str, type[Event]] = {
    str(cls.__struct_config__.tag): cls
    for cls in (Requested, Started, Progress, Finished, Deleted, Cancel, Pause, Resume, ItemRecorded)
}


class DeadLetterData(Struct, gc=False, frozen=True, kw_only=True):
    """A message that `consumer` could not use: its place, and the reason.

    `value` is the message as text, or as base64 if it is not UTF-8 or far longer as JSON (`encoding`). A message longer
    than a mebibyte is truncated. `value_bytes` is the size of the whole message; absent in dead letters from
    before the field existed.
    """

    topic: ShortText
    partition: Count
    offset: Count
    consumer: ShortText
    reason: LongText
    key: str | None = None
    value: str | None = None
    encoding: Literal["utf-8", "base64"] = "utf-8"
    truncated: bool = False
    value_bytes: Count | UnsetType = UNSET


class DeadLetter(
    Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="job.dead-letter.v1"
):
    """The one message on `jobs.dead-letters`; `subject` is the job id where it could be read."""

    specversion: Literal["1.0"]
    id: str
    source: str
    time: Time
    subject: JobId | None = None
    data: DeadLetterData
