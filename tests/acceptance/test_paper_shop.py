"""A platform from outside the repository: a JSON file as a shop is pulled, matched and synced by the real services.

The package `paper_shop` and its entry point lie in tests/paper_shop, which is on the services' PYTHONPATH. Nothing else
in the repository knows of it.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

WaitUntil = Callable[..., None]
ROOT = Path(__file__).parents[2]
ACCOUNT = {"tenant": "default", "account": "lan-shop"}
HUB = [
    {"id": 11, "title": "Áo thun trắng cổ tròn", "units": [{"sku": "AT-01", "price": "120000", "stock": [7]}]},
    {"id": 12, "title": "Quần jean xanh", "units": [{"sku": "QJ-02", "price": "350000", "stock": [3]}]},
    {"id": 13, "title": "Mũ len", "units": [{"sku": "ML-03", "price": "90000", "stock": [5]}]},
]
PAPER = [
    {"id": "a", "title": "Áo thun trắng cổ tròn", "sku": "AT-01", "price": "115000", "stock": {"counter": 2}},
    {"id": "b", "title": "Quần jean xanh", "sku": "QJ-02", "price": "350000", "stock": {"counter": 3}},
    {"id": "c", "title": "Vớ cotton", "sku": "SO-09", "price": "20000", "stock": {"counter": 50}},
]


class System:
    """The running system and one account in it."""

    def __init__(self, user: Any, wait_until: WaitUntil) -> None:
        running = json.loads((user.folder / ".jobtrail" / "running.json").read_text())
        self.api = httpx.Client(base_url=running["api"], timeout=120)
        self.sandbox = httpx.Client(base_url=running["sandbox"], timeout=120)
        self._user = user
        self._wait_until = wait_until

    def connect(self, platform: str, *options: str) -> None:
        done = self._user.run("accounts", "add", ACCOUNT["account"], platform, *options)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, job_type: str, **params: Any) -> dict[str, Any]:
        """Run one job to its end."""
        answer = self.api.post("/jobs", json={"type": job_type, **ACCOUNT, "params": params})
        assert answer.is_success, answer.text
        job_id = answer.json()["job_id"]

        def job() -> dict[str, Any]:
            found = self.api.get(f"/jobs/{job_id}")
            return found.json()["job"] if found.is_success else {}

        self._wait_until(lambda: job().get("state") == "finished", f"the end of {job_type}")
        return job()

    def listed(self, what: str, **filters: Any) -> list[dict[str, Any]]:
        answer = self.api.get(f"/{what}", params={**ACCOUNT, **filters})
        assert answer.is_success, answer.text
        return answer.json()[what]


def test_the_package_of_a_platform_is_small() -> None:
    package = ROOT / "tests" / "paper_shop"
    lines = sum(len(file.read_text("utf-8").splitlines()) for file in package.glob("*.py"))
    assert lines <= 150


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_shop_on_paper_is_pulled_matched_and_synced(user: Any, wait_until: WaitUntil, tmp_path: Path) -> None:
    user.env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "tests" / "paper_shop"), user.env.get("PYTHONPATH", "")])
    file = tmp_path / "shop.json"
    file.write_text(json.dumps({"currency": "VND", "products": PAPER}), "utf-8")
    with user.running("up") as up:
        wait_until(lambda: "Ctrl-C stops everything" in user.output() or up.poll() is not None, "the system to be up")
        assert up.poll() is None, user.output()[-3000:]
        system = System(user, wait_until)
        _connect(system, file)
        assert user.run("accounts", "check", ACCOUNT["account"]).stdout.count("✔") == 2

        _pull(system)
        _match(system)
        _sync(system, file)


def _connect(system: System, file: Path) -> None:
    source = {"products": HUB, "customers": [], "places": 1}
    answer = system.sandbox.post("/_sandbox/shops", json={"account": ACCOUNT["account"], "nhanh": source})
    assert answer.is_success, answer.text
    shop = answer.json()["nhanh"]
    credentials = [f"--credential={name}={value}" for name, value in shop["credentials"].items()]
    system.connect("nhanh", "--base-url", shop["base_url"], *credentials)
    system.connect("paper-shop", "--credential", f"file={file}")


def _pull(system: System) -> None:
    for job_type in ("PULL_NHANH_PRODUCTS", "PULL_PAPER_SHOP_PRODUCTS"):
        job = system.run(job_type)
        assert (job["outcome"], job["counters"]["processed"], job["metadata"]["created"]) == ("success", 3, 3), job
    assert job["metadata"]["pages"] == 2
    again = system.run("PULL_PAPER_SHOP_PRODUCTS")
    assert (again["metadata"]["unchanged"], again["metadata"]["updated"]) == (3, 0)
    paper = system.listed("products", platform="paper-shop")
    assert {(row["variant_id"], row["sku"]) for row in paper} == {(one["id"], one["sku"]) for one in PAPER}
    assert {row["title"] for row in system.listed("products", platform="nhanh")} == {one["title"] for one in HUB}

    customers = system.run("PULL_PAPER_SHOP_CUSTOMERS")
    assert (customers["outcome"], customers["error"]["code"]) == ("failure", "NOT_OFFERED")
    unknown = system.api.get("/products", params={**ACCOUNT, "platform": "stone-shop"})
    assert unknown.status_code == 422
    assert "nhanh, paper-shop, shopify" in unknown.json()["detail"]


def _match(system: System) -> None:
    job = system.run("AUTO_MATCH_PRODUCTS", platform="paper-shop")
    assert job["outcome"] == "success", job
    found = system.listed("matches", kind="product", platform="paper-shop")
    assert {(row["hub_id"], row["remote_id"], row["status"]) for row in found} == {
        ("11", "a", "auto"),
        ("12", "b", "auto"),
    }
    assert {row["platform"] for row in found} == {"paper-shop"}


def _sync(system: System, file: Path) -> None:
    dry = system.run("PRODUCT_SYNC", platform="paper-shop", dry_run=True)
    assert dry["outcome"] == "success", dry
    assert json.loads(file.read_text("utf-8"))["products"] == PAPER
    job = system.run("PRODUCT_SYNC", platform="paper-shop")
    assert (job["outcome"], job["metadata"]["updated"], job["metadata"]["unchanged"]) == ("success", 1, 1), job
    expected = [{**PAPER[0], "price": "120000", "stock": {"counter": 7}}, *PAPER[1:]]
    assert json.loads(file.read_text("utf-8"))["products"] == expected
    again = system.run("PRODUCT_SYNC", platform="paper-shop")
    assert (again["metadata"]["updated"], again["metadata"]["unchanged"]) == (0, 2)
    assert json.loads(file.read_text("utf-8"))["products"] == expected
