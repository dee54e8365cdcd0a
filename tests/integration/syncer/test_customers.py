"""CUSTOMER_SYNC against the sandbox."""

from typing import Any

from platforms.phones import alternates


def test_contacts_and_totals_arrive_and_a_second_run_writes_nothing(shop: Any, syncer: Any) -> None:
    pairs = shop.truth("customer")
    nhanh = {str(doc["id"]): doc for doc in shop.records("nhanh", "customer")}
    before = {doc["id"]: doc for doc in shop.records("shopify", "customer")}
    shop.map("customer", pairs)
    with syncer():
        job_id, end = shop.run("CUSTOMER_SYNC")
        assert (end.data.outcome, end.data.error) == ("success", None)
        assert end.data.metadata["updated"] == end.data.counters.total == len(pairs)
        after = {doc["id"]: doc for doc in shop.records("shopify", "customer")}
        metafields = {(doc["owner"], doc["key"]): doc["value"] for doc in _metafields(shop)}
        for hub_id, gid in pairs.items():
            expected = _better(nhanh[hub_id]["name"], _name(before[gid]))
            assert sorted(_name(after[gid]).split()) == sorted(expected.split())
            assert after[gid]["defaultEmailAddress"] == before[gid]["defaultEmailAddress"]
            assert metafields[gid, "customer_id"] == hub_id
            assert float(metafields[gid, "total_amount"]) == nhanh[hub_id]["totalAmount"]
        phones = [number for doc in nhanh.values() for number in alternates([doc["mobile"]])]
        mobiles = {
            gid: numbers[0]
            for hub_id, gid in pairs.items()
            if len(numbers := alternates([nhanh[hub_id]["mobile"]])) == 1
            and numbers[0].startswith("+849")
            and phones.count(numbers[0]) == 1
        }
        assert len(mobiles) > 5
        held = {gid: (after[gid]["defaultPhoneNumber"] or {}).get("phoneNumber") for gid in mobiles}
        assert held == mobiles

        items = shop.items(job_id, len(pairs))
        shown = str([one.data.changes for one in items.values()])
        for hub_id in pairs:
            for secret in (nhanh[hub_id]["email"], *alternates([nhanh[hub_id]["mobile"]])):
                assert not secret or secret.lower() not in shown.lower()

        writes = len(shop.writes())
        _, again = shop.run("CUSTOMER_SYNC")
        shop.pull()
        _, third = shop.run("CUSTOMER_SYNC")
        assert [e.data.metadata["unchanged"] for e in (again, third)] == [len(pairs)] * 2
        assert [e.data.metadata["requests"] for e in (again, third)] == [0, 0]
        assert len(shop.writes()) == writes


def test_a_contact_that_another_customer_holds_is_left_out(shop: Any, syncer: Any) -> None:
    """Shopify would refuse it, every time, and the whole customer with it."""
    pairs = shop.truth("customer")
    one, other = sorted(pairs)[:2]
    email = "shared@example.com"
    shop.edit(
        "shopify",
        "customer",
        int(pairs[other].rpartition("/")[2]),
        set={"defaultEmailAddress": {"emailAddress": email}},
    )
    shop.edit("nhanh", "customer", int(one), set={"email": email.upper(), "points": 4711})
    shop.settings(write={"customer_email": True})
    shop.pull()
    shop.map("customer", {one: pairs[one]})
    shop.settings(write={"customer_email": True})
    with syncer():
        _, end = shop.run("CUSTOMER_SYNC")
    assert (end.data.outcome, end.data.metadata["updated"]) == ("success", 1)
    held = {doc["id"]: doc for doc in shop.records("shopify", "customer")}
    assert (pairs[one], "4711") in {(field["owner"], field["value"]) for field in _metafields(shop)}
    assert (held[pairs[one]]["defaultEmailAddress"] or {}).get("emailAddress") != email


def test_one_refused_customer_leaves_the_others_written(shop: Any, syncer: Any) -> None:
    """A phone that somebody took in the shop after the last pull."""
    pairs = shop.truth("customer")
    one, other = sorted(pairs)[:2]
    phone = "0987654320"
    shop.edit("nhanh", "customer", int(one), set={"mobile": phone})
    shop.pull()
    shop.edit(
        "shopify",
        "customer",
        int(pairs[other].rpartition("/")[2]),
        set={"defaultPhoneNumber": {"phoneNumber": "+84987654320"}},
    )
    shop.map("customer", {one: pairs[one], sorted(pairs)[2]: pairs[sorted(pairs)[2]]})
    with syncer():
        job_id, end = shop.run("CUSTOMER_SYNC")
    assert (end.data.outcome, end.data.metadata["partlyFailed"], end.data.counters.successful) == ("partial", 1, 2)
    item = shop.items(job_id, 2)[one].data
    assert (item.action, item.error.code) == ("updated", "TAKEN")  # its totals were written, its contacts were not
    assert {change.name.partition(".")[0] for change in item.changes} == {"nhanh"}


def _name(doc: dict[str, Any]) -> str:
    return f"{doc['lastName']} {doc['firstName']}"


def _better(hub: str, shop: str) -> str:
    """Nhanh's name, or the shop's where it is the same with accents, or with small letters, that Nhanh's lacks."""
    accents = [sum(ord(letter) > 127 for letter in name) for name in (hub, shop)]
    if accents[0] != accents[1]:
        return max((hub, shop), key=lambda name: sum(ord(letter) > 127 for letter in name))
    return shop if hub.isupper() else hub


def _metafields(shop: Any) -> list[dict[str, Any]]:
    """Our metafields as written, from the raw log."""
    found: list[dict[str, Any]] = []
    for write in shop.writes():
        if write["kind"] == "metafieldsSet" and write["outcome"] == "accepted":
            key = write["values"]["name"].removeprefix("nhanh.")
            found.append({"owner": write["id"], "key": key, "value": write["values"]["value"]})
    return found
