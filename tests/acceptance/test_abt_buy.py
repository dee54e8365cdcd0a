"""Pull, match and sync on a public benchmark of real catalogues: names wait for review, or link where that is set.

Where they link, every service is killed once, and a second run writes nothing.
"""

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
SYNCS = ("PRODUCT_SYNC", "CUSTOMER_SYNC")
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


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_abt_buy_with_every_service_killed_and_again_without_a_write(
    user: Any,
    data: Path,
    wait_until: WaitUntil,
    service_process: Callable[[subprocess.Popen[str], tuple[str, ...]], psutil.Process | None],
) -> None:
    abt, buy = data / "abt-buy" / "abt.csv", data / "abt-buy" / "buy.csv"
    files = ("demo", "--nhanh", str(abt), "--shopify", str(buy))
    arguments = (*files, "--link-by-name", "auto")
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
    assert first["waiting_by_name"] == 0
    assert "only their names agree" not in user.output()
    writes = first["platforms"]["shopify"]["writes_received"]
    assert sum(writes.values()) > 0
    assert first["wrote_nothing"] is False
    assert user.output().count("died") >= len(SERVICES)

    # The setting is stored: the option need not be repeated.
    again = user.run(*files, timeout=800)
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
    for job_type in SYNCS:
        job = second["job_types"][job_type]
        # What the first run held back is held back again: nobody has confirmed it.
        held = job["metadata"].get("held", 0)
        assert held == first["job_types"][job_type]["metadata"].get("held", 0)
        assert job["metadata"]["unchanged"] + held == job["counters"]["processed"] > 0
    assert second["catalogue"] == first["catalogue"]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_names_alone_wait_for_review(user: Any, data: Path) -> None:
    """These catalogues hold no code that both know: nothing links by itself, and the sync has nothing to write."""
    abt, buy = data / "abt-buy" / "abt.csv", data / "abt-buy" / "buy.csv"
    ended = user.run("demo", "--nhanh", str(abt), "--shopify", str(buy), timeout=800)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr
    report = user.report()
    jobs = report["job_types"]
    assert report["catalogue"]["product matches auto"] == 0
    waiting = report["waiting_by_name"]
    assert 0 < waiting == jobs["AUTO_MATCH_PRODUCTS"]["metadata"]["waitingByName"] <= len(rows_of(abt))
    assert report["catalogue"]["product matches review"] >= waiting
    assert (jobs["PRODUCT_SYNC"]["status"], jobs["PRODUCT_SYNC"]["counters"]["processed"]) == ("COMPLETED", 0)
    assert f"{waiting:,} products wait for review: only their names agree. No product is linked. " in ended.stdout
    account = report["account"]
    assert f"jobtrail matches list --tenant demo --account {account} --kind product --status review\n" in ended.stdout
    setting = '--set \'{"link_by_name": "auto"}\''
    assert f"jobtrail accounts settings {account} --tenant demo {setting}\n" in ended.stdout


def check_counts(report: dict[str, Any], abt: list[dict[str, str]], buy: list[dict[str, str]]) -> None:
    """Every count follows from the files."""
    jobs = report["job_types"]
    assert len(jobs) == 8
    for name, job in jobs.items():
        held = name in SYNCS and job["metadata"].get("held", 0) > 0
        assert job["status"] == ("MIXED" if held else "COMPLETED"), name
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
