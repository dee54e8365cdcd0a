"""The report of a demo, on the screen and as demo-report.json."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobtrail.demo.next_day import NextDay, drifts
from jobtrail.demo.plan import TENANT, DemoPlan
from jobtrail.tables import Jobs
from jobtrail.tracker import Json, Tracker

REPORT = Path("demo-report.json")
PLATFORMS = ("nhanh", "shopify")


def build_report(
    plan: DemoPlan,
    tracker: Tracker,
    jobs: list[Json],
    day: NextDay,
    load: Json,
    before: Json,
    after: Json,
    seconds: float,
) -> Json:
    """The report as data. `before` and `after` the chains are the sandbox's counts for the shops of this account."""
    platforms = {
        name: {
            "records_before": before[name]["records"],
            "records_after": after[name]["records"],
            "writes_received": _difference(after[name]["writes"], before[name]["writes"]),
            "requests": after[name]["requests"] - before[name]["requests"],
            "loaded": load[name]["report"],
        }
        for name in PLATFORMS
    }
    return {
        "tenant": TENANT,
        "account": plan.account,
        "inputs": {
            "nhanh": str(plan.nhanh) if plan.nhanh else "seeded",
            "shopify": str(plan.shopify) if plan.shopify else "seeded",
            "perturbed": plan.perturbed,
        },
        "job_types": {job["type"]: _job(job) for job in jobs},
        "platforms": platforms,
        "catalogue": _catalogue(tracker, plan.account),
        "waiting_by_name": _waiting_by_name(jobs),
        "wrote_nothing": not any(sum(p["writes_received"].values()) for p in platforms.values()),
        "next_day": {"edited_products": day.edited, "jobs": [_job(job) | {"type": job["type"]} for job in day.jobs]},
        "seconds": round(seconds, 1),
    }


def _job(job: Json) -> Json:
    names = ("job_id", "status", "outcome", "attempt", "counters", "metadata", "error", "duration_ms")
    return {name: job.get(name) for name in names}


def _waiting_by_name(jobs: list[Json]) -> int:
    """How many products wait for review because only their names agree."""
    found = [(job.get("metadata") or {}).get("waitingByName") for job in jobs if job["type"] == "AUTO_MATCH_PRODUCTS"]
    return sum(count for count in found if isinstance(count, int))


def _catalogue(tracker: Tracker, account: str) -> Json:
    """What the catalogue holds of this account, counted by the API."""
    counts: Json = {}
    of_demo = {"tenant": TENANT, "account": account}
    for platform in PLATFORMS:
        for kind in ("products", "customers"):
            counts[f"{platform} {kind}"] = tracker.total(f"/{kind}", platform=platform, **of_demo)
    for kind in ("product", "customer"):
        for status in ("auto", "review"):
            counts[f"{kind} matches {status}"] = tracker.total("/matches", kind=kind, status=status, **of_demo)
    return counts


def _difference(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {kind: count - before.get(kind, 0) for kind, count in after.items()}


def show_report(console: Console, report: Json, jobs: list[Json], day: NextDay, api: str) -> None:
    """Print the jobs, the counts and the next commands."""
    console.print()
    console.print(Jobs(jobs, datetime.now(UTC), title="Jobs"))
    if day.edited:
        console.print(Jobs(day.jobs, datetime.now(UTC), title=f"After {len(day.edited)} edits in the hub"))
        console.print(
            "Differences between hub and channel, before and after the sync: " + ", then ".join(map(str, drifts(day)))
        )
    table = Table(title="Platforms", title_justify="left", header_style="bold")
    for name in ("Platform", "Records before", "Records after", "Writes received", "Requests"):
        table.add_column(name)
    for name, counts in report["platforms"].items():
        table.add_row(
            name,
            _counts(counts["records_before"]),
            _counts(counts["records_after"]),
            _counts(counts["writes_received"]) or "none",
            f"{counts['requests']:,}",
        )
    console.print(table)
    catalogue = Table(title="Catalogue", title_justify="left", header_style="bold")
    catalogue.add_column("What")
    catalogue.add_column("Count", justify="right")
    for what, count in report["catalogue"].items():
        catalogue.add_row(what, f"{count:,}")
    console.print(catalogue)
    for name in PLATFORMS:
        for skipped in report["platforms"][name]["loaded"].get("skipped", [])[:10]:
            said = f"{name}: line {skipped['line']} skipped: {skipped['reason']}"
            console.print(Text(said, style="yellow"))
    for line in waiting_lines(report):
        console.print(Text(line, style="yellow"), soft_wrap=True)
    if report["wrote_nothing"]:
        console.print("[green]Nothing was written to any platform: all items were unchanged.[/]")
    console.print(f"Report as JSON: {REPORT.resolve()}", markup=False)
    console.print("Next: [bold]make up[/] leaves the system running; then [bold].venv/bin/jobtrail jobs list[/],")
    console.print(f'      {api}/docs for the API, and [bold]make kafka ARGS="topics --list"[/] for the log.')


def waiting_lines(report: Json) -> list[str]:
    """The commands for products that wait because only their names agree; empty if none does."""
    waiting, account = report["waiting_by_name"], report["account"]
    if not waiting:
        return []
    whom = "1 product waits" if waiting == 1 else f"{waiting:,} products wait"
    linked = "" if report["catalogue"]["product matches auto"] else " No product is linked."
    of_demo = f"--tenant {TENANT} --account {account}"
    setting = """'{"link_by_name": "auto"}'"""
    return [
        f"{whom} for review: only their names agree.{linked} While `make up` runs:",
        f"  look at them:    .venv/bin/jobtrail matches list {of_demo} --kind product --status review",
        f"  let names link:  .venv/bin/jobtrail accounts settings {account} --tenant {TENANT} --set {setting}",
        "Or let names link in a run of its own: `make demo` with the same files and LINK_BY_NAME=auto",
    ]


def write_report(report: Json) -> None:
    """Write demo-report.json into the present folder."""
    REPORT.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
