"""An upgrade from the last release, whose columns named the platforms: rows are migrated, its statements still run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import yoyo

from service_kit.database import migrate

FIRST_NEW = {"matcher": "0104", "syncer": "0102"}
"""The first migration of each schema that the last release does not have."""
TABLES = {
    "matcher": ("match", "former_link"),
    "syncer": ("written", "written_change", "plan_token", "shown_change"),
}
PUT_MATCH = """
insert into matcher.match (tenant, account, kind, nhanh_id, shopify_id, status, method, score, reason, job_id)
values (%(tenant)s, %(account)s, 'product', %(nhanh)s, %(shopify)s, %(status)s, 'sku', 1, null, 'old')
on conflict (tenant, account, kind, nhanh_id, shopify_id) do update
set status = excluded.status, method = excluded.method, score = excluded.score, reason = excluded.reason,
    job_id = excluded.job_id, updated_at = now()
"""
KEEP_FORMER = """
insert into matcher.former_link (tenant, account, kind, nhanh_id, shopify_id, method)
values (%(tenant)s, %(account)s, 'product', %(nhanh)s, %(shopify)s, 'sku')
on conflict (tenant, account, kind, nhanh_id, shopify_id) do update set method = excluded.method
"""
PEND = """
insert into syncer.written (tenant, account, kind, shopify_id, nhanh_id, pending, job_id)
values (%(tenant)s, %(account)s, 'product', %(shopify)s, %(nhanh)s, %(pending)s::jsonb, 'old')
on conflict (tenant, account, kind, shopify_id) do update
set pending = written.pending || excluded.pending, nhanh_id = excluded.nhanh_id, job_id = excluded.job_id
"""
INTEND = """
insert into syncer.written_change
    (job_id, shopify_id, field, tenant, account, kind, nhanh_id, before, after, known, approved, sold_out)
values ('old', %(shopify)s, 'price', %(tenant)s, %(account)s, 'product', %(nhanh)s, '1', %(after)s, true, false, false)
on conflict (job_id, shopify_id, field) do update
set before = excluded.before, after = excluded.after, approved = excluded.approved, sold_out = excluded.sold_out,
    intended_at = excluded.intended_at, written_at = null
"""
PUT_SHOWN = """
insert into syncer.shown_change (token, shopify_id, field, before, after)
values ('plan-old', %(shopify)s, 'price', '1', %(after)s)
on conflict (token, shopify_id, field) do update set before = excluded.before, after = excluded.after
"""
PUT_PLAN = """
insert into syncer.plan_item (job_id, position, batch, nhanh_id, shopify_id, content)
values ('old', 0, 0, %(nhanh)s, %(shopify)s, '{}')
"""


@contextmanager
def last_release() -> Iterator[None]:
    """Here migrations end where those of the last release end."""
    read = yoyo.read_migrations

    def earlier(*folders: str) -> Any:
        schema = next(name for name in FIRST_NEW if any(name in folder for folder in folders))
        return read(*folders).filter(lambda one: one.id < FIRST_NEW[schema])

    with mock.patch.object(yoyo, "read_migrations", earlier):
        yield


def go_back(shop: Any, database_url: str) -> None:
    """Put the rows of the present schemas into those of the last release."""
    for schema, tables in TABLES.items():
        rows = {table: shop.sql(f"select to_jsonb(t)::text from {schema}.{table} t") for table in tables}
        shop.sql(f"drop schema {schema} cascade")
        with last_release():
            migrate(database_url, schema, ["worker", schema])
        for table, found in rows.items():
            for (row,) in found:
                put = (
                    f"insert into {schema}.{table} select * from jsonb_populate_record(null::{schema}.{table}, %(row)s)"
                )
                shop.sql(put, row=row)


def test_a_sync_goes_on_after_the_migration_without_a_write(shop: Any, syncer: Any, database_url: str) -> None:
    pairs = shop.truth("product")
    shop.map("product", pairs)
    shop.map("customer", shop.truth("customer"))
    with syncer():
        first, end = shop.run("PRODUCT_SYNC")
        assert end.data.metadata["updated"] > 1
        shop.run("CUSTOMER_SYNC")
    writes = len(shop.writes())
    tables = {schema: [len(shop.sql(f"select from {schema}.{table}")) for table in TABLES[schema]] for schema in TABLES}

    go_back(shop, database_url)
    assert shop.sql("select count(*) from matcher.match where nhanh_id is null") == [(0,)]
    migrate(database_url, "matcher", ["worker", "matcher"])
    with syncer():
        for job_type, kind in (("PRODUCT_SYNC", "product"), ("CUSTOMER_SYNC", "customer")):
            _, again = shop.run(job_type)
            assert (again.data.outcome, again.data.metadata["updated"]) == ("success", 0)
            assert again.data.metadata["unchanged"] == again.data.counters.total == len(shop.truth(kind))
        assert len(shop.writes()) == writes
        assert tables == {
            schema: [len(shop.sql(f"select from {schema}.{table}")) for table in TABLES[schema]] for schema in TABLES
        }
        one = next(iter(pairs))
        assert shop.sql(
            "select platform, remote_id from syncer.api_written where account = %(account)s and hub_id = %(one)s"
            " and kind = 'product'",
            one=one,
        ) == [("shopify", pairs[one])]
        _, reverted = shop.run("REVERT_SYNC", job_id=first, dry_run=True)
        assert reverted.data.metadata["wouldUpdate"] == end.data.metadata["updated"]


def test_statements_of_the_last_release_run_on_the_present_schemas(shop: Any, database_url: str) -> None:
    """Its processes run beside the present ones during an upgrade."""
    migrate(database_url, "syncer", ["worker", "syncer"])
    shop.sql(
        "insert into syncer.plan_token (token, job_id, tenant, account, kind)"
        " values ('plan-old', 'old', %(tenant)s, %(account)s, 'product')"
    )
    ids = {"nhanh": "41", "shopify": "gid://shopify/ProductVariant/7"}
    shop.sql(PUT_PLAN, **ids)
    for status, pending, after in (("auto", '{"price": "1"}', "1"), ("rejected", '{"price": "2"}', "2")):
        shop.sql(PUT_MATCH, **ids, status=status)
        shop.sql(KEEP_FORMER, **ids)
        shop.sql(PEND, **ids, pending=pending)
        shop.sql(INTEND, **ids, after=after)
        shop.sql(PUT_SHOWN, shopify=ids["shopify"], after=after)
    expected = [("shopify", *ids.values())]
    for table in ("matcher.former_link", "syncer.plan_item"):
        assert shop.sql(f"select platform, hub_id, remote_id from {table}") == expected
    stored = {
        "matcher.match": ("status", "rejected"),
        "syncer.written": ("pending ->> 'price'", "2"),
        "syncer.written_change": ("after", "2"),
    }
    for table, (column, value) in stored.items():
        found = shop.sql(f"select platform, hub_id, remote_id, {column} from {table}")
        assert found == [(*expected[0], value)]
    assert shop.sql("select remote_id, after from syncer.shown_change") == [(ids["shopify"], "2")]

    # The matched record of the hub changes, by either release; both find the new one.
    shop.sql(PEND, nhanh="42", shopify=ids["shopify"], pending="{}")
    assert shop.sql("select hub_id from syncer.written") == [("42",)]
    shop.sql("update syncer.written set hub_id = '43'")
    assert shop.sql("select nhanh_id from syncer.written") == [("43",)]

    # A record of another channel has no id under the names of the last release.
    shop.sql(
        "insert into matcher.match (tenant, account, kind, platform, hub_id, remote_id, status, method, score, job_id)"
        " values (%(tenant)s, %(account)s, 'product', 'paper-shop', '41', '7', 'auto', 'sku', 1, 'new')"
    )
    assert shop.sql("select hub_id, nhanh_id, shopify_id from matcher.api_matches where platform <> 'shopify'") == [
        ("41", None, None)
    ]
