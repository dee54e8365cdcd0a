"""The sandbox's state: one SQLite file in WAL mode, which survives `kill -9` of the process."""

import sqlite3
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

Doc = dict[str, Any]


class Record(msgspec.Struct, kw_only=True):
    """One record of a shop. `doc` is the platform's own JSON; the other fields are what it is found by."""

    id: int
    kind: str
    doc: Doc
    updated_at: int
    stock_updated_at: int = 0
    parent: str | None = None
    code: str | None = None
    barcode: str | None = None
    email: str | None = None
    phone: str | None = None
    title: str | None = None


FIRST_RECORDS = "id IN (SELECT id FROM records f WHERE f.shop = ? AND f.kind = ? ORDER BY id LIMIT ?)"
"""A condition: one of the first records of a kind. Its parameters: shop, kind, how many."""
COLUMNS = "id, kind, doc, updated_at, stock_updated_at, parent, code, barcode, email, phone, title"


def to_record(row: sqlite3.Row) -> Record:
    """Turn a row of COLUMNS into a Record."""
    values = dict(row)
    values["doc"] = msgspec.json.decode(values["doc"])
    return Record(**values)


class State:
    """Connections to the state file: any number of readers, one writer at a time.

    Every thread keeps a connection of its own, because SQLite's are not shared well; `writing` serialises the
    writers, so that no request ever meets "database is locked".
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / "sandbox.sqlite3"
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.RLock()
        with self._lock:
            self.connection().executescript(files("sandbox").joinpath("schema.sql").read_text("utf-8"))

    def connection(self) -> sqlite3.Connection:
        """The calling thread's connection (autocommit)."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=30)
            found.row_factory = sqlite3.Row
            found.execute("PRAGMA journal_mode = WAL")
            found.execute("PRAGMA synchronous = NORMAL")
            self._local.connection = found
            with self._lock:
                self._open.append(found)
        return found

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """A transaction with the write lock held: commits at the end, rolls back on any exception."""
        with self._lock:
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """One snapshot for several reads."""
        connection = self.connection()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def close(self) -> None:
        """Close every thread's connection; the state must not be used afterwards."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()


def put(connection: sqlite3.Connection, shop: str, records: Iterable[Record]) -> int:
    """Write records, replacing those with the same kind and id. Returns how many were written."""
    rows = [
        (
            shop,
            record.id,
            record.kind,
            msgspec.json.encode(record.doc),
            record.updated_at,
            record.stock_updated_at,
            record.parent,
            record.code,
            record.barcode,
            record.email,
            record.phone,
            record.title,
        )
        for record in records
    ]
    connection.executemany(
        f"INSERT OR REPLACE INTO records (shop, {COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
    )
    return len(rows)


def get(connection: sqlite3.Connection, shop: str, kind: str, number: int) -> Record | None:
    """The record with this id, or None."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM records WHERE shop = ? AND kind = ? AND id = ?", (shop, kind, number)
    ).fetchone()
    return to_record(row) if row else None


def find(
    connection: sqlite3.Connection,
    shop: str,
    kind: str,
    where: str = "1",
    params: tuple[Any, ...] = (),
    *,
    order: str = "id",
    limit: int = -1,
) -> list[Record]:
    """Records of a kind. `where` and `order` are constants of the caller; values travel in `params`."""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM records WHERE shop = ? AND kind = ? AND ({where}) ORDER BY {order} LIMIT ?",
        (shop, kind, *params, limit),
    ).fetchall()
    return [to_record(row) for row in rows]


def count(connection: sqlite3.Connection, shop: str, kind: str, where: str = "1", params: tuple[Any, ...] = ()) -> int:
    """How many records of a kind there are."""
    row = connection.execute(
        f"SELECT count(*) FROM records WHERE shop = ? AND kind = ? AND ({where})", (shop, kind, *params)
    ).fetchone()
    return int(row[0])


def next_id(connection: sqlite3.Connection, shop: str, kind: str, at_least: int) -> int:
    """An unused id of a kind: one more than the greatest, and not below `at_least`."""
    row = connection.execute("SELECT max(id) FROM records WHERE shop = ? AND kind = ?", (shop, kind)).fetchone()
    return max(at_least, (row[0] or 0) + 1)


def count_write(connection: sqlite3.Connection, shop: str, kind: str, items: int = 1) -> None:
    """Note accepted writes, in the transaction of the write itself."""
    connection.execute(
        "INSERT INTO writes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (shop, kind, items),
    )
