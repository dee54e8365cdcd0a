"""Writes pages of records: one statement a table, inside the job's own transaction."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg import Connection

from platforms.adapter import Kind
from platforms.records import CustomerRecord, ProductRecord, Record, content_hash
from service_kit.sql_files import queries

_SQL = queries("puller", "catalogue.sql")
TABLES = ("record", "product", "variant", "stock", "customer")
_encoder = msgspec.json.Encoder(decimal_format="number")

Verdict = Literal["created", "updated", "unchanged", "failed", "repeated"]


@dataclass(frozen=True, slots=True)
class CatalogueScope:
    """The part of every key that is the same for all rows of a pull."""

    tenant: str
    account: str
    platform: str
    kind: Kind

    def key(self) -> dict[str, str]:
        """The names as SQL parameters."""
        return {"tenant": self.tenant, "account": self.account, "platform": self.platform, "kind": self.kind}


@dataclass(frozen=True, slots=True)
class Written:
    """The result of writing a page. verdicts: by record id; 'repeated': this job had counted the record before."""

    verdicts: dict[str, Verdict]

    def counts(self) -> Counter[str]:
        """How many records got each verdict."""
        return Counter(self.verdicts.values())


def write_page(
    connection: Connection, scope: CatalogueScope, job_id: str, records: Sequence[Record], failed_ids: Iterable[str]
) -> Written:
    """Store a page. Records of `failed_ids` keep the content of their last readable state.

    A record that comes twice on a page counts once; its last form stays.
    """
    by_id = {record.record_id: record for record in records}
    hashes: dict[str, str | None] = dict.fromkeys(failed_ids)
    hashes.update((record_id, content_hash(record)) for record_id, record in by_id.items())
    if not hashes:
        return Written({})
    seen = connection.execute(
        _SQL["see_records"],
        {**scope.key(), "job_id": job_id, "record_ids": list(hashes), "hashes": list(hashes.values())},
    ).fetchall()
    changed = [by_id[record_id] for record_id, _, write in seen if write]
    if changed:
        _put(connection, scope, changed)
    return Written({record_id: verdict for record_id, verdict, _ in seen})


def mark_delisted(connection: Connection, scope: CatalogueScope, began: datetime) -> int:
    """Mark what no pull has seen since `began`; returns how many records that were."""
    return connection.execute(_SQL["mark_delisted"], {**scope.key(), "began": began}).rowcount


def database_time(connection: Connection) -> datetime:
    """The time that rows written in this transaction carry."""
    row = connection.execute("select now()").fetchone()
    assert row is not None  # noqa: S101  a SELECT without FROM always gives a row
    return row[0]


def _put(connection: Connection, scope: CatalogueScope, changed: list[Record]) -> None:
    products = [record for record in changed if isinstance(record, ProductRecord)]
    customers = [record for record in changed if isinstance(record, CustomerRecord)]
    if products:
        values = {**scope.key(), "record_ids": [record.record_id for record in products]}
        for statement, rows in _product_rows(products).items():
            connection.execute(_SQL[statement], {**values, "rows": _encoder.encode(rows).decode()})
    if customers:
        rows = [_customer_row(record) for record in customers]
        connection.execute(_SQL["put_customers"], {**scope.key(), "rows": _encoder.encode(rows).decode()})


def _product_rows(records: list[ProductRecord]) -> dict[str, list[dict[str, Any]]]:
    """The rows of each statement. A variant that two records claim belongs to the later one."""
    variants: dict[str, dict[str, Any]] = {}
    places: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        for variant in record.variants:
            row = {**msgspec.structs.asdict(variant), "record_id": record.record_id}
            del row["places"]
            variants[variant.variant_id] = row
            for place in variant.places:
                places[variant.variant_id, place.place_id] = {
                    **msgspec.structs.asdict(place),
                    "variant_id": variant.variant_id,
                    "record_id": record.record_id,
                }
    return {
        "put_products": [msgspec.structs.asdict(record.product) for record in records if record.product],
        "put_variants": list(variants.values()),
        "put_stock": list(places.values()),
    }


def _customer_row(record: CustomerRecord) -> dict[str, Any]:
    row = msgspec.structs.asdict(record)
    row["customer_id"] = row.pop("record_id")
    return row
