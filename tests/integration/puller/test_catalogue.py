"""What one page does to the tables, and how often a record counts."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from psycopg import Connection
from psycopg_pool import ConnectionPool

from platforms.records import CustomerRecord, Product, ProductRecord, Stock, Variant
from puller.store.catalogue import CatalogueScope, database_time, mark_delisted, write_page
from service_kit.database import migrate, open_pool

SHELF = CatalogueScope("demo", "shop", "shopify", "product")


@pytest.fixture
def catalogue(database_url: str) -> Iterator[ConnectionPool]:
    migrate(database_url, "puller", ["worker", "puller"])
    with open_pool(database_url, "puller", 2) as pool:
        yield pool


def record(number: int, *variants: Variant, title: str = "Áo") -> ProductRecord:
    name = f"p{number}"
    return ProductRecord(record_id=name, product=Product(product_id=name, title=title), variants=variants)


def variant(name: str, product: int, *places: Stock, price: str = "1000") -> Variant:
    value = Decimal(price)
    return Variant(
        variant_id=name, product_id=f"p{product}", price=value, prices={"retail": value, "old": value}, places=places
    )


def write(pool: ConnectionPool, job: str, *records: ProductRecord, failed: tuple[str, ...] = ()) -> dict[str, str]:
    with pool.connection() as connection:
        return dict(write_page(connection, SHELF, job, records, failed).verdicts)


def shown(pool: ConnectionPool, columns: str = "variant_id", view: str = "api_products") -> list[tuple[object, ...]]:
    with pool.connection() as connection:
        return connection.execute(f"select {columns} from {view} order by 1, 2".encode()).fetchall()


def total(pool: ConnectionPool) -> int:
    """What the scopes' totals say, which is what there is to list."""
    scope = "tenant || '/' || account || '/' || platform || '/"
    kept = {name: records for name, records in shown(pool, f"{scope}' || kind, records", "api_totals") if records}
    products = shown(pool, f"{scope}product', count(*)", "api_products group by 1")
    customers = shown(pool, f"{scope}customer', count(*)", "api_customers group by 1")
    assert dict([*products, *customers]) == kept
    return int(str(kept.get("demo/shop/shopify/product", 0)))


def test_created_updated_unchanged_and_repeated(catalogue: ConnectionPool) -> None:
    one, two = record(1, variant("a", 1)), record(2, variant("b", 2))
    assert write(catalogue, "job-1", one, two, one) == {"p1": "created", "p2": "created"}
    assert write(catalogue, "job-1", two) == {"p2": "repeated"}
    changed = record(2, variant("b", 2, price="1000.5"))
    assert write(catalogue, "job-2", one, changed) == {"p1": "unchanged", "p2": "updated"}
    # Read again with other content within the job: stored, but counted no second time.
    assert write(catalogue, "job-2", record(1, variant("a", 1, price="7"))) == {"p1": "repeated"}
    assert shown(catalogue, "variant_id, price, prices ->> 'old'") == [
        ("a", Decimal(7), "7"),
        ("b", Decimal("1000.5"), "1000.5"),
    ]
    assert write(catalogue, "job-3", one, failed=()) == {"p1": "updated"}
    assert write(catalogue, "job-3") == {}


def test_variants_and_places_that_left_a_record_leave_the_tables(catalogue: ConnectionPool) -> None:
    here, there = Stock("x", Decimal(1)), Stock("y", None)
    write(
        catalogue, "job-1", record(1, variant("a", 1, here, there), variant("b", 1, here)), record(2, variant("c", 2))
    )
    write(catalogue, "job-2", record(1, variant("a", 1, there)))
    assert shown(catalogue, "variant_id, product_id") == [("a", "p1"), ("c", "p2")]
    assert shown(catalogue, "variant_id, place_id, available", "api_stock") == [("a", "y", None)]
    assert total(catalogue) == 2


def test_a_variant_in_two_records_belongs_to_the_later_one(catalogue: ConnectionPool) -> None:
    place = Stock("x", Decimal(1))
    first, second = record(1, variant("a", 1, place)), record(2, variant("a", 2, place))
    assert write(catalogue, "job-1", first, second) == {"p1": "created", "p2": "created"}
    assert shown(catalogue, "variant_id, product_id") == [("a", "p2")]


def test_an_unreadable_record_keeps_its_last_content(catalogue: ConnectionPool) -> None:
    one = record(1, variant("a", 1))
    write(catalogue, "job-1", one)
    assert write(catalogue, "job-2", failed=("p1", "p2")) == {"p1": "failed", "p2": "failed"}
    assert write(catalogue, "job-2", failed=("p1",)) == {"p1": "repeated"}
    assert shown(catalogue, "variant_id, title") == [("a", "Áo")]
    assert write(catalogue, "job-3", one, record(2, variant("b", 2))) == {"p1": "unchanged", "p2": "created"}


def test_delisted_records_are_hidden_and_return_as_created(catalogue: ConnectionPool) -> None:
    one, two = record(1, variant("a", 1)), record(2, variant("b", 2))
    write(catalogue, "job-1", one, two)
    with catalogue.connection() as connection:
        began = database_time(connection)
        write_page(connection, SHELF, "job-2", [one], ())
        assert mark_delisted(connection, SHELF, began) == 1
    assert shown(catalogue, "variant_id, title") == [("a", "Áo")]
    assert total(catalogue) == 1
    with catalogue.connection() as connection:
        assert mark_delisted(connection, SHELF, database_time(connection)) == 1  # p1; p2 is gone already
    assert total(catalogue) == 0
    assert write(catalogue, "job-3", one, two) == {"p1": "created", "p2": "created"}
    assert len(shown(catalogue, "variant_id, title")) == 2
    assert total(catalogue) == 2


def test_a_variant_that_moves_away_from_a_delisted_record_is_listed(catalogue: ConnectionPool) -> None:
    write(catalogue, "job-1", record(1, variant("a", 1)))
    with catalogue.connection() as connection:
        assert mark_delisted(connection, SHELF, database_time(connection)) == 1
    write(catalogue, "job-2", record(2, variant("a", 2)))
    assert shown(catalogue, "variant_id, product_id") == [("a", "p2")]
    assert total(catalogue) == 1


def test_the_longest_keys_fit_the_indexes(catalogue: ConnectionPool) -> None:
    def longest(length: int) -> str:
        return "".join(chr(0x1F300 + (number * 37) % 700) for number in range(length))  # four bytes each

    only = Variant(variant_id=longest(128), product_id=longest(128), sku=longest(255), barcode=longest(255))
    owner = Product(product_id=longest(128), title=longest(5000))
    scope = CatalogueScope("t" * 128, "a" * 128, "shopify", "product")
    with catalogue.connection() as connection:
        write_page(
            connection, scope, "job-1", [ProductRecord(record_id=longest(128), product=owner, variants=(only,))], ()
        )
        people = [CustomerRecord(record_id=longest(128), phones=(longest(255),))]
        write_page(connection, CatalogueScope("t", "a", "nhanh", "customer"), "job-1", people, ())
    assert shown(catalogue, "sku, barcode") == [(longest(255), longest(255))]
    assert total(catalogue) == 0  # all of it is on other scopes


def test_scopes_do_not_touch_each_other(catalogue: ConnectionPool) -> None:
    def put(connection: Connection, scope: CatalogueScope, phone: str) -> None:
        people = [CustomerRecord(record_id="1", phone=phone, phones=(phone, '{a,"b"}'), totals={"points": 3})]
        write_page(connection, scope, "job-1", people, ())

    scopes = [
        CatalogueScope("demo", account, platform, "customer") for account in "xy" for platform in ("nhanh", "shopify")
    ]
    with catalogue.connection() as connection:
        for number, scope in enumerate(scopes):
            put(connection, scope, f"09{number}")
        assert mark_delisted(connection, scopes[0], database_time(connection)) == 0
    with catalogue.connection() as connection:
        assert mark_delisted(connection, scopes[0], database_time(connection)) == 1
    rows = shown(catalogue, "account, platform, phone, phones, totals", "api_customers")
    assert rows == [
        ("x", "shopify", "091", ["091", '{a,"b"}'], {"points": 3}),
        ("y", "nhanh", "092", ["092", '{a,"b"}'], {"points": 3}),
        ("y", "shopify", "093", ["093", '{a,"b"}'], {"points": 3}),
    ]


def test_a_childs_title_is_its_parents(catalogue: ConnectionPool) -> None:
    def child(name: str, full: str, options: str | None = None) -> ProductRecord:
        only = Variant(variant_id=name, product_id="p1", name=full, options=options)
        return ProductRecord(record_id=name, product=None, variants=(only,))

    children = [child("a", "Áo - XL"), child("b", "Áo XL", "XL"), child("c", "Quần"), child("d", "Áo")]
    write(catalogue, "job-1", *children)
    alone = shown(catalogue, "variant_id, title, variant_title")
    assert alone == [("a", "Áo - XL", None), ("b", "Áo XL", "XL"), ("c", "Quần", None), ("d", "Áo", None)]
    write(catalogue, "job-1", record(1))
    together = shown(catalogue, "variant_id, title, variant_title")
    assert together == [("a", "Áo", "XL"), ("b", "Áo", "XL"), ("c", "Áo", "Quần"), ("d", "Áo", None)]
