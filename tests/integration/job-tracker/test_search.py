"""Text search: accents, case and form make no difference, and the lists of records answer from an index of trigrams."""

import asyncio
import time
import uuid
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Literal
from unicodedata import normalize
from unittest import mock
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import yoyo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from tests.property_tests import examples

from job_tracker.api import list_statements, listing
from job_tracker.api.catalogue import CUSTOMERS, PRODUCTS
from job_tracker.api.freshness import reader_pool
from job_tracker.api.list_statements import Listing, ListQuery, found_by_index
from job_tracker.domain.search_text import fold
from service_kit.database import migrate

MANY = 120_000
SHELF = {"tenant": "t", "account": "shop", "platform": "nhanh"}
FILTERS = {name: [value] for name, value in SHELF.items()}
PRODUCT = """
INSERT INTO puller.product (tenant, account, platform, product_id, title, brand)
VALUES (%(tenant)s, %(account)s, %(platform)s, %(id)s, %(title)s, %(brand)s)
"""
VARIANT = """
INSERT INTO puller.variant (tenant, account, platform, variant_id, record_id, product_id, name, options, sku, prices)
VALUES (%(tenant)s, %(account)s, %(platform)s, %(variant)s, %(id)s, %(id)s, %(name)s, %(options)s, %(sku)s, '{}')
"""
CUSTOMER = """
INSERT INTO puller.customer (tenant, account, platform, customer_id, name, phone, phones, email, totals)
VALUES (%(tenant)s, %(account)s, %(platform)s, %(id)s, %(name)s, %(phone)s, %(phones)s, %(email)s, '{}')
"""
# Many variants of one account, some of another; every hundredth is a milk coffee.
NUMBERED = """
FROM (SELECT 'shop' AS account, n FROM generate_series(1, %(many)s) AS n
      UNION ALL SELECT 'other', n FROM generate_series(1, %(many)s / 10) AS n) AS numbers,
LATERAL (SELECT lpad(n::text, 7, '0') AS id,
                CASE WHEN n %% 100 = 0 THEN 'Cà phê sữa đá ' || n ELSE 'Áo thun cổ tròn ' || md5(n::text) END AS title)
"""
FILL_PRODUCTS = f"""
INSERT INTO puller.product (tenant, account, platform, product_id, title)
SELECT 't', account, 'nhanh', id, title {NUMBERED}
"""
FILL_VARIANTS = f"""
INSERT INTO puller.variant (tenant, account, platform, variant_id, record_id, product_id, name, sku, prices)
SELECT 't', account, 'nhanh', 'v' || n, id, id, title, 'SKU-' || n, '{{}}' {NUMBERED}
"""


@contextmanager
def made(postgres_server: str) -> Generator[str]:
    """A database with the tracker's and the puller's schema."""
    name = f"test_{uuid.uuid4().hex}"
    url = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        migrate(url, "tracker", ["job_tracker.store"])
        migrate(url, "puller", ["worker", "puller"])
        yield url
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="module")
def database(postgres_server: str) -> Iterator[str]:
    """For tests that write what they look for."""
    with made(postgres_server) as url:
        yield url


@pytest.fixture
def writer(database: str) -> Iterator[psycopg.Connection[Any]]:
    """Writes as the puller does; leaves nothing."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection
        connection.execute("TRUNCATE puller.variant, puller.product, puller.customer")


@pytest.fixture(scope="module")
def full(postgres_server: str) -> Iterator[str]:
    """A database of its own with many variants."""
    with made(postgres_server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL_PRODUCTS, {"many": MANY})
            connection.execute(FILL_VARIANTS, {"many": MANY})
            connection.execute("VACUUM ANALYZE puller.variant")
        yield url


def product(writer: psycopg.Connection[Any], number: int, title: str, **more: Any) -> None:
    values = SHELF | {"id": f"p{number}", "variant": f"v{number}", "title": title, "brand": None, "name": None}
    values |= {"options": None, "sku": f"SKU-{number}"} | more
    writer.execute(PRODUCT, values)
    writer.execute(VARIANT, values)


def customer(writer: psycopg.Connection[Any], number: int, name: str, phone: str, phones: list[str]) -> None:
    values = {"id": f"c{number}", "name": name, "phone": phone, "phones": phones, "email": f"c{number}@example.com"}
    writer.execute(CUSTOMER, SHELF | values)


def walk(
    database: str, of: Listing, text: str, limit: int = 50, filters: dict[str, list[str]] = FILTERS
) -> list[dict[str, Any]]:
    """All pages of a search."""

    async def pages() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        wanted = ListQuery(filters=filters, text=text, limit=limit)
        async with reader_pool(database, 1) as pool:
            while True:
                async with pool.connection() as connection, connection.transaction():
                    found.append(await listing.page(connection, of, wanted, dict, "rows"))
                wanted.cursor = found[-1]["next"]
                if wanted.cursor is None:
                    return found

    return asyncio.run(pages())


def titles(database: str, text: str) -> list[str]:
    return [row["title"] for page in walk(database, PRODUCTS, text) for row in page["rows"]]


FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")
MILK_COFFEE = "Cà phê sữa đá"


@pytest.mark.parametrize("stored", FORMS)
@pytest.mark.parametrize(
    "asked",
    [
        *("ca phe sua da", "CA PHE SUA DA", MILK_COFFEE, MILK_COFFEE.upper(), normalize("NFD", MILK_COFFEE)),
        *("  ca   phe sua", "ca\u00a0phe sữa", "\ufeffca phe\u200b sua", "phê s", "đá", "da", "d"),
        *("SKU-1", "sku-1 ", "p1", "V1"),
    ],
)
def test_a_product_is_found_without_its_accents(
    *, database: str, writer: psycopg.Connection[Any], stored: Literal["NFC", "NFD"], asked: str
) -> None:
    product(writer, 1, normalize(stored, MILK_COFFEE))
    product(writer, 2, "Xôi lạc", sku="X")
    assert titles(database, asked) == [normalize(stored, MILK_COFFEE)]


@pytest.mark.parametrize("asked", ["100%", "100\\", "a_b", "ca_phe", "ca%phe", "cà phê sữa dừa"])
def test_wildcards_are_literal_and_other_words_find_nothing(
    *, database: str, writer: psycopg.Connection[Any], asked: str
) -> None:
    product(writer, 1, f"{MILK_COFFEE} 1000g")
    assert titles(database, asked) == []
    product(writer, 2, asked)
    assert titles(database, asked) == [asked]


def test_a_variant_is_found_by_what_its_product_is_called_now(
    *, database: str, writer: psycopg.Connection[Any]
) -> None:
    product(writer, 1, "Áo thun", brand="Việt Tiến", options="XL / đỏ")
    assert titles(database, "viet tien xl / do") == []
    for asked in ("ao thun xl / do", "viet tien", "xl / đỏ"):
        assert titles(database, asked) == ["Áo thun"]
    writer.execute("UPDATE puller.product SET title = 'Áo khoác', brand = 'Đức Giang' WHERE product_id = 'p1'")
    assert titles(database, "ao thun") == titles(database, "viet tien") == []
    assert titles(database, "ao khoac") == titles(database, "duc giang") == ["Áo khoác"]
    writer.execute("UPDATE puller.variant SET listed = false")
    assert titles(database, "ao khoac") == []
    writer.execute("UPDATE puller.product SET title = 'Áo mưa' WHERE product_id = 'p1'")
    writer.execute("UPDATE puller.variant SET listed = true")
    assert (titles(database, "ao khoac"), titles(database, "ao mua")) == ([], ["Áo mưa"])
    writer.execute("DELETE FROM puller.product")
    writer.execute("UPDATE puller.variant SET name = 'Nón lá'")
    assert (titles(database, "ao mua"), titles(database, "non la")) == ([], ["Nón lá"])


def test_variants_that_come_before_their_product_are_found_by_it(
    *, database: str, writer: psycopg.Connection[Any]
) -> None:
    values = SHELF | {"id": "p1", "variant": "v1", "name": "Đỏ", "options": None, "sku": None}
    writer.execute(VARIANT, values)
    writer.execute(PRODUCT, SHELF | {"id": "p1", "title": "Khăn lụa", "brand": None})
    assert titles(database, "khan lua") == ["Khăn lụa"]


@pytest.mark.parametrize(
    "asked",
    ["nguyen thi hoa", "NGUYỄN THỊ HOÀ", "0912 345 678", "0912.345.678", "+84 912 345 678", "0912345678", "912345"],
)
def test_a_customer_is_found_by_name_and_by_a_phone_however_it_is_typed(
    *, database: str, writer: psycopg.Connection[Any], asked: str
) -> None:
    customer(writer, 1, "Nguyễn Thị Hoà", "0912.345.678", ["+84912345678"])
    customer(writer, 2, "Trần Văn Bình", "0987654321", ["+84987654321"])
    (page,) = walk(database, CUSTOMERS, asked)
    assert [row["customer_id"] for row in page["rows"]] == ["c1"]


def test_a_blank_search_is_none(*, database: str, writer: psycopg.Connection[Any]) -> None:
    product(writer, 1, MILK_COFFEE)
    assert titles(database, " \u200b ") == [MILK_COFFEE]


letters = st.characters(codec="utf-8", max_codepoint=0x3100, exclude_categories=("Cc", "Cs", "Cn"))


@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.one_of(letters, st.sampled_from("đĐàÀ\u0301\u00a0\u200b \tİßΣς"))))
def test_stored_text_and_asked_text_are_folded_alike(*, writer: psycopg.Connection[Any], text: str) -> None:
    folded = writer.execute("SELECT puller.search_folded(%(t)s), tracker.search_folded(%(t)s)", {"t": text}).fetchone()
    assert folded == (fold(text), fold(text))


def plan(database: str, wanted: ListQuery) -> list[dict[str, Any]]:
    """Every node of the plan that the search's own statement gets from the API's connections."""
    question, _ = found_by_index(PRODUCTS, wanted)
    names = list(question.values)
    text = question.text.decode()
    for number, name in enumerate(names, 1):
        text = text.replace(f"%({name})s", f"${number}")
    options: Any = reader_pool(database, 1).kwargs
    given_values = sql.SQL(", ").join(sql.Literal(question.values[name]) for name in names)
    with psycopg.connect(database, prepare_threshold=None, options=options["options"]) as connection:
        connection.execute(listing.BY_TRIGRAMS)
        connection.execute(f"PREPARE asked AS {text}".encode())
        run = sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked ({})").format(given_values)
        ((found,),) = connection.execute(run).fetchall()
    nodes, waiting = [], [found[0]["Plan"]]
    while waiting:
        nodes.append(waiting.pop())
        waiting += nodes[-1].get("Plans", [])
    return nodes


@pytest.mark.parametrize("filters", [{}, {"tenant": ["t"]}, FILTERS], ids=["none", "tenant", "platform"])
@pytest.mark.parametrize(("asked", "hits"), [("ca phe sua da 7700 ", 1), ("0912 345 678", 0), ("sku-7777 ", 1)])
def test_a_search_reads_the_index_of_trigrams(
    *, full: str, filters: dict[str, list[str]], asked: str, hits: int
) -> None:
    nodes = plan(full, ListQuery(filters=filters, text=asked))
    assert {node["Index Name"] for node in nodes if "Index Name" in node} == {"variant_search"}
    assert not {node["Node Type"] for node in nodes} & {"Seq Scan", "Index Scan", "Index Only Scan"}
    shops = 1 if "account" in filters else 2
    (heap,) = [node for node in nodes if node["Node Type"] == "Bitmap Heap Scan"]
    assert heap["Actual Rows"] == hits * shops
    (page, *more) = walk(full, PRODUCTS, asked, filters=filters)
    assert (page["total"], page["total_exact"], page["partial"], more) == (hits * shops, True, False, [])


def test_pages_of_a_search_hold_each_row_once_in_the_lists_order(full: str) -> None:
    pages = walk(full, PRODUCTS, "CÀ PHÊ", limit=200, filters={"tenant": ["t"]})
    found = [(row["account"], row["product_id"]) for page in pages for row in page["rows"]]
    assert found == sorted(found)
    assert len(found) == len(set(found)) == MANY // 100 + MANY // 1000
    assert {(page["total"], page["total_exact"], page["partial"]) for page in pages} == {(len(found), True, False)}
    assert [len(page["rows"]) for page in pages] == [200] * 6 + [120]


@pytest.mark.parametrize("asked", ["ao thun co tron", "da"])
def test_a_word_of_most_rows_and_a_short_one_are_read_in_the_lists_order(*, full: str, asked: str) -> None:
    """No index narrows them: the first pages come at once, all pages together are the whole."""

    async def first_pages() -> list[dict[str, Any]]:
        pages: list[dict[str, Any]] = []
        wanted = ListQuery(filters=FILTERS, text=asked, limit=50)
        async with reader_pool(full, 1) as pool:
            for _ in range(3):
                async with pool.connection() as connection, connection.transaction():
                    pages.append(await listing.page(connection, PRODUCTS, wanted, dict, "rows"))
                wanted.cursor = pages[-1]["next"]
        return pages

    pages = asyncio.run(first_pages())
    found = [row["product_id"] for page in pages for row in page["rows"]]
    with psycopg.connect(full) as connection:
        whole = connection.execute(
            "SELECT product_id FROM puller.variant WHERE account = 'shop' AND search LIKE %s "
            "ORDER BY product_id LIMIT 150",
            [f"%{fold(asked)}%"],
        ).fetchall()
    assert found == [row for (row,) in whole]
    assert not any(page["total_exact"] for page in pages)


def test_pages_hold_each_row_once_whatever_finds_them(full: str) -> None:
    """The index has counted too many: the list's own order is read, a few rows at a time."""
    with ExitStack() as stack:
        for module in (list_statements, listing):
            stack.enter_context(mock.patch.object(module, "COUNT_TO", 20))
            stack.enter_context(mock.patch.object(module, "SCAN_ROWS", 900))
        pages = walk(full, PRODUCTS, "sua da 1", limit=7)
    found = [row["product_id"] for page in pages for row in page["rows"]]
    numbers = [f"{n:07}" for n in range(100, MANY + 1, 100) if str(n).startswith("1")]
    assert found == numbers
    assert all(page["total_text"] == "20+" for page in pages)
    assert all(not page["partial"] or len(page["rows"]) < 7 for page in pages)


def test_a_search_works_before_the_index_and_before_the_view_are_there(
    *, database: str, writer: psycopg.Connection[Any]
) -> None:
    product(writer, 1, MILK_COFFEE)
    no_failpoint = ("puller", "nothing")
    for older in (replace(PRODUCTS, search_index=no_failpoint), replace(PRODUCTS, search_view=no_failpoint)):
        (page,) = walk(database, older, "ca phe sua da")
        assert [row["title"] for row in page["rows"]] == [MILK_COFFEE]


REFUSE = """
CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''none here''; END';
CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION public.refuse()
"""


@pytest.mark.parametrize("refused", [False, True])
def test_a_database_that_refuses_extensions_is_migrated_all_the_same(*, postgres_server: str, refused: bool) -> None:
    """A role that owns its database needs no more rights. Where extensions are refused, the index can follow later."""
    name, role = f"test_{uuid.uuid4().hex}", f"plain_{uuid.uuid4().hex}"
    parts = urlsplit(postgres_server)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    plain = urlunsplit(urlsplit(url)._replace(netloc=f"{role}:plain@{parts.netloc.rpartition('@')[2]}"))
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'plain'").format(sql.Identifier(role)))
        server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(role)))
        try:
            with psycopg.connect(url, autocommit=True) as admin:
                if refused:
                    admin.execute(REFUSE)
                migrate(plain, "puller", ["worker", "puller"])
                product(admin, 1, MILK_COFFEE)
                indexed = "SELECT to_regclass('puller.variant_search') IS NOT NULL"
                assert admin.execute(indexed).fetchone() == (not refused,)
                assert admin.execute("SELECT puller.create_search_indexes()").fetchone() == (not refused,)
                if refused:
                    admin.execute("DROP EVENT TRIGGER refuse; CREATE EXTENSION pg_trgm; CREATE EXTENSION btree_gin")
                    assert admin.execute("SELECT puller.create_search_indexes()").fetchone() == (True,)
                    assert admin.execute(indexed).fetchone() == (True,)
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            server.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_the_rows_of_before_are_found(postgres_server: str) -> None:
    """The migration fills what was stored without it."""
    name = f"test_{uuid.uuid4().hex}"
    url = urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        read = yoyo.read_migrations
        earlier = mock.patch.object(
            yoyo, "read_migrations", lambda *folders: read(*folders).filter(lambda one: one.id < "0110")
        )
        with earlier:
            migrate(url, "puller", ["worker", "puller"])
        with psycopg.connect(url, autocommit=True) as connection:
            product(connection, 1, MILK_COFFEE)
            customer(connection, 1, "Nguyễn Thị Hoà", "0912", ["+84912345678"])
            migrate(url, "puller", ["worker", "puller"])
            assert connection.execute("SELECT search FROM puller.variant").fetchone() == (
                " ca phe sua da sku-1 p1 v1 ",
            )
            (words,) = connection.execute("SELECT search FROM puller.customer").fetchone() or ("",)
            assert " nguyen thi hoa 0912 0912 +84912345678 0912345678 " in words
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_how_long_a_search_takes(*, full: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def took() -> list[float]:
        times: list[float] = []
        async with reader_pool(full, 1) as pool:
            for number in range(41):
                wanted = ListQuery(filters=FILTERS, text=f"cà phê sữa đá {number * 100}", limit=50)
                began = time.perf_counter()
                async with pool.connection() as connection, connection.transaction():
                    page = await listing.page(connection, PRODUCTS, wanted, dict, "rows")
                times.append(time.perf_counter() - began)
                assert not page["partial"]
        return sorted(times)

    times = asyncio.run(took())
    with capsys.disabled():
        print(f"\nfigure search_100k_p50 {times[len(times) // 2] * 1000:.1f} ms")  # noqa: T201 - a figure to read
