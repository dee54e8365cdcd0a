"""Rows into a table by COPY in PostgreSQL's binary form: half the work of text on both sides."""

from collections.abc import Iterable
from typing import LiteralString

from job_tracker.projector.records import Cursor


def copy_rows(cursor: Cursor, statement: LiteralString, types: list[str], rows: Iterable[tuple[object, ...]]) -> None:
    """Run a `COPY ... FROM STDIN (FORMAT binary)`; `types` names each column's type exactly, as binary wants it."""
    with cursor.copy(statement) as copy:
        copy.set_types(types)
        write = copy.write_row
        for row in rows:
            write(row)
