"""Writes quantities alone: of variants that the catalogue knows, and nothing else of them."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from psycopg import Connection

from platforms.records import StockRecord
from puller.store.catalogue import CatalogueScope
from service_kit.sql_files import queries

_SQL = queries("puller", "stock.sql")
_encoder = msgspec.json.Encoder(decimal_format="number")

StockVerdict = Literal["updated", "unchanged", "unknown"]


def write_stock(
    connection: Connection, scope: CatalogueScope, records: Sequence[StockRecord]
) -> dict[str, StockVerdict]:
    """Store the quantities of a page; by variant id what became of them. A variant that comes twice has its last ones.

    'unknown': the catalogue does not list such a variant, and nothing was written. A product that has no variant of its
    own is 'unchanged'. What is written no longer has the content that the record's hash stands for: the record's next
    pull writes it as a whole.
    """
    by_id = {record.variant_id: record for record in records}
    if not by_id:
        return {}
    compared = connection.execute(
        _SQL["compare_stock"], {**scope.key(), "rows": _rows(list(by_id.values()))}
    ).fetchall()
    changed = [by_id[variant_id] for variant_id, verdict in compared if verdict == "updated"]
    if changed:
        values = {**scope.key(), "variant_ids": [record.variant_id for record in changed], "rows": _rows(changed)}
        for statement in ("drop_places", "put_places", "put_stock_of_variants", "note_stock_change"):
            connection.execute(_SQL[statement], values)
    return dict(compared)


def _rows(records: Sequence[StockRecord]) -> str:
    rows: list[dict[str, Any]] = [
        {
            "variant_id": record.variant_id,
            "stock": record.stock,
            "places": {place.place_id: place.available for place in record.places},
        }
        for record in records
    ]
    return _encoder.encode(rows).decode()
