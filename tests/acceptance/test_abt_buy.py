"""The whole road on a public benchmark of real catalogues, while every service is killed once; then once more."""

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

WaitUntil = Callable[..., None]
SERVICES = (
    ("puller",),
    ("matcher",),
    ("matcher", "agent"),
    ("syncer",),
    ("job_tracker", "projector"),
    ("job_tracker", "items"),
    ("job_tracker", "api"),
)
# The moment to kill each: when its own work is under way.
KILL_WHEN = {
    "puller": "PULL_SHOPIFY_PRODUCTS    RUNNING",
    "matcher": "AUTO_MATCH_PRODUCTS      RUNNING",
    "syncer": "PRODUCT_SYNC             RUNNING",
    "job_tracker": "PULL_SHOPIFY_PRODUCTS    RUNNING",
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="|"))


@pytest.mark.timeout(1800)
def test_abt_buy_with_every_service_killed_and_again_without_a_write(
    user: Any,
    data: Path,
    wait_until: WaitUntil,
    service_process: Callable[[subprocess.Popen[str], tuple[str, ...]], psutil.Process | None],
) -> None:
    abt, buy = data / "abt-buy" / "abt.csv", data / "abt-buy" / "buy.csv"
    arguments = ("demo", "--nhanh", str(abt), "--shopify", str(buy))
    with user.running(*arguments) as demo:
        waiting = list(SERVICES)
        while waiting:
            due = [command for command in waiting if KILL_WHEN[command[0]] in user.output()]
            for command in due:
                wait_until(lambda command=command: service_process(demo, command))
                found = service_process(demo, command)
                assert found is not None
                found.kill()
                waiting.remove(command)
            wait_until(
                lambda: (
                    demo.poll() is not None or any(KILL_WHEN[c[0]] in user.output() for c in waiting) or not waiting
                ),
                "the demo to come to the next service",
            )
            assert demo.poll() is None or not waiting, f"ended before {waiting} was killed:\n{user.output()[-3000:]}"
        wait_until(lambda: demo.poll() is not None, "the end of the demo")
    assert demo.returncode == 0, user.output()[-4000:]
    first = user.report()
    check_counts(first, rows_of(abt), rows_of(buy))
    writes = first["platforms"]["shopify"]["writes_received"]
    assert sum(writes.values()) > 0
    assert first["wrote_nothing"] is False
    assert user.output().count("died") >= len(SERVICES)

    again = user.run(*arguments, timeout=800)
    assert again.returncode == 0, again.stdout[-4000:] + again.stderr
    second = user.report()
    assert "Nothing was written to any platform" in again.stdout
    assert second["wrote_nothing"] is True
    assert not sum(second["platforms"]["shopify"]["writes_received"].values())
    check_counts(second, rows_of(abt), rows_of(buy))
    pulled = {name: second["job_types"][f"PULL_{name}_PRODUCTS"]["metadata"] for name in ("NHANH", "SHOPIFY")}
    written = first["job_types"]["PRODUCT_SYNC"]["metadata"]["updated"]
    assert (pulled["NHANH"]["created"], pulled["NHANH"]["updated"]) == (0, 0)
    assert (pulled["SHOPIFY"]["created"], pulled["SHOPIFY"]["updated"]) == (0, written)
    for job_type in ("PRODUCT_SYNC", "CUSTOMER_SYNC"):
        job = second["job_types"][job_type]
        assert job["metadata"]["unchanged"] == job["counters"]["processed"] > 0
    assert second["catalogue"] == first["catalogue"]


def check_counts(report: dict[str, Any], abt: list[dict[str, str]], buy: list[dict[str, str]]) -> None:
    """Every count follows from the files."""
    jobs = report["job_types"]
    assert len(jobs) == 8
    assert {job["status"] for job in jobs.values()} == {"COMPLETED"}
    assert jobs["PULL_NHANH_PRODUCTS"]["counters"]["successful"] == len(abt) == 1076
    assert jobs["PULL_SHOPIFY_PRODUCTS"]["counters"]["successful"] == len(buy) == 1076
    for platform, rows in (("nhanh", abt), ("shopify", buy)):
        counts = report["platforms"][platform]
        assert counts["loaded"]["rows"] == len(rows)
        assert counts["loaded"]["skipped"] == []
        assert counts["records_before"]["products"] == counts["records_after"]["products"] == len(rows)
        assert report["catalogue"][f"{platform} products"] == len(rows)
    match = jobs["AUTO_MATCH_PRODUCTS"]
    assert match["counters"]["total"] == match["counters"]["processed"] == len(abt)
    linked = report["catalogue"]["product matches auto"]
    assert match["metadata"]["matched"] == match["counters"]["successful"] == linked > 0
    sync = jobs["PRODUCT_SYNC"]["counters"]
    assert sync["total"] == sync["processed"] == linked
    assert sync["failed"] == 0
    customers = report["catalogue"]["customer matches auto"]
    assert jobs["CUSTOMER_SYNC"]["counters"]["processed"] == customers > 0
