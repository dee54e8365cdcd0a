"""Both clients against the sandbox process, end to end, its faults included."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from platforms.connections import Connection
from platforms.errors import Conflict, InvalidCredentials, ValidationFailed
from platforms.nhanh.client import NhanhClient
from platforms.shopify.client import ShopifyClient

RECIPE = {"products": 60, "customers": 130, "seed": 7}
Account = dict[str, Connection]


def _wait(seconds: float, _reason: str) -> None:
    time.sleep(seconds)  # what the platform told, or the client's back-off: this is the waiting under test


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., None]) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("sandbox")
    port = _free_port()
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--state", str(folder)]
    output = (folder / "output.txt").open("wb")
    process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120) as control:
            wait_until(lambda: process.poll() is not None or _answers(control), "the sandbox does not answer")
            assert process.poll() is None, (folder / "output.txt").read_text()
            yield control
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(120)
        output.close()


def _answers(control: httpx.Client) -> bool:
    try:
        return control.get("/_sandbox/health").is_success
    except httpx.TransportError:
        return False


@pytest.fixture
def account(sandbox: httpx.Client, request: pytest.FixtureRequest) -> Iterator[tuple[str, Account]]:
    """A fresh pair of shops; faults are cleared afterwards."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")
    made = sandbox.post("/_sandbox/shops", json={"account": name, "nhanh": RECIPE, "shopify": RECIPE})
    assert made.is_success, made.text
    answer = made.json()
    yield (
        name,
        {
            side: Connection("demo", name, side, answer[side]["base_url"], answer[side]["credentials"])
            for side in ("nhanh", "shopify")
        },
    )
    sandbox.delete("/_sandbox/faults")


@pytest.fixture
def nhanh(account: tuple[str, Account]) -> Iterator[NhanhClient]:
    client = NhanhClient(account[1]["nhanh"], wait=_wait, retry_timeout=30)
    yield client
    client.close()


@pytest.fixture
def shopify(account: tuple[str, Account]) -> Iterator[ShopifyClient]:
    client = ShopifyClient(account[1]["shopify"], wait=_wait, retry_timeout=30)
    yield client
    client.close()


@pytest.fixture
def fault(sandbox: httpx.Client, account: tuple[str, Account]) -> Callable[..., None]:
    def strike(platform: str, kind: str, **details: Any) -> None:
        body = {"platform": platform, "account": account[0], "kind": kind, **details}
        made = sandbox.post("/_sandbox/faults", json=body)
        assert made.is_success, made.text

    return strike


def _records(sandbox: httpx.Client, name: str, platform: str) -> dict[str, int]:
    return sandbox.get("/_sandbox/shops").json()["accounts"][name][platform]["records"]


def _all(read: Callable[..., Any], **options: Any) -> list[Any]:
    items: list[Any] = []
    cursor = None
    for _ in range(200):
        page = read(cursor, **options)
        items.extend(page.items)
        cursor = page.next
        if cursor is None:
            return items
    raise AssertionError("the walk does not end")


def test_nhanh_gives_every_record(sandbox: httpx.Client, account: tuple[str, Account], nhanh: NhanhClient) -> None:
    held = _records(sandbox, account[0], "nhanh")
    products = _all(nhanh.products, size=25)
    assert len({item["id"] for item in products}) == len(products) == held["rows"]
    assert len({item["id"] for item in _all(nhanh.customers, size=50)}) == held["customers"]
    assert nhanh.depots()
    assert nhanh.check().ok
    assert nhanh.rate_limit_hits == 0


def test_nhanh_reads_chosen_products_that_exist(nhanh: NhanhClient) -> None:
    listed = {str(item["id"]): item for item in _all(nhanh.products)}
    chosen = [*list(listed)[:70], "1", "999999999"]
    assert {str(item["id"]): item for item in nhanh.products_by_ids(chosen)} == {
        one: listed[one] for one in chosen[:70]
    }
    with pytest.raises(ValidationFailed):
        nhanh.products_by_ids(list(map(str, range(101))))


def test_shopify_gives_every_record(
    sandbox: httpx.Client, account: tuple[str, Account], shopify: ShopifyClient
) -> None:
    held = _records(sandbox, account[0], "shopify")
    first = shopify.products(size=20)
    assert first.total == held["products"]
    products = _all(shopify.products, size=20)
    variants = [variant for product in products for variant in product["variants"]["nodes"]]
    assert (len(products), len(variants)) == (held["products"], held["variants"])
    assert len(_all(shopify.customers, size=40)) == held["customers"]
    assert shopify.locations()
    assert shopify.check().ok
    ids = [variant["id"] for variant in variants]
    assert [variant["id"] for variant in shopify.variants_by_ids(ids)] == ids
    assert shopify.rate_limit_hits == 0


def test_a_nhanh_lock_is_waited_out(nhanh: NhanhClient, fault: Callable[..., None]) -> None:
    fault("nhanh", "429", count=1)
    started = time.monotonic()
    assert nhanh.products().items
    assert nhanh.rate_limit_hits == 1  # a call during the lock would have made it two, and the lock longer
    assert time.monotonic() - started > 1


@pytest.mark.parametrize("kind", ["429", "throttled"])
def test_shopify_throttling_is_waited_out(shopify: ShopifyClient, fault: Callable[..., None], kind: str) -> None:
    fault("shopify", kind, count=1)
    assert shopify.products(size=5).items
    assert shopify.rate_limit_hits == 1


@pytest.mark.parametrize("told", ["0", "nan", "-3", "Thu, 01 Jan 1970 00:00:00 GMT", ""])
@pytest.mark.parametrize(("platform", "kind"), [("shopify", "429"), ("shopify", "5xx"), ("nhanh", "5xx")])
def test_no_retry_after_makes_a_client_call_more_than_once_a_second(
    nhanh: NhanhClient, shopify: ShopifyClient, fault: Callable[..., None], platform: str, kind: str, told: str
) -> None:
    client = nhanh if platform == "nhanh" else shopify
    fault(platform, kind, count=2, retry_after=told)
    started = time.monotonic()
    assert client.products(size=5).items
    assert client.requests == 3
    assert time.monotonic() - started >= 1.5  # pauses of the client's own are at least 0.5 and 1 s


def test_counts_tell_what_the_lists_hold(
    sandbox: httpx.Client, account: tuple[str, Account], shopify: ShopifyClient
) -> None:
    held = _records(sandbox, account[0], "shopify")
    assert (shopify.count_products(), shopify.count_customers()) == (held["products"], held["customers"])
    first = shopify.products(size=1).items[0]["id"].rpartition("/")[2]
    assert shopify.count_products(f"id:>{first}") == held["products"] - 1


def test_null_clears_a_customers_phone(shopify: ShopifyClient) -> None:
    customer = next(c for c in _all(shopify.customers) if c["defaultPhoneNumber"] and c["firstName"])
    assert shopify.update_customer({"id": customer["id"], "phone": None}).ok
    (seen,) = shopify.customers_by_ids([customer["id"]])
    assert seen["defaultPhoneNumber"] is None


@pytest.mark.parametrize("kind", ["5xx", "drop"])
def test_passing_failures_only_delay(
    nhanh: NhanhClient, shopify: ShopifyClient, fault: Callable[..., None], kind: str
) -> None:
    fault("nhanh", kind, count=2)
    fault("shopify", kind, count=2)
    assert nhanh.products().items
    assert shopify.products(size=5).items
    assert (nhanh.requests, shopify.requests) == (3, 3)


def test_an_expired_token_is_told_at_once(
    nhanh: NhanhClient, shopify: ShopifyClient, fault: Callable[..., None]
) -> None:
    fault("nhanh", "expired_token")
    fault("shopify", "expired_token")
    with pytest.raises(InvalidCredentials):
        nhanh.products()
    with pytest.raises(InvalidCredentials):
        shopify.products()
    assert (nhanh.requests, shopify.requests) == (1, 1)
    assert isinstance(nhanh.check().error, InvalidCredentials)


def _first_level(shopify: ShopifyClient) -> tuple[Any, Any, dict[str, Any]]:
    product = shopify.products(size=1).items[0]
    variant = product["variants"]["nodes"][0]
    level = variant["inventoryItem"]["inventoryLevels"]["nodes"][0]
    held = next(q["quantity"] for q in level["quantities"] if q["name"] == "available")
    pair = {"inventoryItemId": variant["inventoryItem"]["id"], "locationId": level["location"]["id"]}
    return product, variant, {**pair, "changeFromQuantity": held, "quantity": held + 3}


def test_prices_and_their_errors(shopify: ShopifyClient) -> None:
    product, variant, _ = _first_level(shopify)
    wanted = [{"id": variant["id"], "price": "-1"}]
    (refused,) = shopify.update_variants(product["id"], wanted)
    assert isinstance(refused.error, ValidationFailed)
    (written,) = shopify.update_variants(product["id"], [{"id": variant["id"], "price": "123000"}])
    assert written.ok
    (seen,) = shopify.variants_by_ids([variant["id"]])
    assert float(seen["price"]) == 123000


def test_stock_is_set_once_for_one_key(
    sandbox: httpx.Client, account: tuple[str, Account], shopify: ShopifyClient, fault: Callable[..., None]
) -> None:
    _, variant, quantity = _first_level(shopify)
    fault("shopify", "drop_after", count=1)  # written, but the answer is lost
    (written,) = shopify.set_quantities([quantity], idempotency_key="run-1")
    assert written.ok
    (again,) = shopify.set_quantities([quantity], idempotency_key="run-1")
    assert again.ok
    (stale,) = shopify.set_quantities([{**quantity, "quantity": 1}], idempotency_key="run-2")
    assert isinstance(stale.error, Conflict)
    (seen,) = shopify.variants_by_ids([variant["id"]])
    levels = seen["inventoryItem"]["inventoryLevels"]["nodes"]
    (level,) = [level for level in levels if level["location"]["id"] == quantity["locationId"]]
    assert level["quantities"] == [{"name": "available", "quantity": quantity["quantity"]}]


def test_customers_and_metafields(shopify: ShopifyClient) -> None:
    customer = shopify.customers(size=1).items[0]["id"]
    assert shopify.update_customer({"id": customer, "note": "Khách quen"}).ok
    metafield = {"namespace": "nhanh", "key": "points", "type": "number_integer", "value": "5"}
    assert shopify.set_metafields([{"ownerId": customer, **metafield}])[0].ok
    (seen,) = shopify.customers_by_ids([customer])
    assert seen["note"] == "Khách quen"
    assert seen["metafields"]["nodes"] == [metafield]
    missing = shopify.update_customer({"id": "gid://shopify/Customer/1", "note": "x"})
    assert not missing.ok
