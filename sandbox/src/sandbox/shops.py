"""The sandbox's shops: building them from a recipe or a file, finding them by their credentials, counting them."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from sandbox import nhanh_records, seeds, shopify_records
from sandbox.articles import Article, Person, Unit, day_of
from sandbox.catalogues import Row, Skipped, load
from sandbox.chance import number_of, rng
from sandbox.people import people
from sandbox.perturb import Recipe, perturb
from sandbox.state import Record, State, count, put

APP_ID = 74_951
DEPOTS = ((120_001, "Kho Hà Nội"), (120_002, "Kho Sài Gòn"))
LOCATIONS = ((90_100_000_001, "Hà Nội"), (90_100_000_002, "Sài Gòn"))
# A file has no stock. Everybody gets this much at the first place; about one in three on Nhanh's side a little
# more, so that a sync has something to write and most records stay as they are.
FILE_STOCK = 20


class Source(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The content of one shop of an account.

    path: a catalogue file; without it, `products`. products, customers: how many seeded ones, or the very records.
    places: how many of the depots or locations it has.
    """

    path: str | None = None
    perturb: Recipe | None = None
    products: int | list[Article] = 240
    customers: int | list[Person] = 300
    seed: int = 7
    places: Annotated[int, msgspec.Meta(ge=1, le=len(DEPOTS))] = len(DEPOTS)


class ClockSettings(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The clock of one shop: `clock_offset` seconds ahead of this machine's, in its times and in the header Date, which
    `date_header` may leave out."""

    clock_offset: float = 0
    date_header: bool = True


class NhanhSettings(ClockSettings, kw_only=True, forbid_unknown_fields=True):
    """Settings of one Nhanh shop. Times in seconds. `depot_ids` limits the token to those depots.

    `lists_end_after` ends each list after its first so many records (by id), as if there were no more. `page_limit`:
    no page has more records, whatever is asked for.
    """

    calls: int = 150
    window_seconds: float = 30
    lock_seconds: float = 10
    lock_growth_seconds: float = 5
    short_pages: bool = True
    upsert_customers: bool = False
    depot_ids: list[int] | None = None
    token_expired: bool = False
    lists_end_after: Annotated[int, msgspec.Meta(ge=0)] | None = None
    page_limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


class ShopifySettings(ClockSettings, kw_only=True, forbid_unknown_fields=True):
    """Settings of one Shopify shop: the cost bucket, the dearest query that is allowed, the shop's currency.

    `lists_end_after` ends the lists of products and customers after their first so many records (by id), while their
    counts still tell all.
    """

    bucket: float = 2000
    restore_rate: float = 100
    max_query_cost: int = 1000
    token_expired: bool = False
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")] = "VND"
    lists_end_after: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Report(msgspec.Struct, kw_only=True):
    """How a shop was loaded: rows read, rows skipped, what the perturbation did."""

    rows: int = 0
    skipped: list[Skipped] = []
    perturbed: dict[str, int] = {}


class Shop(msgspec.Struct, kw_only=True):
    """One shop of one account, as stored."""

    key: str
    platform: str
    account: str
    digest: str
    access: dict[str, Any]
    settings: dict[str, Any]
    report: Report

    @property
    def clock(self) -> ClockSettings:
        """How the shop's clock goes."""
        known = {name: self.settings[name] for name in ClockSettings.__struct_fields__ if name in self.settings}
        return msgspec.convert(known, ClockSettings)

    def now(self, clock: Callable[[], float]) -> int:
        """The shop's time in unix seconds; clock: this machine's."""
        return int(clock() + self.clock.clock_offset)

    @property
    def nhanh(self) -> NhanhSettings:
        """The settings of a Nhanh shop."""
        return msgspec.convert(self.settings, NhanhSettings)

    @property
    def shopify(self) -> ShopifySettings:
        """The settings of a Shopify shop."""
        return msgspec.convert(self.settings, ShopifySettings)


class ContentDiffers(Exception):
    """The account exists with other content: delete the state folder or use another account name."""


def _digest(source: Source) -> str:
    content = msgspec.to_builtins(source)
    if source.places == len(DEPOTS):
        del content["places"]  # shops that an older version created keep their digest
    digest = hashlib.sha256(msgspec.json.encode(content))
    if source.path:
        path = Path(source.path)
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()


def _file_article(row: Row, platform: str, truth: str | None) -> Article:
    more = rng("stock", row.id)
    extra = more.randrange(1, 10) if platform == "nhanh" and more.random() < 0.35 else 0
    unit = Unit(sku=row.sku or row.modelno, barcode=row.barcode, price=row.price, stock=[FILE_STOCK + extra, 0])
    return Article(
        id=row.id,
        title=row.title,
        brand=row.brand,
        description=row.description,
        model=row.modelno,
        units=[unit],
        truth=truth,
        updated_at=day_of(row.id),
    )


def _articles(source: Source, platform: str) -> tuple[list[Article], Report]:
    if source.path is None:
        given = source.products
        made = given if isinstance(given, list) else seeds.products(platform, given, source.seed)
        return made, Report(rows=len(made))
    catalogue = load(Path(source.path))
    report = Report(rows=len(catalogue.rows) + len(catalogue.skipped), skipped=catalogue.skipped)
    if source.perturb is None:
        return [_file_article(row, platform, f"id{row.id}") for row in catalogue.rows], report
    changed = perturb(catalogue.rows, source.perturb)
    report.perturbed = changed.counts
    return [_file_article(row, platform, f"id{old}") for row, old in changed.rows], report


def _records(source: Source, platform: str) -> tuple[list[Record], Report]:
    articles, report = _articles(source, platform)
    given = source.customers
    persons = given if isinstance(given, list) else people(platform, given, source.seed)
    if platform == "nhanh":
        depots = DEPOTS[: source.places]
        records = [nhanh_records.depot_record(number, name) for number, name in depots]
        records += nhanh_records.product_records(articles, [number for number, _ in depots])
        records += [nhanh_records.customer_record(person) for person in persons]
        return records, report
    locations = LOCATIONS[: source.places]
    records = [shopify_records.location_record(number, name) for number, name in locations]
    records += shopify_records.product_records(articles, [number for number, _ in locations])
    records += shopify_records.customer_records(persons)
    return records, report


def _token(account: str, platform: str) -> str:
    """The same token for the same account always: a wiped state folder leaves stored connections usable."""
    seed = f"sandbox token of {platform} {account}".encode()
    if platform == "shopify":
        return "shpat_" + hashlib.sha256(seed).hexdigest()[:32]
    return hashlib.sha512(seed).hexdigest() + hashlib.sha512(seed + b" again").hexdigest()[:64]


def slug_of(account: str) -> str:
    """The account's name as a Shopify shop name: letters, digits and hyphens."""
    slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in account.lower()).strip("-")
    return slug if slug == account else f"{slug or 'shop'}-{number_of(account, 6):06d}"


class Limits(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The rate limits of all shops: settings of each platform's shops, by name (`calls`, `bucket` ...)."""

    nhanh: dict[Literal["calls", "window_seconds", "lock_seconds", "lock_growth_seconds"], float] = {}
    shopify: dict[Literal["bucket", "restore_rate", "max_query_cost"], float] = {}

    def of(self, platform: str) -> dict[str, Any]:
        """The settings of one platform's shops."""
        found = self.nhanh if platform == "nhanh" else self.shopify
        return {name: int(value) if name in {"calls", "max_query_cost"} else value for name, value in found.items()}


class LimitsUnreadable(Exception):
    """The file of the rate limits cannot be read; the message says why."""


def read_limits(file: Path) -> Limits:
    """The limits in a JSON file. Raises LimitsUnreadable."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Limits)
    except (OSError, msgspec.DecodeError) as error:
        raise LimitsUnreadable(f"{file}: {error}") from error


class Shops:
    """All shops of the state file. limits: replace those of all shops, stored ones included; None leaves them."""

    def __init__(self, state: State, limits: Limits | None = None) -> None:
        self._state = state
        self._limits = limits or Limits()
        self._cache: dict[str, Shop] = {}
        self._reloading = threading.Lock()
        self._reload()
        for shop in self.all():
            if self._limits.of(shop.platform):
                self.set(shop.account, shop.platform, self._limits.of(shop.platform))

    def _reload(self) -> None:
        with self._reloading:  # a slower thread must not put back what it read before the newest shop came
            rows = self._state.connection().execute("SELECT * FROM shops ORDER BY account, platform").fetchall()
            self._cache = {row["shop"]: _shop(dict(row)) for row in rows}

    def all(self) -> list[Shop]:
        """Every shop, by account."""
        return list(self._cache.values())

    def by_key(self, key: str) -> Shop | None:
        """'nhanh:<businessId>' or 'shopify:<slug>'."""
        return self._cache.get(key)

    def of(self, account: str, platform: str) -> Shop | None:
        """The account's shop on a platform."""
        return next((s for s in self.all() if (s.account, s.platform) == (account, platform)), None)

    def create(self, account: str, platform: str, source: Source) -> Shop:
        """Create an account's shop, or leave it as it is if it was created from the same content.

        Raises ContentDiffers when it exists with other content, CatalogueUnreadable when its file is unusable.
        """
        digest = _digest(source)
        found = self.of(account, platform)
        if found:
            if found.digest != digest:
                raise ContentDiffers(f"account {account!r} already holds other {platform} content")
            return found
        records, report = _records(source, platform)
        if platform == "nhanh":
            business = 100_000 + number_of(account, 8)
            key = f"nhanh:{business}"
            access = {"app_id": str(APP_ID), "business_id": str(business)}
            settings = msgspec.to_builtins(NhanhSettings())
        else:
            key, access = f"shopify:{slug_of(account)}", {}
            settings = msgspec.to_builtins(ShopifySettings())
        access["access_token"] = _token(account, platform)
        settings = {**settings, **self._limits.of(platform)}
        texts = [msgspec.json.encode(part).decode() for part in (access, settings, report)]
        with self._state.writing() as connection:
            connection.execute(
                "INSERT INTO shops VALUES (?, ?, ?, ?, ?, ?, ?)", (key, platform, account, digest, *texts)
            )
            put(connection, key, records)
        self._reload()
        return self._cache[key]

    def set(self, account: str, platform: str, changes: dict[str, Any]) -> Shop:
        """Change settings of a shop. Raises KeyError for an unknown shop, msgspec.ValidationError for a bad setting."""
        shop = self.of(account, platform)
        if shop is None:
            raise KeyError(account)
        kind = NhanhSettings if platform == "nhanh" else ShopifySettings
        settings = msgspec.to_builtins(msgspec.convert({**shop.settings, **changes}, kind))
        with self._state.writing() as connection:
            connection.execute(
                "UPDATE shops SET settings = ? WHERE shop = ?",
                (msgspec.json.encode(settings).decode(), shop.key),
            )
        self._reload()
        return self._cache[shop.key]

    def holdings(self, shop: Shop) -> dict[str, int]:
        """products: entries a customer would call products; variants: things that can be sold; rows: on Nhanh,
        what product/list lists (standalone, parents and children)."""
        connection = self._state.connection()
        customers = count(connection, shop.key, "customer")
        rows = count(connection, shop.key, "product")
        if shop.platform == "shopify":
            variants = count(connection, shop.key, "variant")
            metafields = count(connection, shop.key, "metafield")
            return {"products": rows, "variants": variants, "customers": customers, "metafields": metafields}
        parents = count(connection, shop.key, "product", "parent = '-2'")
        children = count(connection, shop.key, "product", "CAST(parent AS INTEGER) > 0")
        return {"products": rows - children, "variants": rows - parents, "customers": customers, "rows": rows}

    def writes(self, shop: Shop) -> dict[str, int]:
        """Accepted writes by kind."""
        rows = self._state.connection().execute("SELECT kind, count FROM writes WHERE shop = ?", (shop.key,))
        return {row["kind"]: row["count"] for row in rows}


def _shop(row: dict[str, Any]) -> Shop:
    return Shop(
        key=row["shop"],
        platform=row["platform"],
        account=row["account"],
        digest=row["digest"],
        access=msgspec.json.decode(row["access"]),
        settings=msgspec.json.decode(row["settings"]),
        report=msgspec.json.decode(row["report"], type=Report),
    )
