"""What a sync may write into a shop, and of which records: with real catalogues, processes and answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from platforms import registry
from platforms.adapter import Writer
from platforms.buckets import RateBuckets
from platforms.settings import parse_settings
from service_kit.database import migrate as migrate_schema
from service_kit.database import open_pool
from syncer.jobs.customers import CustomerTarget
from syncer.jobs.products import ProductTarget
from syncer.jobs.targets import Pair, Records
from syncer.store.rows import Scope

UNREAD, UNSEEN = "could not be read by the last pull", "was not listed by the last complete pull"


def number(gid: str) -> int:
    return int(gid.rpartition("/")[2])


def set_customer(shop: Any, gid: str, **contacts: str | None) -> None:
    """name, phone and e-mail in the shop; the name's first word is the last name, as the sync writes it."""
    changes: dict[str, Any] = {}
    if "name" in contacts:
        family, _, given = (contacts["name"] or "").partition(" ")
        changes |= {"lastName": family if given else "", "firstName": given or family}
    if "phone" in contacts:
        changes["defaultPhoneNumber"] = contacts["phone"] and {"phoneNumber": contacts["phone"]}
    if "email" in contacts:
        changes["defaultEmailAddress"] = contacts["email"] and {"emailAddress": contacts["email"]}
    shop.edit("shopify", "customer", number(gid), set=changes)


def held_by(shop: Any, gid: str) -> tuple[str, str | None, str | None]:
    doc = next(one for one in shop.records("shopify", "customer") if one["id"] == gid)
    name = " ".join(part for part in (doc["lastName"], doc["firstName"]) if part)
    phone = (doc["defaultPhoneNumber"] or {}).get("phoneNumber")
    return name, phone, (doc["defaultEmailAddress"] or {}).get("emailAddress")


def contact_writes(shop: Any) -> list[dict[str, Any]]:
    return [write for write in shop.writes() if write["kind"] == "customerUpdate"]


def make_stale(shop: Any, platform: str, kind: str, record: str, how: str) -> None:
    """As a pull that could not read the record leaves it, or a complete pull that did not list it."""
    if how == "unread":
        shop.sql(
            "update puller.record set unread = true where account = %(account)s and platform = %(platform)s"
            " and kind = %(kind)s and record_id = %(id)s",
            platform=platform,
            kind=kind,
            id=record,
        )
        return
    shop.sql(
        "insert into puller.complete_pull (tenant, account, platform, kind, job_id, began) values"
        " (%(tenant)s, %(account)s, %(platform)s, %(kind)s, 'test', now() - interval '1 hour')"
        " on conflict do nothing",
        platform=platform,
        kind=kind,
    )
    shop.sql(
        "update puller.record set seen_at = now() - interval '2 hours' where account = %(account)s"
        " and platform = %(platform)s and kind = %(kind)s and record_id = %(id)s",
        platform=platform,
        kind=kind,
        id=record,
    )


@contextmanager
def connected(shop: Any, target: CustomerTarget | ProductTarget) -> Iterator[Writer]:
    connection = shop.store.connection("demo", shop.account, "shopify")
    buckets = RateBuckets(shop.pool, lambda: 0.0)
    open_writer = registry.channel("shopify").writers[target.kind]
    writer = open_writer(connection, lambda seconds, reason: None, buckets, lambda exchange: None)
    try:
        yield writer
    finally:
        writer.close()


def pairs_of(
    shop: Any, database_url: str, target: CustomerTarget | ProductTarget, read: Records | None = None
) -> dict[str, Pair]:
    migrate_schema(database_url, "syncer", ["worker", "syncer"])
    with shop.pool.connection() as conn:
        conn.execute("set local search_path to syncer")
        return {pair.hub_id: pair for page in target.pages(conn, scope(shop, target), read or {}) for pair in page}


def scope(shop: Any, target: CustomerTarget | ProductTarget) -> Scope:
    return Scope("demo", shop.account, target.kind, "shopify", "nhanh")


@pytest.mark.parametrize(
    ("job_type", "kind"),
    [("PRODUCT_SYNC", "product"), pytest.param("CUSTOMER_SYNC", "customer", marks=pytest.mark.long)],
)
def test_a_stale_record_of_either_platform_is_skipped_with_the_reason(
    shop: Any, syncer: Any, job_type: str, kind: str
) -> None:
    pairs = shop.truth(kind)
    hub_unread, hub_unseen, shop_unread, shop_unseen, both = sorted(pairs)[:5]
    shop.map(kind, pairs)
    make_stale(shop, "nhanh", kind, hub_unread, "unread")
    make_stale(shop, "nhanh", kind, hub_unseen, "unseen")
    make_stale(shop, "shopify", kind, pairs[shop_unread], "unread")
    make_stale(shop, "shopify", kind, pairs[shop_unseen], "unseen")
    make_stale(shop, "nhanh", kind, both, "unread")
    make_stale(shop, "shopify", kind, pairs[both], "unseen")
    with syncer():
        job_id, end = shop.run(job_type)
    assert (end.data.outcome, end.data.counters.skipped) == ("success", 5)
    items = shop.items(job_id, end.data.metadata["updated"] + 5)
    expected = {
        hub_unread: f"Nhanh's record {UNREAD}; pull again",
        hub_unseen: f"Nhanh's record {UNSEEN}; pull again",
        shop_unread: f"the shop's record {UNREAD}; pull again",
        shop_unseen: f"the shop's record {UNSEEN}; pull again",
        both: f"Nhanh's record {UNREAD}; the shop's record {UNSEEN}; pull again",
    }
    for hub_id, reason in expected.items():
        item = items[hub_id].data
        assert (item.action, item.error.category, item.error.code) == ("skipped", "VALIDATION_FAILED", "STALE")
        assert item.error.message == reason
    touched = {write["id"] for write in shop.writes()}
    assert touched
    assert not touched & {pairs[one] for one in expected}


def test_contacts_are_written_by_their_rules(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("customer")
    cases: dict[str, tuple[tuple[str, str], tuple[str, str], tuple[str, str]]] = {
        # Nhanh's name and number; the shop's name and number before; and after.
        "till": (("Khách lẻ", "0912000001"), ("Nguyễn Văn A", "+84912000001"), ("Nguyễn Văn A", "+84912000001")),
        "richer": (("NGUYEN VAN B", "0912000002"), ("Nguyễn Văn B", "+84912000002"), ("Nguyễn Văn B", "+84912000002")),
        "poorer": (
            ("Trần  Thị Cúc ", "0912000003"),
            ("tran thi cuc", "+84912000003"),
            ("Trần Thị Cúc", "+84912000003"),
        ),
        "second": (("Lê Dũng", "0912000004/0987000004"), ("Lê Dũng", "+84987000004"), ("Lê Dũng", "+84987000004")),
        "old": (("Lê Én", "01621000005"), ("Lê Én", "+84321000005"), ("Lê Én", "+84321000005")),
        "another": (("Lê Giang", "0912000006"), ("Lê Giang", "+84987000006"), ("Lê Giang", "+84912000006")),
        "empty": (("Lê Hà", ""), ("Lê Hà", "+84987000007"), ("Lê Hà", "+84987000007")),
        "nobody": (("Lê Khoa", "0912000008"), ("Guest 12", "+84912000008"), ("Lê Khoa", "+84912000008")),
    }
    chosen = dict(zip(cases, sorted(pairs), strict=False))
    for case, (hub, before, _) in cases.items():
        hub_id = chosen[case]
        email = f"{case}@hub.example.com"
        shop.edit("nhanh", "customer", int(hub_id), set={"name": hub[0], "mobile": hub[1], "email": email})
        set_customer(shop, pairs[hub_id], name=before[0], phone=before[1], email=f"{case}@shop.example.com")
    shop.pull()
    shop.map("customer", {hub_id: pairs[hub_id] for hub_id in chosen.values()})
    with syncer():
        _, end = shop.run("CUSTOMER_SYNC")
        assert (end.data.outcome, end.data.counters.failed) == ("success", 0)
        for case, (_, _, after) in cases.items():
            assert held_by(shop, pairs[chosen[case]]) == (*after, f"{case}@shop.example.com"), case
        assert len(contact_writes(shop)) == 3

        shop.settings(write={"customer_email": True}, max_change_share=1)
        _, end = shop.run("CUSTOMER_SYNC")
        assert end.data.metadata["updated"] == len(cases)
        for case, (_, _, after) in cases.items():
            assert held_by(shop, pairs[chosen[case]]) == (*after, f"{case}@hub.example.com"), case
        shop.pull()
        _, again = shop.run("CUSTOMER_SYNC")
        assert (again.data.metadata["unchanged"], again.data.metadata["requests"]) == (len(cases), 0)


def test_a_number_of_two_customers_is_given_to_neither(shop: Any, syncer: Any) -> None:
    """Of before and since the renumbering alike; each still gets a number of its own."""
    pairs = shop.truth("customer")
    husband, wife = sorted(pairs)[:2]
    shop.edit("nhanh", "customer", int(husband), set={"name": "Lê Hùng", "mobile": "01621000011"})
    shop.edit("nhanh", "customer", int(wife), set={"name": "Lê Hoa", "mobile": "0321000011/0912000012"})
    for one, name in ((husband, "Le Hung"), (wife, "Le Hoa")):
        set_customer(shop, pairs[one], name=name, phone=None)
    shop.pull()
    shop.map("customer", {one: pairs[one] for one in (husband, wife)})
    with syncer():
        _, end = shop.run("CUSTOMER_SYNC")
    assert (end.data.outcome, end.data.counters.failed) == ("success", 0)
    assert [held_by(shop, pairs[one])[:2] for one in (husband, wife)] == [
        ("Lê Hùng", None),
        ("Lê Hoa", "+84912000012"),
    ]


def test_what_the_shop_holds_by_now_decides_what_stays(shop: Any, database_url: str) -> None:
    """Between the pull and the write somebody enters the better name and the customer's second number."""
    pairs = shop.truth("customer")
    one = sorted(pairs)[0]
    gid = pairs[one]
    shop.edit("nhanh", "customer", int(one), set={"name": "Nguyen Van A", "mobile": "0912000021/0987000021"})
    set_customer(shop, gid, name="Khách", phone="+84900000021")
    shop.pull()
    shop.map("customer", {one: gid})
    target = CustomerTarget()
    with connected(shop, target) as writer:
        target.prepare(writer, parse_settings({"write": {"metafields": False}}), shop.pool, scope(shop, target))
        assert pairs_of(shop, database_url, target)[one].desired == {"name": "Nguyen Van A", "phone": "+84912000021"}
        set_customer(shop, gid, name="Nguyễn Văn A", phone="+84987000021")
        assert pairs_of(shop, database_url, target, writer.read([gid]))[one].desired == {"phone": "+84987000021"}
        set_customer(shop, gid, name="Nguyen Van A", phone="+84912000021")  # as an earlier attempt wrote it
        assert pairs_of(shop, database_url, target, writer.read([gid]))[one].desired == {
            "name": "Nguyen Van A",
            "phone": "+84912000021",
        }


def test_a_number_of_an_address_is_none_of_the_customer(shop: Any, database_url: str) -> None:
    """A pull shows it where the customer has none; before the write the customer's own is read, and is still none."""
    pairs = shop.truth("customer")
    one = sorted(pairs)[0]
    shop.edit("nhanh", "customer", int(one), set={"name": "Văn", "mobile": "0912000031/0987000031"})
    set_customer(shop, pairs[one], name="Nguyễn Văn Hoàng", phone=None)
    shop.pull()
    shop.sql("update puller.customer set phone = '0987 000 031' where customer_id = %(id)s", id=pairs[one])
    shop.map("customer", {one: pairs[one]})
    target = CustomerTarget()
    with connected(shop, target) as writer:
        target.prepare(writer, parse_settings({"write": {"metafields": False}}), shop.pool, scope(shop, target))
        planned = pairs_of(shop, database_url, target)[one].desired
        assert planned["phone"] == "+84987000031"
        read = writer.read([pairs[one]])
        assert read[pairs[one]].fields["phone"] is None
        assert pairs_of(shop, database_url, target, read)[one].desired == planned


def test_safety_stock_is_kept_back_from_every_location(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    one, other = sorted(pairs)[:2]
    shop.edit("nhanh", "product", int(one), stock={"120001": 9, "120002": 2})
    shop.edit("nhanh", "product", int(other), stock={"120001": 3, "120002": 100})
    first, second = shop.depot_locations.values()
    shop.edit("shopify", "variant", number(pairs[one]), stock={first: 9, second: 0})
    shop.edit("shopify", "variant", number(pairs[other]), stock={first: 0, second: 100})
    shop.pull()
    shop.map("product", {hub_id: pairs[hub_id] for hub_id in (one, other)})
    with syncer():
        shop.settings(safety_stock="3", write={"price": False})
        assert shop.run("PRODUCT_SYNC")[1].data.outcome == "success"
        levels = {hub_id: shop.variants()[pairs[hub_id]]["_levels"] for hub_id in (one, other)}
        assert levels == {one: {first: 6, second: 0}, other: {first: 0, second: 97}}
        shop.pull()
        shop.settings(safety_stock="10%", write={"price": False})
        assert shop.run("PRODUCT_SYNC")[1].data.outcome == "success"
        levels = {hub_id: shop.variants()[pairs[hub_id]]["_levels"] for hub_id in (one, other)}
        assert levels == {one: {first: 8, second: 1}, other: {first: 2, second: 90}}


def test_depots_without_a_map_are_refused_with_the_choices(shop: Any, syncer: Any) -> None:
    shop.map("product", shop.truth("product"))
    shop.store.put_account("demo", shop.account, {})
    with syncer():
        for dry_run in (False, True, False):
            _, end = shop.run("PRODUCT_SYNC", dry_run=dry_run)
            assert (end.data.outcome, end.data.error.category) == ("failure", "VALIDATION_FAILED")
            assert end.data.error.code == "DEPOT_MAP"
            told = ("120001, 120002", "90100000001 (Hà Nội)", "90100000002 (Sài Gòn)", "depot_locations", '"sum"')
            assert all(part in end.data.error.message for part in told)
        assert shop.writes() == []
        shop.store.put_account("demo", shop.account, {"write": {"stock": False}})
        _, end = shop.run("PRODUCT_SYNC")
        assert end.data.outcome == "success"


def test_one_depot_and_several_locations_are_refused_too(shop: Any, syncer: Any) -> None:
    shop.map("product", shop.truth("product"))
    shop.store.put_account("demo", shop.account, {})
    shop.sql("delete from puller.stock where account = %(account)s and platform = 'nhanh' and place_id = '120002'")
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert (end.data.error.code, shop.writes()) == ("DEPOT_MAP", [])
    assert "1 depot (120001)" in end.data.error.message


def test_one_depot_and_one_location_need_neither_a_map_nor_a_request(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    shop.map("product", pairs)
    shop.store.put_account("demo", shop.account, {"write": {"price": False}})
    gone = "delete from puller.stock where account = %(account)s and place_id in ('120002', %(gid)s)"
    first, second = shop.depot_locations.values()
    shop.sql(gone, gid=f"gid://shopify/Location/{second}")
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
        assert (end.data.outcome, end.data.counters.failed) == ("success", 0)
        nhanh = {str(doc["id"]): doc for doc in shop.records("nhanh", "product")}
        held = {one: shop.variants()[gid]["_levels"][first] for one, gid in pairs.items()}
        assert held == {one: nhanh[one]["_stock"]["120001"] for one in pairs}
        assert end.data.metadata["updated"] > 0
        shop.pull()
        shop.sql(gone, gid=f"gid://shopify/Location/{second}")
        _, again = shop.run("PRODUCT_SYNC")
        assert (again.data.metadata["unchanged"], again.data.metadata["requests"]) == (len(pairs), 0)


def test_without_any_depot_there_is_no_stock_to_place(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    shop.map("product", pairs)
    shop.store.put_account("demo", shop.account, {})
    shop.sql("delete from puller.stock where account = %(account)s and platform = 'nhanh'")
    before = {gid: doc["_levels"] for gid, doc in shop.variants().items()}
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert (end.data.outcome, end.data.counters.failed) == ("success", 0)
    assert {gid: doc["_levels"] for gid, doc in shop.variants().items()} == before


@pytest.mark.parametrize(
    ("depot_locations", "told"),
    [
        ({"120001": "Hà Nội"}, "'Hà Nội', which is no location id"),
        ({"7": "90100000001", "8": "90100000002"}, "names 7, 8, and Nhanh's catalogue has stock at 120001, 120002"),
    ],
)
def test_a_map_that_can_place_nothing_is_refused(
    shop: Any, syncer: Any, depot_locations: dict[str, str], told: str
) -> None:
    shop.map("product", shop.truth("product"))
    shop.store.put_account("demo", shop.account, {"depot_locations": depot_locations})
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert (end.data.outcome, end.data.error.code, shop.writes()) == ("failure", "DEPOT_MAP", [])
    assert told in end.data.error.message


def test_a_map_of_some_depots_writes_those(shop: Any, syncer: Any) -> None:
    """A depot without a place, and a mapped one that Nhanh does not have, change nothing for the others."""
    pairs = shop.truth("product")
    shop.map("product", pairs)
    first, second = shop.depot_locations.values()
    mapped = {"120001": f"gid://shopify/Location/{second}", "7": first}
    shop.store.put_account("demo", shop.account, {"depot_locations": mapped, "write": {"price": False}})
    before = {gid: doc["_levels"] for gid, doc in shop.variants().items()}
    nhanh = {str(doc["id"]): doc for doc in shop.records("nhanh", "product")}
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert (end.data.outcome, end.data.counters.failed) == ("success", 0)
    for one, gid in pairs.items():
        expected = {first: before[gid][first], second: nhanh[one]["_stock"]["120001"]}
        assert shop.variants()[gid]["_levels"] == expected


def test_a_shop_of_another_currency_is_refused_until_the_rule_says_how(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("product")
    shop.map("product", pairs)
    shop.control.patch(f"/shops/{shop.account}/shopify", json={"currency": "USD"}).raise_for_status()
    with syncer():
        for dry_run in (False, True, False):
            _, end = shop.run("PRODUCT_SYNC", dry_run=dry_run)
            assert (end.data.outcome, end.data.error.category) == ("failure", "VALIDATION_FAILED")
            assert end.data.error.code == "CURRENCY"
            for part in ("USD", "VND", "price_rule.currency_factor", "price_rule.rounding", "write.price"):
                assert part in end.data.error.message
        assert shop.writes() == []

        shop.settings(write={"price": False})
        assert shop.run("PRODUCT_SYNC")[1].data.outcome == "success"
        assert {write["kind"] for write in shop.writes()} == {"inventorySetQuantities"}


def test_a_step_that_the_currency_does_not_have_is_refused(shop: Any, syncer: Any) -> None:
    shop.map("product", shop.truth("product"))
    shop.control.patch(f"/shops/{shop.account}/shopify", json={"currency": "USD"}).raise_for_status()
    shop.settings(price_rule={"currency_factor": "0.00004", "rounding": "0.005"})
    with syncer():
        _, end = shop.run("PRODUCT_SYNC")
    assert (end.data.outcome, end.data.error.code, shop.writes()) == ("failure", "CURRENCY", [])
    assert "price_rule.rounding" in end.data.error.message


def test_a_pair_says_what_it_is(shop: Any, database_url: str) -> None:
    pairs = shop.truth("product")
    one, other, gone = sorted(pairs)[:3]
    shop.map("product", {hub_id: pairs[hub_id] for hub_id in (one, other, gone)})
    names = "update puller.variant set name = %(name)s, options = %(options)s, sku = %(sku)s where variant_id = %(id)s"
    shop.sql(names, id=one, name="Cà phê sữa", options="500 g", sku="CF-500")
    shop.sql(names, id=other, name="Trà sen 100 g", options="100 g", sku=None)
    shop.sql(names, id=pairs[gone], name="Bò khô", options=None, sku="BK")
    shop.sql("delete from puller.variant where variant_id = %(id)s", id=gone)
    target = ProductTarget()
    settings = parse_settings({"depot_locations": shop.depot_locations})
    with connected(shop, target) as writer, open_pool(database_url, "syncer", 2) as pool:
        target.prepare(writer, settings, pool, scope(shop, target))
        found = pairs_of(shop, database_url, target)
    assert found[one].about == {"title": "Cà phê sữa 500 g", "sku": "CF-500", "linked_by": "sku"}
    assert found[other].about == {"title": "Trà sen 100 g", "linked_by": "sku"}
    assert found[gone].about == {"title": "Bò khô", "sku": "BK", "linked_by": "sku"}
    assert found[gone].problem is not None

    customers = shop.truth("customer")
    shop.map("customer", dict(list(customers.items())[:3]))
    people = CustomerTarget()
    with connected(shop, people) as writer:
        people.prepare(writer, parse_settings({}), shop.pool, scope(shop, people))
        assert [pair.about for pair in pairs_of(shop, database_url, people).values()] == [{"linked_by": "sku"}] * 3
