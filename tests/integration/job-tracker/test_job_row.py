"""The declared columns of a job are those of the migrated table, and the registers of the fold fill them."""

from typing import Any, NamedTuple, get_args, get_type_hints

import psycopg
import pytest

from job_events import fold
from job_tracker.api.answer_schemas import JOB
from job_tracker.domain.job_row import DELETION, END, GENERATED, LISTED_NAMES, PROGRESS, REQUEST, SHOWN, START, STORED
from job_tracker.store.job_statements import CHANGED_JOBS, JOB_STATEMENTS, STAGE_AHEAD

_TYPES = {"text": str, "timestamptz": fold.datetime, "int4": int, "int8": int}
_CATALOGUE = """
SELECT attname, typname, NOT attnotnull, attgenerated <> ''
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE attrelid = 'tracker.job'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


def test_the_declaration_is_the_migrated_table(table: psycopg.Connection[Any]) -> None:
    found = table.execute(_CATALOGUE).fetchall()
    stored = {(name, kind, null) for name, kind, null, generated in found if not generated}
    assert stored == {(column.name, column.type, column.can_be_null) for column in STORED}
    # PostgreSQL does not know which of the columns that it computes have a value in every row.
    computed = {(name, kind) for name, kind, _, generated in found if generated}
    assert computed == {(column.name, column.type) for column in GENERATED}


@pytest.mark.parametrize(
    ("register", "fields"),
    [
        (REQUEST, fold.RequestRegister),
        (START, fold.StartRegister),
        (PROGRESS, fold.ProgressRegister),
        (END, fold.EndRegister),
        (DELETION, fold.DeletionRegister),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_a_register_of_the_fold_fills_its_columns_in_order(register: Any, fields: type[NamedTuple]) -> None:
    hints = get_type_hints(fields)
    assert len(register.columns) == len(hints)
    for column, (name, hint) in zip(register.columns, hints.items(), strict=True):
        assert (get_args(hint) or (hint,))[0] is _TYPES[column.type]
        # A start, progress or end may be absent as a whole; its columns besides the key are null then.
        assert column.can_be_null or not get_args(hint)
        assert column.name in {f"{register.prefix}_{name}", name} or (column.name, name) == ("d_time", "at")


def test_every_statement_that_names_columns_names_all_of_them() -> None:
    for statement in (JOB_STATEMENTS["stage_jobs"], JOB_STATEMENTS["merge_jobs"], STAGE_AHEAD):
        assert not [column.name for column in STORED if column.name not in statement]
    assert not [name for name in LISTED_NAMES if name not in CHANGED_JOBS]


def test_every_shown_column_is_in_the_schema_of_a_job() -> None:
    assert {column.shown_as for column in SHOWN} <= JOB["properties"].keys()
    assert sorted(JOB["properties"]) == JOB["required"]
