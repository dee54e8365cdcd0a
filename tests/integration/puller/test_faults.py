"""What platforms do to a pull: refuse, break down, slow down, and send items that nobody can read."""

from collections.abc import Callable
from typing import Any

import pytest

from platforms.cipher import Cipher


def test_an_expired_token_ends_the_job_at_once_and_marks_the_connection(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        for platform in ("nhanh", "shopify"):
            name = f"PULL_{platform.upper()}_PRODUCTS"
            world.sandbox.fault(platform, world.account, "expired_token")
            data = world.run(name).data
            assert data.outcome == "failure"
            assert data.error.category == "INVALID_CREDENTIALS"
            assert data.metadata["requests"] == 1
            assert len(world.sandbox.requests(world.account, platform)) == 1
            refused = world.store.connection("demo", world.account, platform)
            assert (refused.status, refused.reason) == ("needs re-authorisation", data.error.message)
            world.sandbox.clear_faults()
            assert world.run(name).data.outcome == "success"
            assert world.store.connection("demo", world.account, platform).status == "ok"


PASSING: dict[str, dict[str, Any]] = {
    "drop": {"count": 2},
    "5xx": {"count": 2},
    "429": {"count": 1, "seconds": 1},
    "down": {"seconds": 3600},  # until it has hit twice, too
}


@pytest.mark.parametrize("platform", ["nhanh", "shopify"])
def test_passing_faults_delay_a_pull_and_change_none_of_its_numbers(
    world: Any, puller: Callable[[], Any], platform: str
) -> None:
    held = world.shops[platform]["records"]["customers"]
    with puller():
        for kind, more in PASSING.items():
            world.sandbox.fault(platform, world.account, kind, **more)
            job_id = world.request(f"PULL_{platform.upper()}_CUSTOMERS", page_size=50)
            if kind == "down":
                world.wait_until(lambda: world.sandbox.hits(world.account) >= 2, message="nobody calls")
                world.sandbox.clear_faults()
            data = world.finished(job_id).data
            assert (data.outcome, data.error) == ("success", None), kind
            assert data.counters.successful == held, kind
            assert data.metadata["created"] + data.metadata["unchanged"] == held, kind
            assert (data.metadata["rateLimitHits"] > 0) == (kind == "429"), kind
            assert data.metadata["requests"] > data.metadata["pages"], kind
            phases = {event.data.phase for event in world.seen(job_id) if type(event).__name__ == "Progress"}
            assert any(phase.startswith("waiting: ") for phase in phases), (kind, phases)
            world.sandbox.clear_faults()


UNREADABLE = [
    ("nhanh", "product", {"prices": {"retail": "nhiều tiền"}}, "prices.retail"),
    ("nhanh", "customer", {"totalAmount": {"vnd": 1}}, "totalAmount"),
    ("shopify", "product", {"title": "  "}, "title"),
    ("shopify", "customer", {"firstName": "nul \u0000"}, "firstName"),
]


def test_an_unreadable_item_fails_alone_and_is_not_delisted(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        for case in UNREADABLE:
            _pull_with_an_unreadable_item(world, *case)


def _pull_with_an_unreadable_item(world: Any, platform: str, kind: str, change: dict[str, Any], field: str) -> None:
    job_type = f"PULL_{platform.upper()}_{kind.upper()}S"
    view, count = ("api_products", "count(distinct product_id)") if kind == "product" else ("api_customers", "count(*)")
    query = f"select {count}::int as n from puller.{view} where platform = %(platform)s"
    docs = world.sandbox.records(world.account, platform, kind)
    victim = next(doc for doc in docs if doc.get("parentId", -1) == -1)
    platform_id = str(victim["id"])
    whole = world.run(job_type).data
    stored = world.rows(query, platform=platform)
    number = victim.get("legacyResourceId", victim["id"])
    world.sandbox.edit(world.account, platform, kind, int(number), set=change)
    job_id = world.request(job_type)
    data = world.finished(job_id).data
    assert data.outcome == "partial"
    assert (data.counters.failed, data.counters.processed) == (1, whole.counters.processed)
    assert (data.metadata["unchanged"], data.metadata["gone"]) == (whole.counters.successful - 1, 0)
    assert world.rows(query, platform=platform) == stored
    (item,) = world.items(job_id, 1)
    assert (item.data.item, item.data.action, item.data.ids) == (platform_id, "failed", {platform: platform_id})
    assert item.data.error.category == "VALIDATION_FAILED"
    assert item.data.error.message.startswith(f"{field}: ")


def test_a_change_on_the_platform_is_one_update(world: Any, puller: Callable[[], Any]) -> None:
    doc = next(d for d in world.sandbox.records(world.account, "nhanh", "product") if d["parentId"] == -1)
    price = "select price::float8 as price, changed_at > pulled_at - interval '1 s' as fresh from puller.api_products "
    with puller():
        world.run("PULL_NHANH_PRODUCTS")
        world.sandbox.edit(world.account, "nhanh", "product", doc["id"], set={"prices": {"retail": 123456.5}})
        data = world.run("PULL_NHANH_PRODUCTS").data
    assert (data.metadata["updated"], data.metadata["created"]) == (1, 0)
    assert data.metadata["unchanged"] == data.counters.successful - 1
    assert world.rows(price + "where variant_id = %(id)s", id=str(doc["id"])) == [{"price": 123456.5, "fresh": True}]


GARBAGE = {
    "nhanh": ['{"code": 1}', "<html>maintenance", "[" * 100_000],
    "shopify": ['{"data": {}}', '{"data": {"customers": null}}', "[" * 100_000],
}


@pytest.mark.parametrize("platform", ["nhanh", "shopify"])
def test_garbage_delays_a_pull_and_delists_nothing(world: Any, puller: Callable[[], Any], platform: str) -> None:
    job_type, held = f"PULL_{platform.upper()}_CUSTOMERS", world.shops[platform]["records"]["customers"]
    with puller():
        assert world.run(job_type).data.counters.successful == held
        for body in GARBAGE[platform]:
            world.sandbox.fault(platform, world.account, "garbage", count=1, body=body)
            data = world.run(job_type).data
            assert (data.outcome, data.error) == ("success", None), body[:40]
            assert (data.metadata["unchanged"], data.metadata["gone"]) == (held, 0), body[:40]


def test_a_catalogue_is_delisted_only_when_confirmed(world: Any, puller: Callable[[], Any]) -> None:
    held = world.shops["nhanh"]["records"]["customers"]
    empty = {"body": '{"code": 1, "data": [], "paginator": {"next": null}}', "path": "customer/list"}
    world.sandbox.fault("nhanh", world.account, "garbage", count=1, **empty)
    with puller():
        nothing = world.run("PULL_NHANH_CUSTOMERS").data
        assert (nothing.outcome, nothing.counters.processed, nothing.metadata["gone"]) == ("success", 0, 0)
        assert world.run("PULL_NHANH_CUSTOMERS").data.counters.successful == held
        world.sandbox.fault("nhanh", world.account, "garbage", count=2, **empty)
        stopped = world.run("PULL_NHANH_CUSTOMERS").data
        assert (stopped.outcome, stopped.error.category) == ("failure", "CHANGE_TOO_LARGE")
        assert f"{held} of {held} known customers" in stopped.error.message
        assert "gone" not in stopped.metadata
        token = stopped.metadata["planToken"]
        assert f"confirm={token}" in stopped.error.message
        assert world.rows("select count(*)::int as n from puller.api_customers") == [{"n": held}]
        assert world.store.connection("demo", world.account, "nhanh").status == "ok"
        confirmed = world.run("PULL_NHANH_CUSTOMERS", confirm=token).data
        assert (confirmed.outcome, confirmed.metadata["gone"]) == ("success", held)
        back = world.run("PULL_NHANH_CUSTOMERS").data
        assert (back.outcome, back.metadata["created"]) == ("success", held)


def test_settings_that_this_version_cannot_read_stop_no_pull(world: Any, puller: Callable[[], Any]) -> None:
    with world.pool.connection() as connection:
        connection.execute("update accounts.account set settings = jsonb_build_object('conflict_rule', 'ask')")
    with puller():
        assert world.run("PULL_NHANH_CUSTOMERS").data.outcome == "success"


def test_what_cannot_be_pulled_ends_with_a_reason(world: Any, puller: Callable[[], Any]) -> None:
    with puller():
        for name, params in (
            ("PULL_NHANH_PRODUCTS", {"query": "sku:1"}),
            ("PULL_SHOPIFY_PRODUCTS", {"filters": {"ids": [1]}}),
        ):
            foreign = world.run(name, **params).data
            assert foreign.outcome == "failure"
            assert (foreign.error.category, foreign.error.code) == ("VALIDATION_FAILED", "WRONG_PARAMETER")
        with world.pool.connection() as connection:
            connection.execute("delete from accounts.connection where platform = 'shopify'")
            sealed = Cipher(Cipher.new_key()).seal(f"demo/{world.account}/nhanh", {"access_token": "x"})
            connection.execute("update accounts.connection set credentials = %s where platform = 'nhanh'", [sealed])
        missing = world.run("PULL_SHOPIFY_CUSTOMERS").data
        assert (missing.outcome, missing.error.category) == ("failure", "VALIDATION_FAILED")
        assert "jobtrail accounts add" in missing.error.message
        unreadable = world.run("PULL_NHANH_CUSTOMERS").data
        assert (unreadable.outcome, unreadable.error.category) == ("failure", "INVALID_CREDENTIALS")
        assert "secret key" in unreadable.error.message
