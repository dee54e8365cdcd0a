"""The row of a job: the one declaration of the columns of `tracker.job`.

What lists columns is made from it: the rows of the fold, the SQL of COPY, merge and rebuild, what lists read, the
fields of the API's answers and their schema. A test compares it with the migrated table.

A new column is declared here, added to the table by a migration, and filled by its register in `job_events.fold`.
"""

from dataclasses import dataclass
from typing import Literal, LiteralString

from job_events.fold import STATUSES, Registers


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its PostgreSQL type. `can_be_null` is what readers must expect.

    `shown_as`: the field of every job in the API's answers that holds the value as it is, perhaps one of `values`.
    `listed`: lists read it because a computed field needs it. What is shown is read anyway.
    """

    name: LiteralString
    type: Literal["text", "timestamptz", "int4", "int8", "bool"]
    can_be_null: bool = False
    shown_as: str = ""
    values: tuple[str, ...] = ()
    listed: bool = False


@dataclass(frozen=True, slots=True)
class Register:
    """The columns of one register of the fold, in the order of its fields.

    `prefix` names its key: the columns attempt, seq and body. `always`: there is no row without it.
    """

    name: LiteralString
    prefix: LiteralString
    columns: tuple[Column, ...]
    always: bool = False

    @property
    def absent(self) -> tuple[object, ...]:
        """The values of a row that lacks the register: attempt and seq -1, body ''."""
        return tuple(None if one.can_be_null else "" if one.type == "text" else -1 for one in self.columns)


JOB_ID = Column("job_id", "text", shown_as="job_id")
REQUEST = Register(
    "request",
    "r",
    (
        Column("r_time", "timestamptz"),
        Column("r_id", "text"),
        Column("r_body", "text"),
        Column("tenant", "text", shown_as="tenant"),
        Column("account", "text", shown_as="account"),
        Column("job_type", "text", shown_as="type"),
        Column("chain", "text", shown_as="chain"),
        Column("parent", "text", can_be_null=True, shown_as="parent"),
        Column("batch", "text", can_be_null=True, shown_as="batch"),
        Column("priority", "text", can_be_null=True, shown_as="priority"),
        Column("retry_of", "text", can_be_null=True, shown_as="retry_of"),
        Column("requested_by", "text", can_be_null=True, shown_as="requested_by"),
    ),
    always=True,
)
START = Register(
    "start",
    "s",
    (
        Column("s_attempt", "int4"),
        Column("s_seq", "int8"),
        Column("s_body", "text"),
        Column("s_at", "timestamptz", can_be_null=True, shown_as="started_at"),
        Column("s_worker", "text", can_be_null=True, shown_as="worker"),
        Column("s_total", "int8", can_be_null=True),
    ),
)
PROGRESS = Register(
    "progress",
    "p",
    (
        Column("p_attempt", "int4"),
        Column("p_seq", "int8"),
        Column("p_body", "text"),
        Column("p_at", "timestamptz", can_be_null=True, listed=True),
        Column("p_phase", "text", can_be_null=True, listed=True),
        Column("p_total", "int8", can_be_null=True),
        Column("p_processed", "int8", can_be_null=True),
        Column("p_successful", "int8", can_be_null=True),
        Column("p_failed", "int8", can_be_null=True),
        Column("p_skipped", "int8", can_be_null=True),
    ),
)
END = Register(
    "end",
    "e",
    (
        Column("e_attempt", "int4"),
        Column("e_seq", "int8"),
        Column("e_body", "text"),
        Column("e_at", "timestamptz", can_be_null=True, shown_as="finished_at"),
        Column("e_outcome", "text", can_be_null=True),
        Column("e_total", "int8", can_be_null=True),
        Column("e_processed", "int8", can_be_null=True),
        Column("e_successful", "int8", can_be_null=True),
        Column("e_failed", "int8", can_be_null=True),
        Column("e_skipped", "int8", can_be_null=True),
        Column("e_duration_ms", "int8", can_be_null=True, shown_as="duration_ms"),
        Column("e_error_category", "text", can_be_null=True, shown_as="error_category"),
    ),
)
DELETION = Register(
    "deletion",
    "d",
    (Column("d_time", "timestamptz", can_be_null=True), Column("d_id", "text", can_be_null=True)),
)
REGISTERS = (REQUEST, START, PROGRESS, END, DELETION)
COUNTERS = ("total", "processed", "successful", "failed", "skipped")

# What PostgreSQL computes from the registers.
GENERATED = (
    Column("state", "text", shown_as="state", values=("queued", "running", "finished")),
    Column("outcome", "text", can_be_null=True, shown_as="outcome"),
    Column("status", "text", shown_as="status", values=STATUSES),
    Column("attempt", "int4", shown_as="attempt"),
    Column("total", "int8", can_be_null=True, listed=True),
    Column("processed", "int8", listed=True),
    Column("successful", "int8", listed=True),
    Column("failed", "int8", listed=True),
    Column("skipped", "int8", listed=True),
    Column("requested_at", "timestamptz", can_be_null=True, shown_as="requested_at"),
    Column("created_at", "timestamptz", shown_as="created_at"),
    Column("updated_at", "timestamptz", shown_as="updated_at"),
    Column("deleted", "bool"),
)

STORED = (JOB_ID, *(column for register in REGISTERS for column in register.columns))
SHOWN = tuple(column for column in (*STORED, *GENERATED) if column.shown_as)
LISTED_NAMES: tuple[LiteralString, ...] = tuple(
    column.name for column in (*STORED, *GENERATED) if column.shown_as or column.listed
)
"""The columns that a list reads of each job; the bodies, which may be large, are not among them."""
STORED_NAMES: tuple[LiteralString, ...] = tuple(column.name for column in STORED)
_ABSENT = tuple(register.absent for register in REGISTERS)


def job_row(job_id: str, registers: Registers) -> tuple[object, ...]:
    """The values of a job in the order of STORED."""
    request, start, progress, end, deletion = registers
    _, no_start, no_progress, no_end, no_deletion = _ABSENT
    return (
        job_id,
        *request,
        *(start or no_start),
        *(progress or no_progress),
        *(end or no_end),
        *(deletion or no_deletion),
    )
