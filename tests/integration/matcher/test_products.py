"""AUTO_MATCH_PRODUCTS by an owner and an agent in processes of their own."""

from typing import Any

import pytest


def catalogue(number: int) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Both sides of `number` products that share their SKU, so that every one has its partner."""
    nhanh = {f"{n:04}": {"title": f"Áo thun kiểu {n} màu xanh", "sku": f"AT-{n:04}"} for n in range(number)}
    shopify = {f"gid-{n:04}": {"title": f"ao thun kieu {n} mau xanh", "sku": f"at-{n:04}"} for n in range(number)}
    return nhanh, shopify


def test_matches_links_reviews_and_counts(room, ended):
    room.put_products(
        "nhanh",
        {
            "1": {"title": "Sony Turntable - PSLX350H", "sku": "SONY-350"},
            "2": {"title": "Bia Sài Gòn Special lon 330ml", "barcode": "036000291452"},
            "3": {"title": "Bose Acoustimass 5 Series III Speaker System - AM53BK"},
            "4": {"title": "Túi vải canvas", "sku": "TUI-1"},
            "5": {"title": "Túi vải canvas", "sku": "TUI-1"},
            "6": {"title": "Nồi cơm điện Sharp"},
            "7": {"title": "Máy xay sinh tố Philips", "sku": "PH-77", "brand": "Philips"},
        },
    )
    room.put_products(
        "shopify",
        {
            "a": {"title": "Sony PSLX350H turntable", "sku": "sony-350"},
            "b": {"title": "Saigon Special beer can", "barcode": "0036000291452"},
            "c": {"title": "Bose Acoustimass 5 Series III Speakers AM53BK"},
            "d": {"title": "Túi vải canvas", "sku": "TUI-1"},
            "e": {"title": "Dép lê trẻ em", "sku": "PH-77", "brand": "Biti's"},
        },
    )
    room.start("agent")
    room.start()
    first = ended(room.request("AUTO_MATCH_PRODUCTS"))

    assert room.matches() == {
        ("1", "a"): "auto",
        ("2", "b"): "auto",
        ("3", "c"): "review",
        ("4", "d"): "review",
        ("5", "d"): "review",
        ("7", "e"): "review",
    }
    assert first.data.outcome == "success"
    counters = first.data.counters
    assert (counters.total, counters.processed, counters.successful, counters.skipped) == (7, 7, 2, 5)
    told = first.data.metadata
    assert {name: told[name] for name in ("matched", "skipped", "created", "updated", "unchanged", "removed")} == {
        "matched": 2,
        "skipped": 5,
        "created": 2,
        "updated": 0,
        "unchanged": 0,
        "removed": 0,
    }
    assert (told["exactMatches"], told["potentialMatches"], told["review"]) == (2, 6, 4)
    assert told["waitingByName"] == 1
    assert room.reasons() == {
        ("3", "c"): "only the names agree; set link_by_name to auto to link such pairs",
        ("4", "d"): "the SKU TUI-1 belongs to 2 records of Nhanh",
        ("5", "d"): "the SKU TUI-1 belongs to 2 records of Nhanh",
        ("7", "e"): "the SKU PH-77 agrees, but the titles have nothing in common",
    }
    assert (told["nhanhProductsLoaded"], told["shopifyProductsLoaded"]) == (7, 5)
    assert (told["chunks"], told["chunksResent"]) == (1, 0)
    assert "speed" in told

    written = "select hub_id, remote_id, job_id, updated_at from matcher.match order by 1, 2"
    before = room.rows(written)
    again = ended(room.request("AUTO_MATCH_PRODUCTS")).data.metadata
    assert (again["created"], again["updated"], again["unchanged"], again["removed"]) == (0, 0, 2, 0)
    assert room.rows(written) == before, "a second run on the same records writes something"

    room.set_settings({"link_by_name": "auto"})
    by_name = ended(room.request("AUTO_MATCH_PRODUCTS")).data.metadata
    assert (by_name["created"], by_name["unchanged"], by_name["waitingByName"]) == (1, 2, 0)
    assert room.matches()["3", "c"] == "auto"

    room.drop("shopify", "a")
    third = ended(room.request("AUTO_MATCH_PRODUCTS")).data.metadata
    assert (third["matched"], third["unchanged"], third["removed"]) == (2, 2, 1)
    assert ("1", "a") not in room.matches()


def test_people_have_the_last_word(room, ended):
    nhanh, shopify = catalogue(3)
    room.put_products("nhanh", nhanh)
    room.put_products("shopify", shopify)
    room.start("agent")
    room.start()
    ended(room.request("AUTO_MATCH_PRODUCTS"))
    pairs = [(f"{n:04}", f"gid-{n:04}") for n in range(3)]
    assert room.matches() == dict.fromkeys(pairs, "auto")

    def edit(action: str, hub_id: str, remote_id: str | None = None) -> Any:
        params = {"action": action, "kind": "product", "hub_id": hub_id, "remote_id": remote_id}
        given = {name: value for name, value in params.items() if value is not None}
        return ended(room.request("EDIT_MATCH", **given)).data

    taken = edit("correct", "0000", "gid-0001")
    assert (taken.outcome, taken.error.category) == ("failure", "CONFLICT")
    assert "0001 of Nhanh" in taken.error.message
    assert edit("create", "0000", "gid-0001").error.category == "CONFLICT"
    assert edit("create", "9999", "gid-0001").error.category == "NOT_FOUND"
    assert edit("create", "0000", "gid-0000").metadata["updated"] == 1
    assert edit("create", "0000", "gid-0000").metadata["unchanged"] == 1
    assert edit("delete", "0001").outcome == "success"
    assert edit("delete", "0077").error.category == "NOT_FOUND"
    assert edit("correct", "0002", "gid-0001").outcome == "success"
    decided = {
        pairs[0]: "confirmed",
        pairs[1]: "rejected",
        pairs[2]: "rejected",
        ("0002", "gid-0001"): "confirmed",
    }
    assert room.matches() == decided

    run = ended(room.request("AUTO_MATCH_PRODUCTS")).data.metadata
    found = room.matches()
    assert {pair: found[pair] for pair in decided} == decided
    assert (run["matched"], run["created"], run["unchanged"]) == (2, 0, 2)


@pytest.mark.long
def test_links_that_would_move_wait_for_a_person(room, ended):
    room.set_settings({"link_by_name": "auto"})
    room.put_products(
        "nhanh",
        {
            "1": {"title": "Xà phòng thơm", "sku": "XP-01"},
            "2": {"title": "Bát sứ trắng", "sku": "BS-02"},
            "3": {"title": "Dép lê trẻ em", "sku": "DL-03"},
            "4": {"title": "Dép lê trẻ em loại hai"},
        },
    )
    room.put_products(
        "shopify",
        {
            "a": {"title": "Xà phòng thơm", "sku": "XP-01"},
            "b": {"title": "Bát sứ trắng", "sku": "BS-02"},
            "c": {"title": "Dép lê trẻ em", "sku": "DL-03"},
        },
    )
    room.start("agent")
    room.start()
    ended(room.request("AUTO_MATCH_PRODUCTS"))
    linked = {("1", "a"): "auto", ("2", "b"): "auto", ("3", "c"): "auto"}
    assert room.matches() == linked

    # Two records swap their codes, and a third is deleted, which leaves its partner alone.
    room.set_product("a", sku="BS-02")
    room.set_product("b", sku="XP-01")
    room.drop("nhanh", "3")
    for _ in range(2):
        told = ended(room.request("AUTO_MATCH_PRODUCTS")).data.metadata
        assert (told["matched"], told["created"]) == (0, 0)
        assert room.matches() == dict.fromkeys([("1", "a"), ("1", "b"), ("2", "a"), ("2", "b"), ("4", "c")], "review")
    reasons = room.reasons()
    assert "1 was linked to a by its SKU until now; the SKU of 1 now leads to b" in reasons["1", "a"]
    assert "1 was linked to a by its SKU until now" in reasons["1", "b"]
    assert "3 was linked to c by its SKU until now, and 3 is no longer there" in reasons["4", "c"]

    edit = {"action": "create", "kind": "product", "hub_id": "1", "remote_id": "b"}
    assert ended(room.request("EDIT_MATCH", **edit)).data.outcome == "success"
    assert room.matches() == {("1", "b"): "confirmed", ("2", "a"): "review", ("4", "c"): "review"}
    ended(room.request("AUTO_MATCH_PRODUCTS"))
    assert room.matches()["1", "b"] == "confirmed"
    assert room.matches()["2", "a"] == "review"

    edit = {"action": "delete", "kind": "product", "nhanh_id": "1"}  # a request of the last release
    assert ended(room.request("EDIT_MATCH", **edit)).data.outcome == "success"
    room.set_product("a", sku="XP-01")
    room.set_product("b", sku="BS-02")
    ended(room.request("AUTO_MATCH_PRODUCTS"))
    found = room.matches()
    assert (found["1", "a"], found["1", "b"], found["2", "b"]) == ("auto", "rejected", "auto")
    remembered = room.rows("select hub_id, remote_id from matcher.former_link")
    assert remembered == [{"hub_id": "3", "remote_id": "c"}]


@pytest.mark.parametrize("platform", ["nhanh", "lazada"])
def test_a_platform_that_is_no_channel_ends_the_job(room, ended, platform):
    room.start()
    edit = {"action": "delete", "kind": "product", "hub_id": "1"}
    for job_type, params in (("AUTO_MATCH_PRODUCTS", {}), ("EDIT_MATCH", edit)):
        error = ended(room.request(job_type, platform=platform, **params)).data.error
        assert (error.category, error.code) == ("VALIDATION_FAILED", "UNKNOWN_CHANNEL")
        assert f"'{platform}' is no channel" in error.message and "shopify" in error.message


def test_settings_that_cannot_be_read_end_the_job_before_it_writes(room, ended):
    nhanh, shopify = catalogue(1)
    room.put_products("nhanh", nhanh)
    room.put_products("shopify", shopify)
    room.set_settings({"link_by_name": "perhaps"})
    room.start("agent")
    room.start()
    end = ended(room.request("AUTO_MATCH_PRODUCTS"))
    assert (end.data.outcome, end.data.error.code) == ("failure", "SETTINGS_UNREADABLE")
    assert "link_by_name" in end.data.error.message
    assert room.matches() == {}


def test_an_account_without_a_catalogue_has_nothing_to_match(room, ended):
    room.start("agent")
    room.start()
    end = ended(room.request("AUTO_MATCH_PRODUCTS"))
    assert (end.data.outcome, end.data.counters.total, end.data.counters.processed) == ("success", 0, 0)


def test_a_database_that_was_never_pulled_into_says_so(room, ended):
    room.run("drop schema puller cascade")
    room.start()
    end = ended(room.request("AUTO_MATCH_CUSTOMERS"))
    assert (end.data.outcome, end.data.error.category) == ("failure", "NOT_FOUND")
    assert "run the pulls" in end.data.error.message
