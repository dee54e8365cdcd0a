"""RECONCILE_PRODUCTS against the sandbox: every drift, nothing else, and no write."""

import json
import os
import subprocess
import sys
import tracemalloc
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from tests.job_requests import job_control

from job_events.events import ErrorInfo, FieldChange, ItemRecorded
from job_events.topics import request_key
from service_kit.database import migrate
from syncer.store.reconciliations import linked_after
from syncer.store.rows import Scope

ANY_CHANGE: dict[str, Any] = {"max_change_share": 1.0, "sellout_share": 1.0}
VAT_AND_STEPS: dict[str, Any] = {
    "price_rule": {"vat_percent": "8", "rounding": "1000"},
    "safety_stock": "2",
    **ANY_CHANGE,
}


def number(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def products(shop: Any) -> dict[str, dict[str, Any]]:
    return {str(doc["id"]): doc for doc in shop.records("nhanh", "product")}


def wanted(shop: Any, doc: dict[str, Any]) -> dict[str, Decimal]:
    """Field -> value by VAT_AND_STEPS: Nhanh's prices come without VAT."""
    with_vat = Decimal(str(doc["prices"]["retail"])) * 108 / 100
    steps = (with_vat / 1000).to_integral_value(ROUND_HALF_UP)
    levels = {
        f"stock@gid://shopify/Location/{shop.depot_locations[depot]}": Decimal(max(0, quantity - 2))
        for depot, quantity in doc["_stock"].items()
    }
    return {"price": steps * 1000, **levels}


def present(variant: dict[str, Any]) -> dict[str, Decimal]:
    levels = {f"stock@gid://shopify/Location/{place}": Decimal(count) for place, count in variant["_levels"].items()}
    return {"price": Decimal(variant["price"]), **levels}


def differences(shop: Any, pairs: dict[str, str]) -> dict[str, dict[str, tuple[Decimal | None, Decimal]]]:
    """Hub id -> field -> (in the channel, wanted) of all that differ now, from the sandbox's own records."""
    hub, channel = products(shop), shop.variants()
    found: dict[str, dict[str, tuple[Decimal | None, Decimal]]] = {}
    for hub_id, remote_id in pairs.items():
        holds = present(channel[remote_id])
        for name, value in wanted(shop, hub[hub_id]).items():
            if holds.get(name) != value:
                found.setdefault(hub_id, {})[name] = (holds.get(name), value)
    return found


def listed(items: dict[str, ItemRecorded]) -> dict[str, dict[str, tuple[Decimal | None, Decimal]]]:
    assert {one.data.action for one in items.values()} <= {"would_update"}

    def values(change: FieldChange) -> tuple[Decimal | None, Decimal]:
        return None if change.before is None else Decimal(change.before), Decimal(str(change.after))

    return {hub_id: {one.name: values(one) for one in item.data.changes} for hub_id, item in items.items()}


def last_writes(items: dict[str, ItemRecorded]) -> dict[str, str]:
    return {hub_id: about(item)["last_write"] for hub_id, item in items.items()}


def about(item: ItemRecorded) -> dict[str, str]:
    assert isinstance(item.data.about, dict)
    return item.data.about


def error_of(item: ItemRecorded) -> ErrorInfo:
    assert item.data.error is not None
    return item.data.error


def figures(shop: Any) -> list[Any]:
    return shop.sql(
        "select job_id, checked, drifted, drift_stock, drift_price, missing, not_compared, oldest_since is null"
        " from syncer.api_reconciliations where tenant = %(tenant)s and account = %(account)s and platform = 'shopify'"
    )


def mutations(shop: Any) -> int:
    """Mutations in the sandbox's raw log, refused ones too."""
    query = {"account": shop.account, "platform": "shopify", "limit": 100_000}
    entries: Any = shop.control.get("/requests", params=query).raise_for_status().json()
    return sum("mutation" in json.dumps(entry["body"]) or bool(entry["items"]) for entry in entries)


def reconcile(shop: Any, drifted: int, **params: Any) -> tuple[dict[str, ItemRecorded], Any]:
    """Run it; its items, of which there must be so many, and its end."""
    before = mutations(shop)
    job_id, end = shop.run("RECONCILE_PRODUCTS", **params)
    items = shop.items(job_id, drifted)
    assert mutations(shop) == before
    assert end.data.counters.processed == end.data.counters.total
    return items, end


def test_drifts_before_a_sync_none_after_it_and_each_one_that_appears_later(
    shop: Any, syncer: Any, database_url: str
) -> None:
    pairs = dict(sorted(shop.truth("product").items()))
    _, (in_review, remote) = pairs.popitem(), pairs.popitem()
    shop.settings(**VAT_AND_STEPS)
    shop.map("product", pairs | {in_review: remote})
    shop.sql("update matcher.match set status = 'review' where hub_id = %(id)s", id=in_review)
    assert {doc["priceVatMode"] for doc in products(shop).values()} == {2}
    first = differences(shop, pairs)
    assert len(first) > 5
    with syncer():
        items, end = reconcile(shop, len(first))
        assert listed(items) == first
        assert set(last_writes(items).values()) == {"never"}
        assert {(about(one)["linked_by"], one.data.ids["shopify"]) for one in items.values()} == {
            ("sku", pairs[hub_id]) for hub_id in first
        }
        counts = {
            "checked": len(pairs),
            "drifted": len(first),
            "driftPrice": sum("price" in fields for fields in first.values()),
            "driftStock": sum(any(name != "price" for name in fields) for fields in first.values()),
            "missing": 0,
            "notCompared": 0,
        }
        assert end.data.metadata.items() >= counts.items()
        assert (end.data.outcome, end.data.counters.successful) == ("success", len(pairs))
        assert figures(shop) == [
            (end.job_id, len(pairs), len(first), counts["driftStock"], counts["driftPrice"], 0, 0, False)
        ]

        assert shop.run("PRODUCT_SYNC")[1].data.outcome == "success"
        _, end = reconcile(shop, 0)
        assert (end.data.outcome, end.data.metadata["checked"], end.data.metadata["drifted"]) == (
            "success",
            len(pairs),
            0,
        )
        assert figures(shop) == [(end.job_id, len(pairs), 0, 0, 0, 0, 0, True)]

        by_hand, dearer, free, sold_out = list(pairs)[:4]
        place = next(iter(shop.depot_locations.values()))
        shop.edit("shopify", "variant", number(pairs[by_hand]), stock={place: 777})
        dear = products(shop)[dearer]["prices"]["retail"] + 50_000
        shop.edit("nhanh", "product", int(dearer), set={"prices": {"retail": dear}})
        shop.edit("nhanh", "product", int(free), set={"prices": {"retail": 0}})
        shop.edit("nhanh", "product", int(sold_out), stock=dict.fromkeys(shop.depot_locations, 500))
        later = differences(shop, pairs)
        assert set(later) == {by_hand, dearer, free, sold_out}
        items, _ = reconcile(shop, 4)
        assert listed(items) == later
        assert last_writes(items) == {by_hand: "other", dearer: "ours", free: "ours", sold_out: "ours"}
        since = {hub_id: about(item)["since"] for hub_id, item in items.items()}

        # A price of zero is held by the sync, so it still drifts behind it.
        shop.pull()
        assert shop.run("PRODUCT_SYNC")[1].data.error.code == "ITEMS_HELD"
        items, _ = reconcile(shop, 1)
        assert listed(items) == {free: later[free]}
        assert about(items[free])["since"] == since[free]
    # The command shows the figure beside the connection.
    environment = {**os.environ, "DATABASE_URL": database_url, "JOBTRAIL_SECRET_KEY": shop.secret_key, "COLUMNS": "400"}
    command = [sys.executable, "-m", "jobtrail", "accounts", "list"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    (line,) = [line for line in ended.stdout.splitlines() if shop.account in line and "shopify" in line]
    assert f"1 of {len(pairs)}, " in line
    assert [row[0] for row in shop.sql("select hub_id from syncer.drift where account = %(account)s")] == [free]


def test_a_drift_is_as_old_as_its_first_sight_until_it_is_gone(shop: Any, syncer: Any) -> None:
    pairs = dict(sorted(shop.truth("product").items())[:3])
    shop.settings(**VAT_AND_STEPS)
    shop.map("product", pairs)
    hub_id, remote_id = next(iter(pairs.items()))

    def set_price(value: str) -> None:
        shop.edit("shopify", "variant", number(remote_id), set={"price": value})

    def aged() -> None:
        shop.sql("update syncer.drift set since = since - interval '3 days' where account = %(account)s")

    def oldest() -> Any:
        return shop.sql("select oldest_since from syncer.api_reconciliations where account = %(account)s")[0][0]

    with syncer():
        shop.run("PRODUCT_SYNC")
        right = shop.variants()[remote_id]["price"]
        set_price("777000.00")
        fresh = about(reconcile(shop, 1)[0][hub_id])["since"]
        aged()
        set_price("888000.00")  # another wrong value is the same drift
        old = about(reconcile(shop, 1)[0][hub_id])["since"]
        assert old[:10] < fresh[:10]
        assert f"{oldest():%Y-%m-%dT%H:%M:%SZ}" == old
        set_price(right)
        reconcile(shop, 0)
        assert oldest() is None
        set_price("777000.00")
        assert about(reconcile(shop, 1)[0][hub_id])["since"] >= fresh
        # Another link of the same record is another drift, and what is not linked is forgotten.
        aged()
        shop.sql("update matcher.match set status = 'rejected' where hub_id = %(id)s", id=hub_id)
        reconcile(shop, 0)
        assert shop.sql("select hub_id from syncer.drift where account = %(account)s") == []


def test_chosen_ids_that_are_not_linked_fail_alone(shop: Any, syncer: Any) -> None:
    pairs = dict(sorted(shop.truth("product").items()))
    unlinked, _ = pairs.popitem()
    in_review, *chosen = list(pairs)[:4]
    shop.settings(**VAT_AND_STEPS)
    shop.map("product", pairs)
    shop.sql("update matcher.match set status = 'review' where hub_id = %(id)s", id=in_review)
    unknown = [in_review, unlinked, "no such id", "999999999"]
    for hub_id in chosen:
        shop.edit("shopify", "variant", number(pairs[hub_id]), set={"price": "1.00"})
    with syncer():
        job_id, end = shop.run("RECONCILE_PRODUCTS", only=[*unknown, *chosen, *chosen])
        items = shop.items(job_id, len(unknown) + len(chosen))
        assert {one: (items[one].data.action, error_of(items[one]).code) for one in unknown} == {
            in_review: ("failed", "NOT_LINKED"),
            unlinked: ("failed", "NOT_LINKED"),
            "no such id": ("failed", "NOT_IN_CATALOGUE"),
            "999999999": ("failed", "NOT_IN_CATALOGUE"),
        }
        assert listed({one: items[one] for one in chosen}) == {
            hub_id: fields for hub_id, fields in differences(shop, pairs).items() if hub_id in chosen
        }
        counters = end.data.counters
        assert (end.data.outcome, counters.total, counters.failed, counters.successful) == ("partial", 7, 4, 3)
    assert figures(shop) == [], "a run of chosen ids is no figure of the account"


def test_what_is_missing_or_unreadable_is_never_equal(shop: Any, syncer: Any) -> None:
    pairs = dict(sorted(shop.truth("product").items()))
    shop.settings(**VAT_AND_STEPS)
    shop.map("product", pairs)
    hub = products(shop)
    alone = [one for one in pairs if hub[one]["parentId"] == -1]
    off_hub, off_shop, unreadable, unpriced = alone[:4]
    with syncer():
        assert shop.run("PRODUCT_SYNC")[1].data.outcome == "success"
        shop.control.delete(f"/records/{shop.account}/nhanh/product/{off_hub}").raise_for_status()
        shop.control.delete(f"/records/{shop.account}/shopify/variant/{number(pairs[off_shop])}").raise_for_status()
        shop.edit("nhanh", "product", int(unreadable), set={"prices": {"retail": "1.250"}})
        shop.edit("nhanh", "product", int(unpriced), set={"prices": {"retail": -5}})
        items, end = reconcile(shop, 4)
    ends = {hub_id: (item.data.action, error_of(item).category, error_of(item).code) for hub_id, item in items.items()}
    assert ends == {
        off_hub: ("failed", "NOT_FOUND", "GONE_FROM_HUB"),
        off_shop: ("failed", "NOT_FOUND", "GONE_FROM_SHOP"),
        unreadable: ("skipped", "VALIDATION_FAILED", "MALFORMED_RECORD"),
        unpriced: ends[unpriced],
    }
    assert ends[unpriced][2] in {"MALFORMED_RECORD", "PRICE_RULE"}
    assert about(items[off_hub])["linked_by"] == "sku"
    metadata = end.data.metadata
    assert (metadata["checked"], metadata["missing"], metadata["notCompared"]) == (len(pairs) - 4, 2, 2)
    assert (end.data.outcome, metadata["drifted"]) == ("partial", 0)
    assert figures(shop)[0][5:7] == (2, 2)


def test_a_record_without_a_readable_id_may_be_any_that_was_not_found(shop: Any, syncer: Any) -> None:
    pairs = dict(sorted(shop.truth("product").items())[:3])
    shop.map("product", pairs)
    body = '{"code": 1, "data": [{"id": null, "name": "?"}, "x"], "paginator": {}}'
    shop.post("/faults", platform="nhanh", account=shop.account, kind="garbage", body=body)
    with syncer():
        items, end = reconcile(shop, 3)
    assert {(one.data.action, error_of(one).code) for one in items.values()} == {("skipped", "MALFORMED_RECORD")}
    assert (end.data.metadata["missing"], end.data.metadata["notCompared"]) == (0, 3)


def test_what_the_rules_keep_is_a_drift_that_says_so(shop: Any, syncer: Any) -> None:
    pairs = dict(sorted(shop.truth("product").items())[:3])
    shop.settings(conflict_rule="keep_platform", **VAT_AND_STEPS)
    shop.map("product", pairs)
    hub_id, remote_id = next(iter(pairs.items()))
    with syncer():
        shop.run("PRODUCT_SYNC")
        shop.edit("shopify", "variant", number(remote_id), set={"price": "777000.00"})
        shop.pull()
        shop.run("PRODUCT_SYNC")
        items, _ = reconcile(shop, 1)
    assert about(items[hub_id])["last_write"] == "other"
    assert "price" in about(items[hub_id])["note"]


def test_stock_at_a_depot_that_no_pull_has_read_is_not_guessed(shop: Any, syncer: Any) -> None:
    pairs = dict(sorted(shop.truth("product").items())[:3])
    shop.map("product", pairs)
    shop.depot_locations = {}
    # The catalogue has one depot and one location only.
    shop.sql(
        "delete from puller.stock s where account = %(account)s and exists (select from puller.stock o where"
        " (o.account, o.platform) = (s.account, s.platform) and o.place_id < s.place_id)"
    )
    shop.settings(**ANY_CHANGE)
    with syncer():
        _, end = shop.run("RECONCILE_PRODUCTS")
        assert (end.data.outcome, end.data.error.code) == ("failure", "DEPOT_MAP")
        assert "pull again" in end.data.error.message
        shop.settings(unmapped_depots="sum", write={"price": False}, **ANY_CHANGE)
        assert shop.run("PRODUCT_SYNC")[1].data.error is None
        shop.pull()
        assert shop.run("PRODUCT_SYNC")[1].data.error is None
        reconcile(shop, 0)


def test_a_hub_that_refuses_its_token_is_marked(shop: Any, syncer: Any) -> None:
    shop.map("product", dict(list(shop.truth("product").items())[:2]))
    shop.post("/faults", platform="nhanh", account=shop.account, kind="expired_token")
    with syncer():
        _, end = shop.run("RECONCILE_PRODUCTS")
    assert (end.data.outcome, end.data.error.category) == ("failure", "INVALID_CREDENTIALS")
    assert shop.store.connection("demo", shop.account, "nhanh").status == "needs re-authorisation"
    assert shop.store.connection("demo", shop.account, "shopify").status == "ok"


@pytest.fixture
def big_shop(shop: Any) -> Any:
    """An account whose linked products need three batches. It was never pulled: a reconcile reads what is there now."""
    shop.account += "-big"
    shop.connect(products=240)
    shop.settings(**VAT_AND_STEPS)
    shop.map("product", shop.truth("product"))
    return shop


@pytest.mark.long
def test_killed_paused_and_resumed_it_counts_each_product_once(big_shop: Any, syncer: Any) -> None:
    shop = big_shop
    pairs = shop.truth("product")
    expected = differences(shop, pairs)
    assert len(pairs) > 200, "three batches at least"

    def batches() -> int:
        rows = shop.sql("select tally -> 'metadata' ->> 'batches' from syncer.inbox where job_id = %(id)s", id=job_id)
        return int(rows[0][0] or 0) if rows else 0

    # Each batch has one call to the hub.
    shop.post("/faults", platform="nhanh", account=shop.account, kind="slow", seconds=1.0)
    job_id = shop.request("RECONCILE_PRODUCTS")
    key = request_key("demo", shop.account)
    with syncer() as process:
        shop.wait_until(lambda: batches() == 1, message="a batch is compared")
        process.kill()
        process.wait()
    assert batches() < len(pairs) / 100
    with syncer():
        shop.wait_until(lambda: batches() >= 2, message="it goes on")
        shop.send(job_control("pause", "demo", job_id), key)
        held = "select state <> 'running' from syncer.inbox where job_id = %(id)s"
        shop.wait_until(lambda: shop.sql(held, id=job_id) == [(True,)], message="it pauses, or has ended")
        shop.clear_faults()
        shop.send(job_control("resume", "demo", job_id), key)
        end = shop.finished(job_id)
    assert (end.data.outcome, end.data.counters.processed, end.data.counters.total) == (
        "success",
        len(pairs),
        len(pairs),
    )
    assert end.data.attempt > 1
    assert (end.data.metadata["checked"], end.data.metadata["drifted"]) == (len(pairs), len(expected))
    assert listed(shop.items(job_id, len(expected))) == expected
    assert len(shop.sql("select hub_id from syncer.drift where account = %(account)s")) == sum(
        map(len, expected.values())
    )


@pytest.mark.long
def test_a_cancelled_run_leaves_the_figures_of_the_last_complete_one(big_shop: Any, syncer: Any) -> None:
    shop = big_shop
    shop.post("/faults", platform="nhanh", account=shop.account, kind="slow", seconds=1.0)
    job_id = shop.request("RECONCILE_PRODUCTS")
    with syncer():
        counted = "select hub_id from syncer.drift where account = %(account)s"
        there = "select to_regclass('syncer.drift') is not null"
        shop.wait_until(lambda: shop.sql(there) == [(True,)] and shop.sql(counted), message="a batch is compared")
        shop.send(job_control("cancel", "demo", job_id), request_key("demo", shop.account))
        end = shop.finished(job_id)
    assert end.data.outcome == "cancelled"
    assert 0 < end.data.counters.processed < end.data.counters.total
    assert figures(shop) == []


def test_any_number_of_pairs_is_paged_once_each_in_flat_memory(shop: Any, database_url: str) -> None:
    migrate(database_url, "syncer", ["worker", "syncer"])
    pairs = 30_000
    shop.sql(
        "insert into matcher.match (tenant, account, kind, platform, hub_id, remote_id, status, method, score, job_id)"
        " select %(tenant)s, %(account)s, 'product', 'shopify', n, 'gid://shopify/ProductVariant/' || n,"
        " case n %% 3 when 0 then 'review' else 'auto' end, 'sku', 1, 'test' from generate_series(1, %(pairs)s) n",
        pairs=pairs,
    )
    shop.sql("analyze matcher.match")
    scope = Scope("demo", shop.account, "product", "shopify", "nhanh")
    after, met = "", 0
    with shop.pool.connection() as connection:
        connection.execute("set search_path to syncer")
        tracemalloc.start()
        while page := linked_after(connection, scope, after, 100):
            assert [remote_id for _, remote_id in page] == sorted(remote_id for _, remote_id in page)
            assert page[0][1] > after
            after, met = page[-1][1], met + len(page)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        plan = connection.execute(
            b"explain select hub_id from matcher.api_matches where tenant = 'demo' and account = %(account)s"
            b" and kind = 'product' and platform = 'shopify' and status in ('auto', 'confirmed') and remote_id > 'gid'"
            b" order by remote_id limit 100",
            {"account": shop.account},
        ).fetchall()
    assert met == pairs * 2 // 3
    assert peak < 2**20
    assert not any("Sort" in line for (line,) in plan), plan
