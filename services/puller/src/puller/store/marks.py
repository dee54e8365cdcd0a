"""The high-water marks: up to which change each list of a shop has been read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg import Connection

from platforms import connections
from puller.store.catalogue import CatalogueScope
from service_kit.sql_files import queries

_SQL = queries("puller", "pull_cursor.sql")
MarkKind = Literal["products", "stock", "customers", "orders", "bills", "deleted_orders", "deleted_bills"]


@dataclass(frozen=True, slots=True)
class MarkScope:
    """The mark of one list of one shop."""

    tenant: str
    account: str
    platform: str
    kind: MarkKind
    shop: str

    def key(self) -> dict[str, str]:
        """The names as SQL parameters."""
        return {
            "tenant": self.tenant,
            "account": self.account,
            "platform": self.platform,
            "kind": self.kind,
            "shop": self.shop,
        }


def mark_scope(connection: connections.Connection, kind: MarkKind) -> MarkScope:
    """The scope of the shop that the connection opens. Its address and ids name it; a new token changes nothing."""
    ids = sorted(f"{name}={value}" for name, value in connection.credentials.items() if name.endswith("_id"))
    shop = " ".join([connection.base_url, *ids])
    return MarkScope(connection.tenant, connection.account, connection.platform, kind, shop)


def mark(connection: Connection, scope: MarkScope) -> datetime | None:
    """Where the next pull of this list begins, by the platform's clock; None = with everything."""
    row = connection.execute(_SQL["mark"], scope.key()).fetchone()
    return row[0] if row else None


def advance(connection: Connection, scope: MarkScope, to: datetime, job_id: str) -> None:
    """Move the mark to `to`, unless it is there or further."""
    connection.execute(_SQL["advance"], {**scope.key(), "mark": to, "job_id": job_id})


def last_complete_pull(connection: Connection, scope: CatalogueScope) -> tuple[datetime, datetime] | None:
    """When the last pull of everything ended, and when it began: the deletions before then are in the catalogue."""
    return connection.execute(_SQL["last_complete_pull"], scope.key()).fetchone()
