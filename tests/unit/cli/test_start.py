"""Requesting jobs: the content of the request."""

import json
from typing import Any

import httpx
import pytest


@pytest.fixture
def asked(api: Any) -> list[dict[str, Any]]:
    """The bodies that the API is sent."""
    bodies: list[dict[str, Any]] = []

    def accept(request: httpx.Request) -> httpx.Response:
        bodies.append(json.loads(request.content))
        return httpx.Response(202, json={"job_id": f"job-{len(bodies)}"})

    api(accept)
    return bodies


@pytest.mark.parametrize(
    ("chain", "match", "sync"),
    [("products", "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC"), ("customers", "AUTO_MATCH_CUSTOMERS", "CUSTOMER_SYNC")],
)
@pytest.mark.parametrize("dry", [True, False])
def test_a_chain_runs_dry_where_it_would_write(
    asked: list[dict[str, Any]], run: Any, chain: str, match: str, sync: str, dry: bool
) -> None:
    ended = run("jobs", "start", chain, "--account", "lan-shop", *["--dry-run"][: int(dry)])
    assert ended.code == 0
    assert len(asked) == 2
    assert len({body["chain"] for body in asked}) == 1
    for body in asked:
        assert body["params"] == {}
        (matching,) = body["then"]
        (syncing,) = matching["then"]
        assert (matching["type"], matching.get("params", {})) == (match, {})
        assert (syncing["type"], syncing.get("params", {})) == (sync, {"dry_run": True} if dry else {})


def test_a_single_sync_runs_dry_and_keeps_its_other_parameters(asked: list[dict[str, Any]], run: Any) -> None:
    params = ("--params", '{"confirm": "plan-1"}')
    assert run("jobs", "start", "PRODUCT_SYNC", "--account", "lan-shop", "--dry-run", *params).code == 0
    assert [body["params"] for body in asked] == [{"confirm": "plan-1", "dry_run": True}]


def test_a_job_that_writes_nothing_has_no_dry_run(asked: list[dict[str, Any]], run: Any) -> None:
    ended = run("jobs", "start", "PULL_NHANH_PRODUCTS", "--account", "lan-shop", "--dry-run")
    assert (ended.code, asked) == (1, [])
    assert ended.err.startswith("PULL_NHANH_PRODUCTS writes to no platform")
