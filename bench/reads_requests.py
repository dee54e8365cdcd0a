"""The requests of the read benchmark: every list, filter, search, detail and statistic, with random values."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from job_events.job_types import JOB_TYPES
from job_tracker.api.jobs import JOBS
from job_tracker.api.list_statements import Count, ListQuery, cursor_after

STATUSES = ("COMPLETED", "MIXED", "FAILED", "CANCELLED")
TYPES = tuple(name for name in JOB_TYPES if name != "EDIT_MATCH")
# It has most of the jobs. What is narrowed further is asked of it: elsewhere the small table has nothing to fill a page
# with, or to look through, and a page of two rows would be compared with one of fifty.
LARGEST = "tenant-01"


@dataclass(frozen=True, slots=True)
class Known:
    """A job of the table that requests may name."""

    job_id: str
    tenant: str
    chain: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Chance:
    """Draws the values of a request. Every hundredth job has a history, every thousandth has items."""

    random: random.Random
    any: Sequence[Known]
    with_history: Sequence[Known]
    with_items: Sequence[Known]

    def tenant(self) -> str:
        return f"tenant-{self.random.randrange(1, 21):02}"

    def account(self) -> str:
        return f"shop-{self.random.randrange(1, 5)}"

    def type(self) -> str:
        return self.random.choice(TYPES)

    def status(self) -> str:
        return self.random.choice(STATUSES)

    def job(self) -> Known:
        return self.random.choice(self.any)


MakePath = Callable[[Chance], str]


def _jobs(**named: Callable[[Chance], object]) -> MakePath:
    return lambda chance: "/jobs?" + urlencode({name: draw(chance) for name, draw in named.items()}, doseq=True)


def _of_largest(**named: Callable[[Chance], object]) -> MakePath:
    return _jobs(tenant=lambda _: LARGEST, **named)


def _deep(chance: Chance) -> str:
    job = chance.job()
    row = {"created_at": job.created_at, "job_id": job.job_id}
    cursor = cursor_after(JOBS, ListQuery(filters={"tenant": [job.tenant]}), row, Count(rows=1, whole=True))
    return "/jobs?" + urlencode({"tenant": job.tenant, "cursor": cursor})


def _days(chance: Chance) -> str:
    since = chance.job().created_at
    days = {"from": since.isoformat(), "to": (since + timedelta(days=2)).isoformat()}
    return "/jobs?" + urlencode({"tenant": LARGEST, **days})


def _catalogue(path: str, text: str | None = None) -> MakePath:
    def ask(chance: Chance) -> str:
        given = {"tenant": LARGEST, "account": chance.account()} | ({"text": text} if text else {})
        return f"{path}?{urlencode(given)}"

    return ask


LISTS: dict[str, MakePath] = {
    "list_house": lambda _: "/jobs",
    "list_tenant": _jobs(tenant=Chance.tenant),
    "list_tenant_deep": _deep,
    "list_tenant_days": _days,
    "list_status": _of_largest(status=Chance.status),
    "list_two_statuses": _of_largest(status=lambda _: ["FAILED", "RUNNING"]),
    "list_type": _of_largest(type=Chance.type),
    "list_two_types": _of_largest(type=lambda _: ["PRODUCT_SYNC", "CUSTOMER_SYNC"]),
    "list_type_status": _of_largest(type=Chance.type, status=Chance.status),
    "list_account": _of_largest(account=Chance.account),
    "list_account_status": _of_largest(account=Chance.account, status=Chance.status),
    "list_chain": lambda chance: f"/jobs?chain={chance.job().chain}",
    "list_parent": lambda chance: f"/jobs?parent={chance.job().job_id}",
    "list_retry_of": lambda chance: f"/jobs?retry_of={chance.job().job_id}",
    "scan_house_failed": _jobs(status=lambda _: "FAILED"),
    "scan_account_type": _of_largest(account=Chance.account, type=Chance.type),
    "scan_text_found": _of_largest(text=lambda _: "sync"),
    "scan_text_nothing": _of_largest(text=lambda _: "nowhere to be found"),
    "list_products": _catalogue("/products"),
    "list_customers": _catalogue("/customers"),
    "list_matches": _catalogue("/matches"),
    "scan_products_text": _catalogue("/products", "cổ tròn"),
    "list_dead_letters": lambda _: "/dead-letters?consumer=puller",
}
OTHERS: dict[str, MakePath] = {
    "job": lambda chance: f"/jobs/{chance.job().job_id}",
    "job_events": lambda chance: f"/jobs/{chance.random.choice(chance.with_history).job_id}/events",
    "job_items": lambda chance: f"/jobs/{chance.random.choice(chance.with_items).job_id}/items",
    "job_items_of_the_biggest": lambda chance: f"/jobs/{chance.with_items[0].job_id}/items",
    "job_family": lambda chance: f"/jobs/{chance.job().job_id}/family",
    "stats_house": lambda _: "/stats",
    "stats_tenant": lambda chance: f"/stats?tenant={chance.tenant()}",
    "stats_tenant_type": lambda chance: f"/stats?tenant={chance.tenant()}&type={chance.type()}",
    "metrics": lambda _: "/metrics",
}
READ_REQUESTS = LISTS | OTHERS
