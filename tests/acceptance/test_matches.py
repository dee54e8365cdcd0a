"""Every kind of match, through the API and the real services, against the sandbox and its raw request log."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.acceptance.test_paper_shop import ACCOUNT, System

WaitUntil = Callable[..., None]
NAMES = {21: "Áo thun cổ tròn", 22: "Quần jean xanh", 23: "Mũ len", 24: "Bát sứ trắng"}
PEOPLE = [
    {"id": 31, "family": "Nguyễn", "given": "An", "phone": "0912345678"},
    {"id": 32, "family": "Trần", "given": "Bình", "email": "binh@firma.vn"},
]


def source(price: str, stock: int) -> dict[str, Any]:
    products = [
        {"id": number, "title": name, "units": [{"sku": f"SP-{number}", "price": price, "stock": [stock]}]}
        for number, name in NAMES.items()
    ]
    return {"products": products, "customers": PEOPLE, "places": 1}


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_matches_of_every_kind_and_a_sync_of_a_replaced_variant(user: Any, wait_until: WaitUntil) -> None:
    with user.running("up") as up:
        wait_until(lambda: "Ctrl-C stops everything" in user.output() or up.poll() is not None, "the system to be up")
        assert up.poll() is None, user.output()[-3000:]
        system = System(user, wait_until)
        _connect(system, user)
        for pull in ("NHANH_PRODUCTS", "SHOPIFY_PRODUCTS", "NHANH_CUSTOMERS", "SHOPIFY_CUSTOMERS"):
            assert system.run(f"PULL_{pull}")["outcome"] == "success"
        _by_keys(system)
        _changed_and_chosen(system)
        _replaced(system)


def _connect(system: System, user: Any) -> None:
    shops = {"account": ACCOUNT["account"], "nhanh": source("120000", 7), "shopify": source("115000", 2)}
    answer = system.sandbox.post("/_sandbox/shops", json=shops)
    assert answer.is_success, answer.text
    made = answer.json()
    for platform in ("nhanh", "shopify"):
        credentials = [f"--credential={name}={value}" for name, value in made[platform]["credentials"].items()]
        system.connect(platform, "--base-url", made[platform]["base_url"], *credentials)
    settings = json.dumps({"depot_locations": made["depot_locations"]})
    done = user.run("accounts", "settings", ACCOUNT["account"], "--set", settings)
    assert done.returncode == 0, done.stdout + done.stderr


def _by_keys(system: System) -> None:
    products = system.run("MATCH_EXACT_PRODUCTS")
    assert (products["outcome"], products["metadata"]["created"]) == ("success", 4), products
    assert products["metadata"]["shopifyProductsLoaded"] == 4
    people = system.run("MATCH_EXACT_CUSTOMERS")
    assert (people["outcome"], people["metadata"]["created"], people["metadata"]["phoneVariations"]) == (
        "success",
        2,
        2,
    )
    assert people["metadata"]["shopifyCustomersLoaded"] == 2


def _changed_and_chosen(system: System) -> None:
    assert system.run("AUTO_MATCH_PRODUCTS", since="last")["metadata"]["fullRun"] is True
    edit = {"id": 21, "set": {"code": "SP-99"}, "at": int(time.time())}
    path = f"/_sandbox/records/{ACCOUNT['account']}/nhanh/product"
    assert system.sandbox.post(path, json=edit).is_success
    assert system.run("PULL_NHANH_PRODUCTS")["outcome"] == "success"
    told = system.run("AUTO_MATCH_PRODUCTS", since="last")["metadata"]
    assert (told["fullRun"], told["changed"], told["removed"]) == (False, 1, 1), told
    assert system.sandbox.post(path, json={**edit, "set": {"code": "SP-21"}, "at": edit["at"] + 1}).is_success
    assert system.run("PULL_NHANH_PRODUCTS")["outcome"] == "success"
    job = system.run("AUTO_MATCH_PRODUCTS", only=["21", "21", "nobody"])
    assert (job["outcome"], job["counters"]["total"], job["counters"]["failed"]) == ("partial", 2, 1), job
    assert job["metadata"]["created"] == 1
    items = system.api.get(f"/jobs/{job['job_id']}/items", params={"action": "failed"}).json()["items"]
    assert [(item["item"], item["error"]["code"]) for item in items] == [("product/nobody", "NOT_IN_CATALOGUE")]


def _replaced(system: System) -> None:
    replace = f"/_sandbox/records/{ACCOUNT['account']}/shopify/variant/2201/replace"
    assert system.sandbox.post(replace, json={"id": 2299, "at": int(time.time())}).status_code == 201
    assert system.run("PULL_SHOPIFY_PRODUCTS")["outcome"] == "success"
    dry = system.run("REPAIR_IDS", dry_run=True)
    assert (dry["outcome"], dry["metadata"]["wouldUpdate"]) == ("success", 1), dry
    job = system.run("REPAIR_IDS")
    assert (job["outcome"], job["metadata"]["updated"]) == ("success", 1), job
    links = {row["hub_id"]: row["remote_id"] for row in system.listed("matches", kind="product")}
    assert links["22"] == "gid://shopify/ProductVariant/2299"

    seen = system.sandbox.get("/_sandbox/requests", params={"platform": "shopify"}).json()[-1]["seq"]
    sync = system.run("PRODUCT_SYNC")
    assert (sync["outcome"], sync["metadata"]["updated"]) == ("success", 4), sync
    calls = system.sandbox.get("/_sandbox/requests", params={"platform": "shopify", "after": seen}).json()
    texts = [str(call) for call in calls]
    first_write = next(place for place, call in enumerate(calls) if call["items"])
    assert any("2299" in text for text in texts[:first_write]), "the new variant was not read before it was written"
    assert not any("ProductVariant/2201" in text for text in texts), "the former id was used"
    variants = system.sandbox.get(f"/_sandbox/records/{ACCOUNT['account']}/shopify/variant").json()
    new = next(one for one in variants if one["_number"] == 2299)
    assert (float(new["price"]), list(new["_levels"].values())) == (120000.0, [7])
