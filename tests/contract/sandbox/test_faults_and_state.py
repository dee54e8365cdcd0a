"""Faults on demand, the request log, and what survives a kill."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

UPDATE = "mutation ($input: CustomerInput!) { customerUpdate(input: $input) { userErrors { message } } }"


def test_drop_loses_the_call_and_drop_after_loses_only_the_answer(account: Any) -> None:
    customer = account.records("shopify", "customer")[0]["id"]

    def note() -> Any:
        return next(doc["note"] for doc in account.records("shopify", "customer") if doc["id"] == customer)

    account.fault("shopify", "drop", count=1)
    with pytest.raises(httpx.TransportError):
        account.graphql(UPDATE, input={"id": customer, "note": "one"})
    assert note() is None
    account.fault("shopify", "drop_after", count=1)
    with pytest.raises(httpx.TransportError):
        account.graphql(UPDATE, input={"id": customer, "note": "two"})
    assert note() == "two"
    assert account.graphql(UPDATE, input={"id": customer, "note": "three"})["data"]
    log = account.log("shopify")
    assert [(entry["status"], entry["faults"]) for entry in log] == [
        (None, ["drop"]),
        (None, ["drop_after"]),
        (200, []),
    ]
    assert [len(entry["items"]) for entry in log] == [0, 1, 1]


def test_down_drops_every_call_of_the_platform_until_the_time_is_over(account: Any, wait_until: Any) -> None:
    account.fault("nhanh", "down", seconds=1)
    with pytest.raises(httpx.TransportError):
        account.nhanh("business/depot")
    with pytest.raises(httpx.TransportError):
        account.nhanh("customer/list")
    assert account.graphql("{ shop { name } }")["data"]

    def back() -> bool:
        try:
            return account.nhanh("business/depot")["code"] == 1
        except httpx.TransportError:
            return False

    wait_until(back)


def test_every_platform_fails_in_its_own_format(account: Any) -> None:
    account.fault("nhanh", "429", count=1, seconds=1, path="business/depot")
    assert account.nhanh("customer/list")["code"] == 1
    assert account.nhanh("business/depot")["errorCode"] == "ERR_429"
    account.fault("nhanh", "expired_token", count=1)
    assert account.nhanh("customer/list")["errorCode"] == "ERR_INVALID_ACCESS_TOKEN"
    account.fault("nhanh", "5xx", count=1, status=502)
    assert account.call("customer/list").status_code == 502
    account.fault("shopify", "429", count=1, seconds=3)
    limited = account.post("{ shop { name } }")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "3.0")
    account.fault("shopify", "throttled", count=1)
    assert account.graphql("{ shop { name } }")["errors"][0]["extensions"]["code"] == "THROTTLED"
    account.fault("shopify", "expired_token", count=1)
    assert account.post("{ shop { name } }").status_code == 401
    account.fault("shopify", "5xx", skip=1, count=1)
    assert [account.post("{ shop { name } }").status_code for _ in range(3)] == [200, 503, 200]


def test_garbage_is_answered_as_it_was_given(account: Any) -> None:
    for body in ('{"code": 1}', "\xff", "[" * 100_000, "[]", '{"errors": [1]}', ""):
        account.fault("nhanh", "garbage", count=1, body=body)
        account.fault("shopify", "garbage", count=1, body=body)
        for answer in (account.call("customer/list"), account.post("{ shop { name } }")):
            assert (answer.status_code, answer.content) == (200, body.encode("latin-1"))
    assert account.nhanh("customer/list")["code"] == 1
    assert account.graphql("{ shop { name } }")["data"]
    refused = account.server.http.post(
        "/_sandbox/faults", json={"platform": "nhanh", "kind": "garbage", "body": "\u0100"}
    )
    assert refused.status_code == 422


def test_a_fault_may_hit_only_calls_that_say_something(account: Any) -> None:
    account.fault("shopify", "5xx", says="customerUpdate")
    account.fault("nhanh", "5xx", says='"size":7')
    assert account.post("{ shop { name } }").status_code == 200
    assert account.post("mutation { customerUpdate(input: {}) { userErrors { message } } }").status_code == 503
    assert account.call("customer/list", {"paginator": {"size": 5}}).status_code == 200
    assert account.call("customer/list", {"paginator": {"size": 7}}).status_code == 503


def test_slow_calls_end_when_the_faults_are_cleared(account_on: Any, own_server: Any, wait_until: Any) -> None:
    account = account_on(own_server, "slow-shop")
    account.fault("nhanh", "slow", seconds=0.3, count=1)
    started = time.monotonic()
    assert account.nhanh("business/depot")["code"] == 1
    assert time.monotonic() - started >= 0.3
    account.fault("nhanh", "slow", seconds=3600)
    answers: list[Any] = []
    slow = threading.Thread(target=lambda: answers.append(account.nhanh("business/depot")))
    slow.start()
    wait_until(lambda: own_server.control("GET", "faults")[-1]["hits"] > 0, "the call does not come to the fault")

    def ended() -> bool:
        own_server.control("DELETE", "faults")
        slow.join(0.1)
        return not slow.is_alive()

    wait_until(ended, "the call does not end")
    assert answers[0]["code"] == 1


def test_the_log_on_disk_holds_every_request_and_no_secret(account: Any) -> None:
    account.nhanh("app/checkaccesstoken", {"secretKey": "very-secret"})
    account.call("product/list", token="wrong")
    account.graphql("{ shop { name } }")
    path: Path = account.server.state / "requests.jsonl"
    text = path.read_text()
    mine = [e for line in text.splitlines() if (e := json.loads(line))["account"] == account.name]
    assert [(e["platform"], e["path"], e["status"], e["errors"]) for e in mine] == [
        ("nhanh", "app/checkaccesstoken", 200, []),
        ("nhanh", "product/list", 200, ["ERR_INVALID_ACCESS_TOKEN"]),
        ("shopify", f"{account.name}/2026-10", 200, []),
    ]
    assert mine == account.log("nhanh") + account.log("shopify")
    for secret in ("very-secret", account.made["nhanh"]["credentials"]["access_token"]):
        assert secret not in text


def test_an_account_is_made_once(account: Any) -> None:
    small = {"products": 30, "customers": 30, "seed": 7}
    again = account.server.control("POST", "shops", {"account": account.name, "nhanh": small, "shopify": small})
    assert again == account.made
    other = {"account": account.name, "nhanh": {**small, "seed": 8}}
    refused = account.server.http.post("/_sandbox/shops", json=other)
    assert refused.status_code == 409
    assert account.name in refused.json()["detail"]


def test_kill_9_keeps_shops_writes_counts_faults_and_log(own_server: Any, account_on: Any) -> None:
    account = account_on(own_server, "kept-shop")
    customer = account.records("shopify", "customer")[0]["id"]
    account.graphql(UPDATE, input={"id": customer, "note": "kept"})
    account.switch("nhanh", calls=77)
    account.fault("nhanh", "5xx", count=1)
    before = own_server.control("GET", "shops")
    own_server.kill()
    with (own_server.state / "requests.jsonl").open("ab") as log:
        log.write(b'{"seq": 99, "torn')
    own_server.start()
    assert own_server.control("GET", "shops") == before
    assert before["accounts"]["kept-shop"]["shopify"]["writes"] == {"customerUpdate": 1}
    assert before["accounts"]["kept-shop"]["nhanh"]["settings"]["calls"] == 77
    assert next(d for d in account.records("shopify", "customer") if d["id"] == customer)["note"] == "kept"
    assert account.call("business/depot").status_code == 503
    assert [entry["seq"] for entry in own_server.control("GET", "requests")] == [1, 2]
    assert account_on(own_server, "kept-shop").made == account.made


def test_a_file_loads_with_its_bad_rows_named(new_account: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes("id|name|price|sku\n5|Áo thun|1000|A-1\n|Không id|1|\n6|Quần|nhiều|\n7|Mũ||\n".encode())
    account = new_account(
        nhanh={"path": str(path), "customers": 3}, shopify={"path": str(path), "customers": 3, "perturb": {"drop": 0}}
    )
    made = account.made["nhanh"]
    assert made["records"] == {"products": 2, "variants": 2, "customers": 3, "rows": 2}
    assert made["report"]["rows"] == 4
    assert [skipped["line"] for skipped in made["report"]["skipped"]] == [3, 4]
    items = {item["id"]: item for item in account.nhanh("product/list")["data"]}
    assert set(items) == {5, 7}
    assert items[5]["prices"]["retail"] == 1000
    assert items[7]["prices"]["retail"] is None
    variants = account.graphql("{ productVariants(first: 5) { nodes { price sku } } }")["data"]["productVariants"]
    assert "0.00" in {node["price"] for node in variants["nodes"]}
    assert len(account.server.control("GET", f"truth/{account.name}/product")) == 2


def test_an_unusable_file_is_refused_with_a_sentence(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "no.csv"
    path.write_text("code;label\n1;a\n")
    answer = server.http.post("/_sandbox/shops", json={"account": "no", "nhanh": {"path": str(path)}})
    assert answer.status_code == 422
    assert "no column id" in answer.json()["detail"]


def test_a_taken_port_is_reported_in_one_sentence(server: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox", "--port", str(server.port), "--state", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "another --port" in ended.stderr
    assert "Traceback" not in ended.stderr
