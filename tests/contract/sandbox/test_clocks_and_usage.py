"""Clocks of the shops, times of change, limits from a file, and how much of them was used."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

UPDATED = "{ products(first: 50, sortKey: ID) { nodes { id updatedAt } } }"
SET_STOCK = """mutation ($input: InventorySetQuantitiesInput!) {
  inventorySetQuantities(input: $input) @idempotent(key: "k1") { userErrors { code } }
}"""


def times(account: Any) -> dict[str, str]:
    return {node["id"]: node["updatedAt"] for node in account.graphql(UPDATED)["data"]["products"]["nodes"]}


@pytest.mark.parametrize("offset", [-90, 0, 90])
def test_a_shops_clock_shows_in_its_times_and_its_date(account: Any, offset: int) -> None:
    for platform, call in (("nhanh", lambda: account.call("product/list")), ("shopify", lambda: account.post(UPDATED))):
        account.switch(platform, clock_offset=offset)
        before = time.time()
        shown = parsedate_to_datetime(call().headers["Date"]).timestamp()
        assert before - 1 <= shown - offset <= time.time()
        account.switch(platform, date_header=False)
        assert "Date" not in call().headers
    number = account.records("nhanh", "product")[0]["id"]
    before = int(time.time())
    edited = account.server.control(
        "POST", f"records/{account.name}/nhanh/product", {"id": number, "set": {"name": "Áo"}}
    )
    assert before <= edited["updatedAt"] - offset <= time.time()


def test_a_variants_changes_are_changes_of_its_product(account: Any) -> None:
    """Shopify counts an adjustment of inventory as an update of the product."""
    variants = account.records("shopify", "variant")
    product = "gid://shopify/Product/{}".format
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"records/{account.name}/shopify/variant"
    chosen = list({v["_product"]: v for v in variants}.values())[:4]
    edited, stocked, written, deleted = chosen
    account.server.control("POST", path, {"id": edited["_number"], "set": {"price": "5.00"}})
    account.server.control("POST", path, {"id": stocked["_number"], "stock": {"90100000001": 77}})
    quantity = {
        "inventoryItemId": account.graphql(
            "query ($id: ID!) { productVariant(id: $id) { inventoryItem { id } } }", id=written["id"]
        )["data"]["productVariant"]["inventoryItem"]["id"],
        "locationId": "gid://shopify/Location/90100000001",
        "quantity": 12,
        "changeFromQuantity": None,
    }
    answer = account.graphql(SET_STOCK, input={"name": "available", "reason": "correction", "quantities": [quantity]})
    assert answer["data"]["inventorySetQuantities"]["userErrors"] == []
    account.server.control("DELETE", f"{path}/{deleted['_number']}")
    changed = {gid for gid, updated in times(account).items() if updated >= now}
    assert changed == {product(variant["_product"]) for variant in chosen}


def test_limits_come_from_a_file(
    own_server: Any, account_on: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = account_on(own_server, "old")
    own_server.stop()
    file = tmp_path / "limits.json"
    file.write_text(
        json.dumps({"nhanh": {"calls": 3, "window_seconds": 60}, "shopify": {"bucket": 500, "restore_rate": 7}})
    )
    monkeypatch.setenv("SANDBOX_LIMITS", str(file))
    own_server.start()
    for account in (old, account_on(own_server, "new")):
        nhanh, shopify = account.facts("nhanh")["settings"], account.facts("shopify")["settings"]
        assert (nhanh["calls"], nhanh["window_seconds"], shopify["bucket"], shopify["restore_rate"]) == (3, 60, 500, 7)
        codes = [account.nhanh("customer/list").get("errorCode") for _ in range(4)]
        assert codes == [None, None, None, "ERR_429"]

    (usage,) = own_server.control("GET", "usage?account=new&platform=nhanh")
    assert (usage["key"], usage["allowed"], usage["used"], usage["refused"]) == ("customer/list", 3, 3, 1)
    (window,) = usage["windows"]
    assert (window["used"], window["refused"], window["injected"]) == (3, 1, 0)


def test_a_file_of_limits_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for content in ('{"nhanh": {"cals": 1}}', "{", None):
        file = tmp_path / ("missing.json" if content is None else "limits.json")
        if content is not None:
            file.write_text(content)
        monkeypatch.setenv("SANDBOX_LIMITS", str(file))
        argv = [sys.executable, "-m", "sandbox", "--port", "0", "--state", str(tmp_path / "state")]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 1
        assert done.stderr.startswith(f"SANDBOX_LIMITS: {file}: ")


def test_the_use_of_a_shops_points_is_counted_and_faults_apart(account: Any) -> None:
    costs = [account.graphql(UPDATED)["extensions"]["cost"]["actualQueryCost"] for _ in range(3)]
    account.fault("shopify", "throttled", count=2)
    for _ in range(2):
        account.graphql(UPDATED)
    (usage,) = account.server.control("GET", f"usage?account={account.name}&platform=shopify")
    assert (usage["key"], usage["used"]) == ("", sum(costs))
    assert (usage["refused"], usage["injected"]) == (0, 2)
    assert usage["windows"][0]["allowed"] == 2000 + 100 * 10
    assert usage["used"] == sum(window["used"] for window in usage["windows"])
