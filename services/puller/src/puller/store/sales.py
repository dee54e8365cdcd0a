"""Writes orders, retail bills and their lines, inside the job's own transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import msgspec
from psycopg import Connection

from platforms.sales import Deletion, SalesDocument, SalesKind, sales_hash
from service_kit.sql_files import queries

_SQL = queries("puller", "sales.sql")
_encoder = msgspec.json.Encoder(decimal_format="number")
_OWN_FIELDS: Final = frozenset({"kind", "lines"})

SalesVerdict = Literal["created", "updated", "unchanged", "repeated"]


@dataclass(frozen=True, slots=True)
class SalesScope:
    """The part of every key that is the same for all documents of one kind of a shop."""

    tenant: str
    account: str
    platform: str
    kind: SalesKind

    def key(self) -> dict[str, str]:
        """The names as SQL parameters."""
        return {"tenant": self.tenant, "account": self.account, "platform": self.platform, "kind": self.kind}


def write_sales(
    connection: Connection, scope: SalesScope, job_id: str, documents: Sequence[SalesDocument]
) -> dict[str, SalesVerdict]:
    """Store a page; by id what became of each document. One that comes twice on a page counts once, by its last form.

    'repeated': this job had counted the document before.
    """
    by_id = {document.document_id: document for document in documents}
    if not by_id:
        return {}
    hashes = {document_id: sales_hash(document) for document_id, document in by_id.items()}
    values = {**scope.key(), "job_id": job_id, "document_ids": list(by_id), "hashes": list(hashes.values())}
    compared = connection.execute(_SQL["compare_sales"], values).fetchall()
    changed = [by_id[document_id] for document_id, _, write in compared if write]
    connection.execute(_SQL["see_sales"], values)
    if changed:
        _put(connection, {**scope.key(), "job_id": job_id}, changed, hashes)
    return {document_id: verdict for document_id, verdict, _ in compared}


def oldest_change(connection: Connection, scope: SalesScope) -> datetime | None:
    """The earliest time of change of a stored document of this kind; None without one."""
    row = connection.execute(_SQL["oldest_change"], scope.key()).fetchone()
    return row[0] if row else None


def mark_deleted(connection: Connection, scope: SalesScope, deletions: Sequence[Deletion]) -> int:
    """Note when documents were deleted; how many of them that changed. An order that changed later was restored."""
    last = {deletion.document_id: deletion for deletion in sorted(deletions, key=lambda d: d.deleted_at)}
    rows = [msgspec.structs.asdict(deletion) for deletion in last.values()]
    return connection.execute(_SQL["mark_deleted"], {**scope.key(), "rows": _encoder.encode(rows).decode()}).rowcount


def _put(connection: Connection, key: dict[str, str], changed: Sequence[SalesDocument], hashes: dict[str, str]) -> None:
    rows: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for document in changed:
        fields = {name: value for name, value in msgspec.structs.asdict(document).items() if name not in _OWN_FIELDS}
        rows.append({**fields, "total": document.total, "content_hash": hashes[document.document_id]})
        lines += [
            {**msgspec.structs.asdict(line), "document_id": document.document_id, "line": number}
            for number, line in enumerate(document.lines, start=1)
        ]
    values = {**key, "document_ids": [document.document_id for document in changed]}
    connection.execute(_SQL["put_sales"], {**values, "rows": _encoder.encode(rows).decode()})
    connection.execute(_SQL["drop_lines"], values)
    connection.execute(_SQL["put_lines"], {**values, "rows": _encoder.encode(lines).decode()})
