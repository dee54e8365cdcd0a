"""The statements that name the columns of the job table, completed from their declaration."""

from typing import LiteralString

from job_tracker.domain.job_row import END, LISTED_NAMES, PROGRESS, REQUEST, START, STORED_NAMES, Register
from service_kit.sql_files import queries

_SQL = queries("job_tracker.store", "jobs.sql")
_MERGED = (REQUEST, START, PROGRESS, END)  # the deletion is none of them: it empties the row


def _wins(register: Register, new: LiteralString, old: LiteralString) -> LiteralString:
    """The condition under which the register of the row `new` takes the place of the one of the row `old`.

    Of a request the smaller (time, id) wins, of the others the greater (attempt, seq); then the greater bytes.
    """
    name = "request_wins" if register is REQUEST else "register_wins"
    return _SQL[name].format(new=new, old=old, register=register.prefix)


def _assignments(register: Register) -> LiteralString:
    """The register's columns as a whole: from the new row if its key wins, else as they were."""
    wins = _wins(register, "excluded", "job")
    lines: list[LiteralString] = [
        f"{column.name} = CASE WHEN {wins} THEN excluded.{column.name} ELSE job.{column.name} END"
        for column in register.columns
    ]
    return ",\n        ".join(lines)


def _any_wins(new: LiteralString, old: LiteralString) -> LiteralString:
    conditions: list[LiteralString] = [_wins(register, new, old) for register in _MERGED]
    return "\n       OR ".join(conditions)


_COLUMNS: LiteralString = ", ".join(STORED_NAMES)
_live: list[LiteralString] = [f"live.{name}" for name in STORED_NAMES]
_replaced: list[LiteralString] = [f"{name} = excluded.{name}" for name in STORED_NAMES[1:]]
_assigned: list[LiteralString] = [_assignments(register) for register in _MERGED]

JOB_STATEMENTS: dict[str, LiteralString] = dict(_SQL)
JOB_STATEMENTS["stage_jobs"] = _SQL["stage_jobs"].format(columns=_COLUMNS)
JOB_STATEMENTS["merge_jobs"] = _SQL["merge_jobs"].format(
    columns=_COLUMNS,
    assignments=",\n        ".join(_assigned),
    any_wins=_any_wins("excluded", "job"),
    replacements=", ".join(_replaced),
)
STAGE_AHEAD: LiteralString = queries("job_tracker.store", "shadow.sql")["stage_ahead"].format(
    columns=", ".join(_live), any_wins=_any_wins("live", "again")
)
CHANGED_JOBS: LiteralString = queries("job_tracker.store", "stream.sql")["changed_jobs"].format(
    columns=", ".join(LISTED_NAMES)
)
