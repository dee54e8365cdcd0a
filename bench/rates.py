"""How much of the platforms' rate limits long pulls use: `python -m bench.rates --seconds 95`.

Two accounts are connected to the same two shops of the sandbox, and two copies of the puller read them, so that every
limit has several jobs and several processes behind it. The use is counted from the sandbox's own request log, and the
limits come from SANDBOX_LIMITS. Prints `figure NAME VALUE UNIT`; progress goes to the standard error.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from jobtrail.account_store import open_accounts
from jobtrail.home import Home, Ports
from jobtrail.system import System, running_system, services
from jobtrail.tracker import Tracker

TENANT, ACCOUNTS = "bench", ("rates", "rates-too")
LIMITS: dict[str, dict[str, float]] = {
    "nhanh": {"calls": 150, "window_seconds": 30},
    "shopify": {"bucket": 2000, "restore_rate": 100},
}
"""As documented: Nhanh's for an app, business and URL, and Shopify's standard plan."""
PULLS: dict[str, dict[str, Any]] = {
    "PULL_NHANH_PRODUCTS": {"page_size": 5},
    "PULL_NHANH_CUSTOMERS": {"page_size": 5},
    "PULL_SHOPIFY_PRODUCTS": {},
    "PULL_SHOPIFY_CUSTOMERS": {},
}
"""Small pages of Nhanh, so that a pull is long with few records."""
RECORDS = 3000
FULL_BUCKET_SECONDS = 30.0
"""How long a full bucket of Shopify may serve before its restore rate alone limits the pulls."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.rates", description=__doc__)
    parser.add_argument("--seconds", type=float, default=95.0, help="how long the pulls are measured")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="jobtrail-rates-") as text:
        folder = Path(text)
        folder.chmod(0o755)
        limits = folder / "limits.json"
        limits.write_text(json.dumps(LIMITS))
        os.environ["SANDBOX_LIMITS"] = str(limits)
        home = Home(folder / "home")
        with running_system(home, Ports(), lambda _: None) as system:
            puller = next(spec for spec in services(system.running, home) if spec.name == "puller")
            system.stack.start_services([replace(puller, name="puller-2")])
            system.stack.wait_ready(60)
            measure(system, home, seconds)
    return 0


def measure(system: System, home: Home, seconds: float) -> None:
    """Run all pulls of both accounts for so long, and print what the sandbox counted."""
    with httpx.Client(base_url=f"{system.running.sandbox}/_sandbox", timeout=300) as sandbox:
        records = {"products": RECORDS, "customers": RECORDS}
        body = {"account": ACCOUNTS[0], "nhanh": records, "shopify": records}
        shops = sandbox.post("/shops", json=body).raise_for_status().json()
        with open_accounts(system.running.database, home.secret_key()) as accounts:
            for account in ACCOUNTS:
                accounts.put_account(TENANT, account, {})
                for platform in ("nhanh", "shopify"):
                    shop = shops[platform]
                    accounts.put_connection(TENANT, account, platform, shop["base_url"], shop["credentials"])
        tracker = Tracker(system.running.api, actor="bench")
        jobs = [
            tracker.post("/jobs", {"type": pull, "tenant": TENANT, "account": account, "params": params})["job_id"]
            for account in ACCOUNTS
            for pull, params in PULLS.items()
        ]
        print(f"{len(jobs)} pulls run for {seconds:.0f} s", file=sys.stderr)
        time.sleep(seconds)
        unfinished = [job for job in jobs if tracker.job(job)["state"] != "finished"]
        usages = sandbox.get("/usage", params={"account": ACCOUNTS[0]}).raise_for_status().json()
        if len(unfinished) < len(jobs) / 2:
            raise RuntimeError(f"{len(jobs) - len(unfinished)} of {len(jobs)} pulls had ended: they were too short")
        for job in unfinished:
            tracker.command(f"/jobs/{job}/cancel", "measured")
    for platform in ("nhanh", "shopify"):
        mine = [usage for usage in usages if usage["platform"] == platform]
        used, allowed = (sum(part) for part in zip(*map(use_of, mine), strict=True))
        print(f"figure rate_used_{platform} {used / allowed:.4g} ratio")
        print(f"figure own_429_{platform} {sum(usage['refused'] for usage in mine)} answers", flush=True)


def use_of(usage: dict[str, Any]) -> tuple[float, float]:
    """(used, allowed) from a window's begin to the begin of the last one, which is not over yet.

    Shopify's first windows are left out: there a full bucket serves, and the pulls begin.
    """
    windows = usage["windows"]
    if usage["platform"] == "shopify":
        windows = [one for one in windows if one["began"] >= windows[0]["began"] + FULL_BUCKET_SECONDS]
    if len(windows) < 2:
        raise RuntimeError(f"{usage['platform']} {usage['key']}: {len(windows)} windows are too few to count")
    span = windows[-1]["began"] - windows[0]["began"]
    rate = LIMITS["nhanh"]["calls"] / LIMITS["nhanh"]["window_seconds"]
    if usage["platform"] == "shopify":
        rate = LIMITS["shopify"]["restore_rate"]
    return sum(window["used"] for window in windows[:-1]), span * rate


if __name__ == "__main__":
    sys.exit(main())
