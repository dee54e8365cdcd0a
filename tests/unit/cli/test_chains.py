"""`jobtrail jobs start CHAIN` requests the first jobs of a chain, with their parameters and what follows them."""

import json
from typing import Any

import httpx


def test_a_chain_starts_with_the_parameters_of_its_first_jobs(api: Any, run: Any) -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(202, json={"job_id": "job-1"})

    api(answer)
    assert run("jobs", "start", "incremental", "--account", "lan-shop").code in (None, 0)
    assert run("jobs", "start", "sales", "--account", "lan-shop").code in (None, 0)
    assert run("jobs", "start", "products", "--account", "lan-shop").code in (None, 0)
    incremental, sales, *products = sent
    assert (incremental["type"], incremental["params"]) == (
        "INCREMENTAL_PULL",
        {"platform": "nhanh", "kind": "products"},
    )
    (stock,) = incremental["then"]
    (match,) = stock["then"]
    assert (stock["params"]["kind"], match["params"], match["then"][0]["type"]) == (
        "stock",
        {"since": "last"},
        "AUTO_SYNC_PRODUCTS",
    )
    assert (sales["type"], sales["params"], sales["then"]) == ("PULL_NHANH_ORDERS", {}, [])
    assert [one["type"] for one in products] == ["PULL_NHANH_PRODUCTS", "PULL_SHOPIFY_PRODUCTS"]
    assert len({one["chain"] for one in products}) == 1
