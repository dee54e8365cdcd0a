"""After incremental pulls the catalogue is the one that a full pull gives, whatever changed while they were running."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool
from tests.driven_jobs import Cancelled, Killed, SetClock, run_to_end, running_sandbox
from tests.property_tests import examples

from platforms.accounts import AccountStore
from platforms.buckets import LocalBuckets
from platforms.cipher import Cipher
from puller.incremental import IncrementalPull
from puller.pulls import Pull
from puller.sources import sources
from service_kit.database import open_pool

BEGIN = 1_796_000_000.0
KINDS = {"nhanh": ("products", "stock", "customers"), "shopify": ("products", "customers")}
VIEWS = {
    "api_products": ("variant_id", ("pulled_at", "changed_at", "account", "stale")),
    "api_stock": ("variant_id, place_id", ("account",)),
    "api_customers": ("customer_id", ("pulled_at", "account", "stale")),
}


@dataclass(frozen=True)
class Edit:
    """One change at a shop. which: picks the record; aside: how far the clock of the server that stamps it is off."""

    what: str
    which: int
    value: int
    aside: int


@dataclass(frozen=True)
class Step:
    """What happens around the commit of one page."""

    edits: list[Edit]
    passes: int  # seconds
    ends: str | None  # killed before or after the commit, or cancelled


@dataclass
class Plan:
    """A shop, what happens at it, and when it is pulled."""

    platform: str
    products: int
    customers: int
    offset: int
    tells_time: bool
    page_limit: int
    short_pages: bool
    first_full: bool
    ends_full: bool
    rounds: list[tuple[int, list[Edit], list[Step]]] = field(default_factory=list)


EDITS = st.builds(
    Edit,
    st.sampled_from(["price", "title", "stock", "stock back", "customer", "new product", "new customer"]),
    st.integers(0, 3),
    st.integers(1, 5),
    st.sampled_from([0, -90, 90]),
)
STEPS = st.builds(
    Step,
    st.lists(EDITS, max_size=2),
    st.sampled_from([0, 1, 400]),
    st.sampled_from([None, None, None, "before", "after", "cancelled"]),
)
ROUNDS = st.tuples(
    st.sampled_from([0, 1, 301, 200_000]),
    st.lists(EDITS, min_size=1, max_size=3),
    st.lists(STEPS, max_size=6),
)
PLANS = st.builds(
    Plan,
    st.sampled_from(sorted(KINDS)),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0, -90, 90]),
    st.booleans(),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(ROUNDS, min_size=1, max_size=3),
)
QUIET = Step([], 0, None)
ALL = [Edit("title", n, 2, 0) for n in range(4)]
HAZARDS = (
    # A server that stamps 90 s behind, right after a pull.
    Plan(
        "nhanh",
        2,
        2,
        0,
        True,
        2,
        False,
        True,
        False,
        [(1, [Edit("title", 0, 2, -90), Edit("customer", 0, 2, -90)], [])],
    ),
    # A shop 90 s behind that does not tell its time.
    Plan("shopify", 2, 2, -90, False, 2, False, True, False, [(1, ALL[:1], []), (1, [Edit("price", 0, 3, 0)], [])]),
    # Stock that was read, and is again what it was when the full pull comes.
    Plan(
        "nhanh",
        1,
        1,
        0,
        True,
        3,
        False,
        True,
        True,
        [(400, [Edit("stock", 0, 1, 0)], []), (400, [], [QUIET, QUIET, Step([Edit("stock back", 0, 1, 0)], 0, None)])],
    ),
    # A record on a page that was read changes while a long pull goes on, which is killed.
    Plan(
        "nhanh",
        4,
        1,
        90,
        True,
        1,
        False,
        True,
        False,
        [(400, ALL, [QUIET, QUIET, Step([Edit("title", 0, 4, 0)], 400, "after")])],
    ),
    # The same, without a kill, at each of the last pages.
    Plan(
        "shopify",
        4,
        4,
        0,
        True,
        1,
        False,
        False,
        False,
        [(400, ALL, [Step([Edit("price", 0, n, 0)], 400, None) for n in (2, 3, 4, 5)])],
    ),
    # A pull that is cancelled after its first page.
    Plan("nhanh", 4, 1, 0, True, 1, False, True, False, [(400, ALL, [Step([], 400, "cancelled")])]),
)


class Shop:
    """One sandbox shop, read into two accounts: `tested` by incremental pulls, `truth` by a full one at the end."""

    def __init__(self, plan: Plan, clock: SetClock, control: httpx.Client, pool: ConnectionPool) -> None:
        self.plan, self.clock, self.control, self.pool = plan, clock, control, pool
        self.store = AccountStore(pool, Cipher(Fernet.generate_key().decode()))
        self.buckets = LocalBuckets(clock)
        self.account = f"shop-{uuid.uuid4().hex[:8]}"
        self.numbers = iter(range(9000, 9999))
        products = [{"id": 100 * (n + 1), "title": f"Áo {n}", "units": self._units(n)} for n in range(plan.products)]
        people = [
            {"id": n + 1, "family": "Lê", "given": f"An {n}", "phone": f"09123456{n:02}"} for n in range(plan.customers)
        ]
        body = {"account": self.account, plan.platform: {"products": products, "customers": people}}
        side = control.post("/shops", json=body).raise_for_status().json()[plan.platform]
        limits: dict[str, Any] = {"calls": 100_000, "page_limit": plan.page_limit, "short_pages": plan.short_pages}
        if plan.platform == "shopify":
            limits = {"bucket": 1e6, "restore_rate": 1e5, "max_query_cost": 45 * plan.page_limit}
        limits |= {"clock_offset": plan.offset, "date_header": plan.tells_time}
        control.patch(f"/shops/{self.account}/{plan.platform}", json=limits).raise_for_status()
        for account in (self.account, f"{self.account}-truth"):
            self.store.put_account("demo", account)
            self.store.put_connection("demo", account, plan.platform, side["base_url"], side["credentials"])

    @staticmethod
    def _units(number: int) -> list[dict[str, Any]]:
        options = ["S", "M"] if number % 2 else [None]
        return [{"sku": f"A{number}{o or ''}", "option": o, "price": 1000, "stock": [5, 2]} for o in options]

    def edit(self, edit: Edit) -> None:
        """Apply a change, stamped by the shop's clock (or by one of its servers that is `aside`)."""
        at = int(self.clock.seconds) + self.plan.offset + edit.aside
        new = next(self.numbers)
        match edit.what:
            case "new product":
                body = {"id": new * 100, "title": "Mới", "updated_at": at, "units": self._units(edit.which)}
                self._send("put", "product", body)
            case "new customer":
                self._send("put", "customer", {"id": new, "family": "Mới", "given": "Khách", "updated_at": at})
            case "customer":
                field = "name" if self.plan.platform == "nhanh" else "firstName"
                self._change("customer", edit, {"set": {field: f"Tên {edit.value}"}, "at": at})
            case "title":
                field = "name" if self.plan.platform == "nhanh" else "title"
                self._change("product", edit, {"set": {field: f"Áo {edit.value}"}, "at": at})
            case "price":
                kind, change = ("product", {"prices": {"retail": 1000.0 * edit.value}})
                if self.plan.platform == "shopify":
                    kind, change = ("variant", {"price": f"{1000 * edit.value}.00"})
                self._change(kind, edit, {"set": change, "at": at})
            case _:
                place = "120001" if self.plan.platform == "nhanh" else "90100000001"
                quantity = 5 if edit.what == "stock back" else edit.value + 10
                kind = "product" if self.plan.platform == "nhanh" else "variant"
                self._change(kind, edit, {"stock": {place: quantity}, "at": at})

    def _change(self, kind: str, edit: Edit, change: dict[str, Any]) -> None:
        records = self.control.get(f"/records/{self.account}/{self.plan.platform}/{kind}").json()
        if "stock" in change and self.plan.platform == "nhanh":
            records = [doc for doc in records if doc["parentId"] != -2]  # a parent has no stock
        doc = records[edit.which % len(records)]
        number = doc["id"] if self.plan.platform == "nhanh" else int(doc["id"].rpartition("/")[2])
        self._send("post", kind, {"id": number, **change})

    def _send(self, method: str, kind: str, body: dict[str, Any]) -> None:
        path = f"/records/{self.account}/{self.plan.platform}/{kind}"
        self.control.request(method, path, json=body).raise_for_status()

    def incremental(self, steps: Iterable[Step] = ()) -> None:
        """Pull each kind, with the steps at its pages."""
        ahead = iter(steps)
        for kind in KINDS[self.plan.platform]:
            job = run_to_end(
                IncrementalPull(self.store, self.buckets),
                self.pool,
                self.clock,
                "INCREMENTAL_PULL",
                self.account,
                self._at_page(ahead),
                platform=self.plan.platform,
                kind=kind,
            )
            assert job.counters.failed == 0

    def full(self, account: str) -> None:
        """Pull everything of each kind."""
        for kind in ("product", "customer"):
            job_type = f"PULL_{self.plan.platform.upper()}_{kind.upper()}S"
            handler = Pull(sources()[job_type], self.store, self.buckets)
            run_to_end(handler, self.pool, self.clock, job_type, account)

    def _at_page(self, steps: Iterator[Step]) -> Callable[[str], None]:
        current: list[Step | None] = [None]

        def at_page(moment: str) -> None:
            if moment == "before":
                current[0] = next(steps, None)
            step = current[0]
            if step is None:
                return
            if moment == "before":
                for edit in step.edits:
                    self.edit(edit)
            else:
                self.clock.seconds += step.passes
            if step.ends == "cancelled":
                raise Cancelled
            if step.ends == moment:
                raise Killed

        return at_page

    def catalogue(self, account: str) -> dict[str, list[dict[str, Any]]]:
        """What the views show, without the times of the pulls."""
        found: dict[str, list[dict[str, Any]]] = {}
        with self.pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            for view, (order, without) in VIEWS.items():
                query = f"select * from {view} where account = %s order by {order}"
                rows = cursor.execute(query.encode(), [account]).fetchall()
                found[view] = [{name: row[name] for name in row if name not in without} for row in rows]
        return found


@pytest.fixture(scope="module")
def clock() -> SetClock:
    return SetClock(BEGIN)


@pytest.fixture(scope="module")
def control(
    tmp_path_factory: pytest.TempPathFactory, clock: SetClock, wait_until: Callable[..., None]
) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(folder, clock, wait_until) as client:
        yield client


@pytest.fixture
def catalogue_pool(database_url: str) -> Iterator[ConnectionPool]:
    with open_pool(database_url, "puller", 2) as pool:
        yield pool


@settings(max_examples=examples(16), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(plan=PLANS)
@example(plan=HAZARDS[0])
@example(plan=HAZARDS[1])
@example(plan=HAZARDS[2])
@example(plan=HAZARDS[3])
@example(plan=HAZARDS[4])
@example(plan=HAZARDS[5])
def test_incremental_pulls_give_what_a_full_pull_gives(
    plan: Plan, clock: SetClock, control: httpx.Client, catalogue_pool: ConnectionPool
) -> None:
    shop = Shop(plan, clock, control, catalogue_pool)
    if plan.first_full:
        shop.full(shop.account)
    for waits, edits, steps in plan.rounds:
        clock.seconds += waits
        for edit in edits:
            shop.edit(edit)
        shop.incremental(steps)
    clock.seconds += 1000
    if plan.ends_full:
        shop.full(shop.account)
    else:
        shop.incremental()
    shop.full(f"{shop.account}-truth")
    assert shop.catalogue(shop.account) == shop.catalogue(f"{shop.account}-truth")
