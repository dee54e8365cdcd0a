"""The matched pairs with both records of the catalogue and what was last written, as the views give them."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import islice
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row

from platforms.adapter import Kind
from service_kit.sql_files import queries
from syncer.domain.phones import present_form, spellings
from syncer.domain.plan import LastWritten

_SQL = dict(queries("syncer", "catalogue.sql"))
for _name in ("count_pairs", "product_pairs", "customer_pairs"):
    _SQL[_name] = _SQL[_name].format(linked=_SQL["linked"])
PAGE = 500

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FailedItems:
    """The items whose last sync failed: those of one job, with one error category, or (both None) all of them."""

    job_id: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose pairs, of which kind, of the hub and which channel (`platform`).

    only: these ids of the hub, None = all. failed: of these, the ones whose last sync failed. oldest_first: the least
    recently synced ones first. mixed: the job has another kind, too.
    """

    tenant: str
    account: str
    kind: Kind
    platform: str
    hub: str
    only: tuple[str, ...] | None = None
    failed: FailedItems | None = None
    oldest_first: bool = False
    mixed: bool = False

    def item(self, hub_id: str) -> str:
        """The name of an item in the job's events: products and customers may have the same id."""
        return f"{self.kind}/{hub_id}" if self.mixed else hub_id

    def values(self, **more: object) -> dict[str, object]:
        """The scope as query parameters."""
        only = None if self.only is None else list(self.only)
        failed = self.failed or FailedItems()
        return {
            "tenant": self.tenant,
            "account": self.account,
            "kind": self.kind,
            "platform": self.platform,
            "hub": self.hub,
            "only": only,
            "failed": self.failed is not None,
            "failed_in": failed.job_id,
            "category": failed.category,
            "oldest_first": self.oldest_first,
            **more,
        }


def count_pairs(conn: Connection, scope: Scope) -> int:
    """How many pairs are linked, by the matcher or by a person."""
    row = conn.execute(_SQL["count_pairs"], scope.values()).fetchone()
    return row[0] if row else 0


def pages_of_pairs(conn: Connection, scope: Scope) -> Generator[list[Row], None, None]:
    """The pairs in a stable order, PAGE at a time, from one snapshot of the database."""
    with conn.cursor(f"{scope.kind}_pairs", row_factory=dict_row) as cursor:
        cursor.itersize = PAGE
        rows = iter(cursor.execute(_SQL[f"{scope.kind}_pairs"], scope.values()))
        while page := list(islice(rows, PAGE)):
            yield page


def in_hub(conn: Connection, scope: Scope, ids: Sequence[str]) -> set[str]:
    """Those of the ids that the hub's catalogue has."""
    return {found for (found,) in conn.execute(_SQL[f"{scope.kind}_in_hub"], scope.values(ids=list(ids)))}


def stock(
    conn: Connection, scope: Scope, platform: str, ids: Sequence[str]
) -> dict[str, list[tuple[str, Decimal | None]]]:
    """Variant id -> (depot or location, available) of each place that the platform has named."""
    found: dict[str, list[tuple[str, Decimal | None]]] = {}
    values = scope.values(platform=platform, ids=list(ids))
    for variant, place, available in conn.execute(_SQL["stock"], values):
        found.setdefault(variant, []).append((place, available))
    return found


@dataclass(frozen=True, slots=True)
class Places:
    """The hub's depots and the channel's locations at which an account's records have stock, each by ascending id."""

    depots: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()


def places(conn: Connection, scope: Scope) -> Places:
    """Every place that the catalogue names."""
    found: dict[str, list[str]] = {scope.hub: [], scope.platform: []}
    for platform, place in conn.execute(_SQL["places"], scope.values()):
        found[platform].append(place)
    return Places(tuple(found[scope.hub]), tuple(found[scope.platform]))


def has_depot(conn: Connection, scope: Scope, depots: Iterable[str]) -> bool:
    """Whether the catalogue has stock at one of these depots."""
    row = conn.execute(_SQL["has_depot"], scope.values(depots=list(depots))).fetchone()
    return bool(row and row[0])


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has a contact: ids of the channel's customers and of the hub's (two of them, where there are more)."""

    channel: set[str] = field(default_factory=set[str])
    hub: set[str] = field(default_factory=set[str])

    def are_others_than(self, remote_id: str) -> bool:
        """Whether the channel could not give the contact to this customer alone."""
        return bool(self.channel - {remote_id}) or len(self.hub) > 1


def contact_holders(conn: Connection, scope: Scope, phones: Sequence[str], emails: Sequence[str]) -> dict[str, Holders]:
    """Holders by contact: a number in today's form, an address in lower case."""
    spelled = sorted({spelling for number in phones for spelling in spellings(number)})
    found: dict[str, Holders] = {}
    values = scope.values(phones=spelled, emails=list(emails))
    for contact, platform, holder in conn.execute(_SQL["contact_holders"], values):
        holders = found.setdefault(contact if "@" in contact else present_form(contact), Holders())
        (holders.channel if platform == scope.platform else holders.hub).add(holder)
    return found


def last_written_of_row(row: Row) -> LastWritten:
    """What was last written to a pair's item; empty where nothing was."""
    return LastWritten(row["written"] or {}, row["pending"] or {}, row["written_at"])
