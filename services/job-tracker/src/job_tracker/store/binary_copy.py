"""COPY in the binary format: half the work of text on both sides."""

from collections.abc import Iterable, Sequence
from typing import LiteralString

from psycopg.adapt import Transformer
from psycopg.postgres import types as registry
from psycopg.pq import Format

# Not public, but what `Copy.write_row` itself calls; that one needs an open connection.
from psycopg._copy_base import format_row_binary  # isort: skip  # pyright: ignore[reportPrivateImportUsage]

from job_tracker.store.postgres import Cursor

# PostgreSQL 18 manual, "COPY", Binary Format: a signature, no flags, no extension; at the end a row of -1 fields.
_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_TRAILER = b"\xff\xff"


class EncodedRows:
    """Rows in the form of a binary COPY, made before there is a COPY, by any thread.

    As bytes, tens of thousands of rows take a third of the memory that objects take, and their source can be freed
    while it is still in the cache of the processor. `types` are the columns' `type_oids`.
    """

    def __init__(self, types: Sequence[int]) -> None:
        self._transformer = Transformer()
        self._transformer.set_dumper_types(types, Format.BINARY)
        self.data = bytearray()

    def add(self, row: tuple[object, ...]) -> None:
        """Append a row; one that raises leaves nothing behind."""
        length = len(self.data)
        try:
            format_row_binary(row, self._transformer, self.data)
        except BaseException:
            del self.data[length:]
            raise


def type_oids(names: Iterable[str]) -> tuple[int, ...]:
    """PostgreSQL's numbers of these types; binary COPY takes no value of another type than the column's."""
    return tuple(map(registry.get_oid, names))


def copy_statement(table: LiteralString, columns: Iterable[LiteralString]) -> LiteralString:
    """The COPY that fills these columns of a table."""
    return f"COPY {table} ({column_list(columns)}) FROM STDIN (FORMAT binary)"


def column_list(columns: Iterable[LiteralString]) -> LiteralString:
    """The names, quoted: some are words of SQL."""
    quoted: list[LiteralString] = [f'"{column}"' for column in columns]
    return ", ".join(quoted)


def copy_rows(cursor: Cursor, statement: LiteralString, blocks: Iterable[EncodedRows]) -> None:
    """Run a `COPY ... FROM STDIN (FORMAT binary)`, block after block."""
    with cursor.copy(statement) as copy:
        copy.write(_HEADER)
        for block in blocks:
            copy.write(block.data)
        copy.write(_TRAILER)
