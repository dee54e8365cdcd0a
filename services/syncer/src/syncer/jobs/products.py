"""PRODUCT_SYNC: prices and stock of linked variants."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from platforms import field_names, registry
from platforms.adapter import Kind, Location, Writer
from platforms.settings import AccountSettings
from syncer.domain import depots, desired, fields
from syncer.jobs.targets import MatchedTarget, Pair, Records, about, without_values
from syncer.store import rows
from syncer.store.rows import Row, Scope
from worker.errors import JobFailed

_NOT_IN_HUB = ErrorInfo("NOT_FOUND", "NOT_IN_CATALOGUE", "the mapped product is no longer in Nhanh's catalogue")


class ProductTarget(MatchedTarget):
    """Prices and stock of linked variants."""

    kind: Kind = "product"

    def __init__(self) -> None:
        self._settings = AccountSettings()
        self._writer: Writer | None = None
        self._first_location: str | None = None
        self._location_of_depot: dict[str, str] = {}
        # The depots by which it was decided where stock goes; None where that does not depend on them.
        self._known_depots: frozenset[str] | None = None

    def prepare(self, writer: Writer, settings: AccountSettings, pool: ConnectionPool, scope: Scope) -> None:
        """Find the location of every depot's stock; the channel is asked only where the catalogue does not tell."""
        self._settings, self._writer = settings, writer
        mapped = settings.depot_locations
        if not settings.write.stock:
            return
        location_id = registry.channel(scope.platform).location_id
        if (problem := depots.map_problem(mapped, location_id)) is not None:
            raise JobFailed("VALIDATION_FAILED", "DEPOT_MAP", problem)
        self._location_of_depot = {depot.strip(): location_id(place) for depot, place in mapped.items()}
        if not mapped and settings.unmapped_depots == "sum":
            self._first_location = self._locations()[0].id
            return
        with pool.connection() as conn:
            if rows.count_pairs(conn, scope) == 0 or (mapped and rows.has_depot(conn, scope, map(str.strip, mapped))):
                return
            known = rows.places(conn, scope)
        if not mapped:
            self._known_depots = frozenset(known.depots)
        if not known.depots:
            return
        if mapped:
            raise JobFailed("VALIDATION_FAILED", "DEPOT_MAP", depots.unknown_depots(mapped, known.depots))
        if depots.is_plain(known.depots, known.locations):
            self._first_location = known.locations[0]
            return
        locations = self._locations()
        if not depots.is_plain(known.depots, locations):
            raise JobFailed("VALIDATION_FAILED", "DEPOT_MAP", depots.choices(known.depots, locations))
        self._first_location = locations[0].id

    def check_writable(self) -> None:
        """Refuse prices in another currency than the channel's."""
        if not self._settings.write.price:
            return
        currency = self._connected().currency()
        if currency is None:
            raise JobFailed("PLATFORM_ERROR", "CURRENCY_UNKNOWN", "the shop does not tell in which currency it sells")
        problem = desired.currency_problem(currency, self._settings.price_rule)
        if problem is not None:
            raise JobFailed("VALIDATION_FAILED", "CURRENCY", problem)

    def check_depots(self, found: Iterable[str]) -> None:
        """Refuse stock at depots that the catalogue does not have, where it decided which location gets all stock."""
        new = sorted(set(found) - self._known_depots) if self._known_depots is not None else []
        if new:
            raise JobFailed("VALIDATION_FAILED", "DEPOT_MAP", depots.depots_since_pull(new))

    def pair(self, scope: Scope, row: Row, stocks: list[tuple[str, Decimal | None]]) -> Pair:
        """The pair of a row and of the hub's quantities by depot, whatever the channel is believed to hold."""
        return self._pair(scope, row, stocks, [])

    def pairs(self, conn: Connection, scope: Scope, found: list[Row], read: Records) -> list[Pair]:
        del read  # prices and stock do not depend on what the channel holds
        stocks = rows.stock(conn, scope, scope.hub, [row["hub_id"] for row in found])
        levels = rows.stock(conn, scope, scope.platform, [row["remote_id"] for row in found])
        return [
            self._pair(scope, row, stocks.get(row["hub_id"], []), levels.get(row["remote_id"], [])) for row in found
        ]

    def _locations(self) -> Sequence[Location]:
        found = self._connected().locations()
        if not found:
            raise JobFailed("VALIDATION_FAILED", "NO_LOCATION", "the shop has no active location to keep stock at")
        return found

    def _connected(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("a target must be prepared before it is used")
        return self._writer

    def _pair(
        self,
        scope: Scope,
        row: Row,
        stocks: list[tuple[str, Decimal | None]],
        levels: list[tuple[str, Decimal | None]],
    ) -> Pair:
        hub_id, remote_id, settings = row["hub_id"], row["remote_id"], self._settings
        shown = about(row["method"], title=_title(row), sku=row["sku"] or row["remote_sku"])
        unusable = without_values(row, scope, _NOT_IN_HUB, shown)
        if unusable is not None:
            return unusable
        wanted: dict[str, str] = {}
        if settings.write.price:
            rule = settings.price_rule
            # `check_writable` accepts a factor of 1 for a channel of the hub's currency only.
            currency = row["currency"] or (desired.HUB_CURRENCY if rule.currency_factor == 1 else None)
            priced = desired.price(_price_of(row, settings), row["vat_mode"], rule, currency)
            if priced.problem is not None:
                refused = ErrorInfo("VALIDATION_FAILED", "PRICE_RULE", priced.problem)
                return Pair(hub_id, remote_id, problem=refused, about=shown)
            if priced.value is not None:
                wanted[field_names.PRICE] = priced.value
        if settings.write.stock:
            wanted |= desired.stock(stocks, self._location_of_depot, self._first_location, settings.safety_stock)
        believed: dict[str, str | None] = {
            field_names.stock_at(place): None if available is None else fields.plain_number(available)
            for place, available in levels
        }
        if row["pulled_at"] is not None and row["remote_price"] is not None:
            believed[field_names.PRICE] = fields.plain_number(row["remote_price"])
        return Pair(hub_id, remote_id, wanted, believed, row["pulled_at"], rows.last_written_of_row(row), about=shown)


def _title(row: Row) -> str | None:
    """The hub's name of the variant, the channel's where the hub no longer has the record."""
    title, variant = row["title"], row["variant_title"]
    if title is None:
        title, variant = row["remote_title"], row["remote_variant_title"]
    if not title or not variant or variant in title:
        return title or variant
    return f"{title} {variant}"


def _price_of(row: Row, settings: AccountSettings) -> Decimal | None:
    value = (row["prices"] or {}).get(settings.price_rule.field)
    return None if value is None else Decimal(str(value))
