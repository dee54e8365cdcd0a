"""REPAIR_IDS, by an owner in a process of its own, on a catalogue in which Shopify replaced variants."""

from typing import Any

import pytest

from job_events.envelope import decode
from job_events.events import ItemRecorded

NAMES = {
    "1": "Áo thun cổ tròn",
    "2": "Bát sứ trắng",
    "3": "Chảo gang",
    "4": "Dép lê trẻ em",
    "5": "Ấm siêu tốc",
    "6": "Gối cao su non",
    "7": "Khăn tắm cotton",
    "8": "Mũ len",
}
GTIN, OTHER_GTIN = "8934563138165", "036000291452"


@pytest.fixture
def matched(room, ended):
    """Eight linked products: 2 by a person although the SKUs differ, all others by their SKU."""
    hub = {hub_id: {"title": name, "sku": f"SP-{hub_id}0{hub_id}"} for hub_id, name in NAMES.items()}
    hub["4"]["barcode"] = GTIN
    channel = {f"old-{hub_id}": {**product} for hub_id, product in hub.items()}
    channel["old-2"] |= {"sku": "BAT-TRANG"}
    room.put_products("nhanh", hub)
    room.put_products("shopify", channel)
    room.start()
    confirm = {"action": "create", "kind": "product", "hub_id": "2", "remote_id": "old-2"}
    assert ended(room.request("EDIT_MATCH", **confirm)).data.outcome == "success"
    end = ended(room.request("MATCH_EXACT_PRODUCTS"))
    assert (end.data.outcome, end.data.metadata["created"], end.data.metadata["matched"]) == ("success", 7, 8)
    return room


def replace(room: Any, old: str, **new: dict[str, Any]) -> None:
    """A pull found other variants in the place of one."""
    room.run("delete from puller.variant where variant_id = %s", old)
    room.put_products("shopify", new)


def pulled(room: Any) -> None:
    room.run(
        "insert into puller.complete_pull (tenant, account, platform, kind, job_id, began)"
        " values ('t', 'shop', 'shopify', 'product', 'pull', now() - interval '2 hours')"
    )


def items(room: Any, job_id: str) -> dict[str, ItemRecorded]:
    found = [decode(value) for value in room.messages(room.topics.items)]
    return {one.data.item: one for one in found if isinstance(one, ItemRecorded) and one.job_id == job_id}


def test_links_move_to_the_one_variant_that_replaced_theirs(matched, ended):
    room = matched

    def product(number: str, **changes: Any) -> dict[str, Any]:
        return {"title": NAMES[number], "sku": f"SP-{number}0{number}", **changes}

    replace(room, "old-1", new_1=product("1"))
    replace(room, "old-2", new_2=product("2", sku="bat-trang"))
    replace(room, "old-3", new_3=product("3"), twin_3=product("3"))
    replace(room, "old-4", new_4=product("4", barcode=OTHER_GTIN))
    replace(room, "old-5", new_5=product("5", title="Kem chống nắng SPF50"))
    replace(room, "old-6")
    replace(room, "old-7", new_7=product("7"))
    room.run(
        "insert into matcher.match (tenant, account, kind, platform, hub_id, remote_id, status, method, score, job_id)"
        " values ('t', 'shop', 'product', 'shopify', '7', 'new_7', 'rejected', 'sku', 1, 'person')"
    )
    before = room.matches()

    unread = ended(room.request("REPAIR_IDS"))
    assert (unread.data.outcome, unread.data.error.code) == ("failure", "NO_COMPLETE_PULL")
    assert "never pulled completely" in unread.data.error.message
    pulled(room)

    dry = ended(room.request("REPAIR_IDS", dry_run=True))
    assert room.matches() == before, "a dry run moved something"
    shown = items(room, dry.job_id)
    assert {name for name, item in shown.items() if item.data.action == "would_update"} == {"product/1", "product/2"}
    assert dry.data.metadata["wouldUpdate"] == 2

    end = ended(room.request("REPAIR_IDS"))
    counters = end.data.counters
    assert (end.data.outcome, counters.total, counters.successful, counters.skipped) == ("success", 7, 2, 5)
    told = end.data.metadata
    assert (told["updated"], told["review"], told["linksChecked"]) == (2, 3, 8)
    assert 7200 <= told["catalogueAge"] < 7200 + 3600
    assert "lastCompletePull" in told
    found = room.matches()
    assert (found["1", "new_1"], found["2", "new_2"], found["8", "old-8"]) == ("auto", "confirmed", "auto")
    assert ("1", "old-1") not in found and ("2", "old-2") not in found
    assert found["7", "new_7"] == "rejected"
    reasons = room.reasons()
    assert set(reasons) == {("3", "new_3"), ("3", "twin_3"), ("4", "new_4"), ("5", "new_5")}
    assert "belongs to 2 records without a link" in reasons["3", "new_3"]
    assert f"the barcode {OTHER_GTIN} is not its" in reasons["4", "new_4"]
    assert "the titles have nothing in common" in reasons["5", "new_5"]
    recorded = {name: item.data for name, item in items(room, end.job_id).items()}
    assert recorded["product/1"].ids == {"nhanh": "1", "shopify": "new_1"}
    assert recorded["product/1"].about["old_id"] == "old-1" and recorded["product/1"].about["new_id"] == "new_1"
    codes = {name: item.error.code for name, item in recorded.items() if item.action == "skipped"}
    assert codes == {
        "product/3": "AMBIGUOUS",
        "product/4": "CONTRADICTION",
        "product/5": "CONTRADICTION",
        "product/6": "NO_REPLACEMENT",
        "product/7": "REJECTED",
    }

    again = ended(room.request("REPAIR_IDS")).data.metadata
    assert (again["updated"], again["review"]) == (0, 3)
    assert room.matches() == found, "a second run changes something"
    exact = ended(room.request("MATCH_EXACT_PRODUCTS")).data.metadata
    assert exact["created"] == 0
    assert {pair: room.matches()[pair] for pair in (("1", "new_1"), ("2", "new_2"))} == {
        ("1", "new_1"): "auto",
        ("2", "new_2"): "confirmed",
    }


def test_suggestions_for_a_confirmed_record_stay_until_a_person_decides(matched, ended):
    room = matched
    twins = {"sku": "BAT-TRANG", "title": NAMES["2"]}
    replace(room, "old-2", new_2=twins, twin_2=twins)
    pulled(room)
    ended(room.request("REPAIR_IDS"))
    waiting = {("2", "old-2"): "confirmed", ("2", "new_2"): "review", ("2", "twin_2"): "review"}
    room.start("agent")
    ended(room.request("AUTO_MATCH_PRODUCTS"))
    assert waiting.items() <= room.matches().items()
    correct = {"action": "correct", "kind": "product", "hub_id": "2", "remote_id": "twin_2"}
    assert ended(room.request("EDIT_MATCH", **correct)).data.outcome == "success"
    found = room.matches()
    assert (found["2", "twin_2"], found["2", "old-2"]) == ("confirmed", "rejected")
    assert ("2", "new_2") not in found
