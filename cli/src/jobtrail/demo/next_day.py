"""The second part of a demo: some products are edited in the hub, and the jobs of an ordinary day follow."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from uuid_utils import uuid7

from jobtrail.demo.plan import TENANT
from jobtrail.demo.run import IDLE_TIMEOUT, POLL_SECONDS, retry_while_unreachable
from jobtrail.errors import NotFound, UserError
from jobtrail.sandbox_client import Sandbox
from jobtrail.tracker import Json, Tracker

MOST_EDITED = 5
_EDITED_SHARE = 20  # one linked product of so many, so that no guard takes the edits for a mistake
_REFUSED = {
    "data": {
        "productVariantsBulkUpdate": {
            "productVariants": None,
            "userErrors": [{"field": ["variants", "0"], "message": "The variant is locked", "code": "INVALID_INPUT"}],
        }
    }
}
"""What the sandbox answers to the first price of the sync, as Shopify refuses a variant."""
STEPS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("INCREMENTAL_PULL", {"platform": "nhanh", "kind": "products"}),
    ("RECONCILE_PRODUCTS", {}),
    ("PRODUCT_SYNC", {}),
    ("RETRY_FAILED_SYNCS", {}),
    ("RECONCILE_PRODUCTS", {}),
)


@dataclass(slots=True)
class NextDay:
    """What was edited, and the jobs that followed, in order; both empty where no product is linked."""

    edited: list[str] = field(default_factory=list[str])
    jobs: list[Json] = field(default_factory=list[Json])


def run_next_day(tracker: Tracker, sandbox: Sandbox, account: str, show: Callable[[list[Json]], None]) -> NextDay:
    """Edit prices and stock in the hub, then run STEPS one by one; Shopify refuses the first price once.

    Raises:
        UserError: a job did not end.
    """
    day = NextDay(_edit_linked(tracker, sandbox, account))
    if not day.edited:
        return day
    for job_type, params in STEPS:
        if job_type == "PRODUCT_SYNC":
            sandbox.answer_once("shopify", account, says="productVariantsBulkUpdate", body=_REFUSED)
        if job_type == "RETRY_FAILED_SYNCS" and not _failed_items(day.jobs[-1]):
            continue  # every price was as it should be, so none was written and none refused
        day.jobs.append({})
        for job in _run(tracker, account, job_type, params):
            day.jobs[-1] = job
            show(day.jobs)
    return day


def _failed_items(sync: Json) -> int:
    return sync["metadata"].get("failed", 0) + sync["metadata"].get("partlyFailed", 0)


def drifts(day: NextDay) -> list[int]:
    """The differences that each reconcile found."""
    return [job["metadata"]["drifted"] for job in day.jobs if job["type"] == "RECONCILE_PRODUCTS"]


def _edit_linked(tracker: Tracker, sandbox: Sandbox, account: str) -> list[str]:
    """Raise the price by a hundredth and one, and the stock by one, of some linked products; their ids."""
    of_demo = {"tenant": TENANT, "account": account, "kind": "product", "status": "auto"}
    linked = tracker.total("/matches", **of_demo)
    wanted = {match["hub_id"] for match in tracker.matches(MOST_EDITED * 20, **of_demo)[0]}
    most = min(MOST_EDITED, max(1, linked // _EDITED_SHARE))
    edited: list[str] = []
    for product in sandbox.records(account, "nhanh", "product"):
        price = Decimal(str(product["prices"].get("retail") or 0))
        stock: dict[str, int] = product["_stock"]
        if len(edited) < most and str(product["id"]) in wanted and price > 0 and stock:
            depot, quantity = min(stock.items())
            sandbox.edit(
                account,
                "nhanh",
                "product",
                product["id"],
                set={"prices": {"retail": float(round(price * Decimal("1.01") + 1, 2))}},
                stock={depot: int(quantity) + 1},
            )
            edited.append(str(product["id"]))
    return edited


def _run(tracker: Tracker, account: str, job_type: str, params: dict[str, Any]) -> Iterator[Json]:
    """Start a job and give it as it is, again and again, until it has finished."""
    key = str(uuid7())
    body = {"type": job_type, "tenant": TENANT, "account": account, "params": params}
    started = retry_while_unreachable(lambda: tracker.post("/jobs", body, idempotency_key=key))
    seen: Json = {}
    moved = time.monotonic()
    while seen.get("state") != "finished":
        job = retry_while_unreachable(lambda: _present(tracker, started["job_id"]))
        if job is not None and job != seen:
            seen, moved = job, time.monotonic()
            yield job
        elif time.monotonic() - moved > IDLE_TIMEOUT:
            raise UserError(f"Job {started['job_id']} ({job_type}) has not changed for {IDLE_TIMEOUT:.0f} s")
        else:
            time.sleep(POLL_SECONDS)


def _present(tracker: Tracker, job_id: str) -> Json | None:
    try:
        return tracker.job(job_id)
    except NotFound:  # not yet in the table
        return None
