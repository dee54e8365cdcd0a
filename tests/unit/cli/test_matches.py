"""Pairs that wait for review, with what people need to decide, and their decision."""

import json
from typing import Any

import httpx
import pytest

PAIR = {
    "tenant": "t",
    "account": "lan-shop",
    "kind": "product",
    "platform": "shopify",
    "hub_id": "504",
    "remote_id": "gid://shopify/ProductVariant/9",
    "status": "review",
    "method": "title",
    "score": 0.9,
    "reason": "only their names agree [/b]",
    "hub": {"title": "Nồi cơm [/red]", "sku": "NC1"},
    "remote": None,
}


def test_both_records_are_shown_with_the_reason(api: Any, run: Any) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = dict(request.url.params)
        assert asked.pop("names") == "true" and asked.pop("limit") == "20"
        assert asked == {"tenant": "t", "status": "review"}
        return httpx.Response(200, json={"matches": [PAIR, PAIR | {"reason": None}], "next": None, "total_text": "2"})

    api(answer)
    ended = run("matches", "list", "--tenant", "t", "--status", "review")
    assert ended.code == 0
    for words in ("Nồi cơm [/red]", "SKU NC1", "│ 9 ", "title 0.90", "only their names agree [/b]", "2 shown of 2"):
        assert words in ended.out


@pytest.mark.parametrize(("command", "action"), [("confirm", "create"), ("reject", "delete")])
@pytest.mark.parametrize(
    ("kind", "given", "sent"),
    [
        ("product", "9", "gid://shopify/ProductVariant/9"),
        ("customer", "9", "gid://shopify/Customer/9"),
        ("product", "gid://shopify/ProductVariant/9", "gid://shopify/ProductVariant/9"),
    ],
)
def test_a_decision_is_a_job(api: Any, run: Any, command: str, action: str, kind: str, given: str, sent: str) -> None:
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(202, json={"job_id": "job-1"})

    api(answer)
    ended = run("matches", command, "504", given, "--account", "lan-shop", "--tenant", "t", "--kind", kind)
    assert ended.code == 0 and "jobtrail jobs watch job-1" in ended.out
    (body,) = bodies
    assert (body["type"], body["tenant"], body["account"]) == ("EDIT_MATCH", "t", "lan-shop")
    ids = {"hub_id": "504", "platform": "shopify", "remote_id": sent}
    assert body["params"] == {"action": action, "kind": kind, **ids}
    assert run("matches", command, "504", given, "--account", "lan-shop", "--kind", "Product").code == 1
    assert len(bodies) == 1


@pytest.mark.parametrize(("command", "action"), [("confirm", "create"), ("reject", "delete")])
def test_a_record_of_another_channel_keeps_its_id(api: Any, run: Any, command: str, action: str) -> None:
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(202, json={"job_id": "job-1"})

    api(answer)
    ended = run("matches", command, "504", "9", "--account", "lan-shop", "--platform", "paper-shop")
    assert ended.code == 0
    ids = {"hub_id": "504", "platform": "paper-shop", "remote_id": "9"}
    assert bodies[0]["params"] == {"action": action, "kind": "product", **ids}
