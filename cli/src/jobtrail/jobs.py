"""`jobtrail jobs`: what the API knows and can do, from a terminal."""

import json
import time
from typing import Annotated, Any

import typer
from msgspec import to_builtins
from rich.live import Live
from rich.table import Table
from uuid_utils import uuid7

from job_events.job_types import CHAINS, JOB_TYPES
from jobtrail import terminal
from jobtrail.errors import Refused
from jobtrail.home import Home
from jobtrail.tables import STATUS_STYLES, counters_text, jobs_table
from jobtrail.tracker import Json, Tracker, Unreachable

app = typer.Typer(no_args_is_help=True)
console = terminal.console()
WATCH_SECONDS = 1.0

JobId = Annotated[str, typer.Argument(help="the job's id")]
Reason = Annotated[str, typer.Option(help="why, for the job's timeline")]


@app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="PENDING, RUNNING, COMPLETED, MIXED, FAILED or CANCELLED")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="such as PRODUCT_SYNC")] = None,
    account: str | None = None,
    tenant: str | None = None,
    chain: str | None = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
) -> None:
    """Jobs, newest first."""
    filters = {"status": status, "type": job_type, "account": account, "tenant": tenant, "chain": chain}
    jobs: list[Json] = []
    total = "0"
    with console.status("Reading jobs") as spinner:
        for page in _tracker().pages(limit, **filters):
            jobs += page["jobs"]
            total = page["total_text"]
            if page["partial"]:
                looked = page["scanned_to"]["created_at"]
                spinner.update(f"Found {len(jobs):,}; looked through all jobs back to {looked}, reading on")
    console.print(jobs_table(jobs))
    console.print(f"{len(jobs):,} shown of {total}")


@app.command()
def show(job_id: JobId) -> None:
    """One job with its timeline."""
    tracker = _tracker()
    job = tracker.get(f"/jobs/{job_id}")["job"]
    console.print(jobs_table([job]))
    console.print_json(json.dumps({name: job.get(name) for name in ("params", "metadata", "error") if job.get(name)}))
    timeline = Table(title="Timeline", title_justify="left", header_style="bold")
    for name in ("Time", "Event", "Attempt", "Seq", "Verdict"):
        timeline.add_column(name)
    for event in tracker.get(f"/jobs/{job_id}/events", limit=200)["events"]:
        numbers = ("" if event.get(name) is None else str(event[name]) for name in ("attempt", "seq"))
        timeline.add_row(event["time"], event["type"], *numbers, event["verdict"])
    console.print(timeline)


@app.command()
def watch(job_id: JobId) -> None:
    """Follow a job to its end; exit code 0 if it ended well or in part."""
    tracker = _tracker()
    with Live(console=console, refresh_per_second=4) as live:
        while True:
            try:
                job = tracker.get(f"/jobs/{job_id}")["job"]
            except Unreachable as error:
                live.update(f"[yellow]{error}[/]")
            else:
                live.update(_line(job))
                if job["state"] == "finished":
                    raise typer.Exit(0 if job["outcome"] in {"success", "partial"} else 1)
            time.sleep(WATCH_SECONDS)


@app.command()
def start(
    what: Annotated[str, typer.Argument(help=f"a job type, or a chain: {', '.join(CHAINS)}")],
    account: Annotated[str, typer.Option(help="for which account")],
    tenant: Annotated[str, typer.Option(help="of which tenant")] = "default",
    params: Annotated[str, typer.Option(help="parameters as JSON")] = "{}",
    priority: Annotated[str, typer.Option(help="low, normal, high or urgent")] = "normal",
) -> None:
    """Request a job, or all first jobs of a chain."""
    if what not in JOB_TYPES and what not in CHAINS:
        raise Refused(f"There is no job type or chain {what!r}; known are {', '.join([*CHAINS, *JOB_TYPES])}")
    tracker = _tracker()
    chain = CHAINS.get(what)
    common = {"tenant": tenant, "account": account, "params": _object(params), "priority": priority}
    together = {"chain": str(uuid7()), "then": to_builtins(chain.then)} if chain else {}
    for job_type in chain.first if chain else (what,):
        answer = tracker.post("/jobs", {"type": job_type, **common, **together})
        console.print(f"{job_type} [bold]{answer['job_id']}[/]  (follow: jobtrail jobs watch {answer['job_id']})")


@app.command()
def cancel(job_id: JobId, reason: Reason = "") -> None:
    """Ask for the end of a job."""
    _command(job_id, "cancel", reason)


@app.command()
def pause(job_id: JobId, reason: Reason = "") -> None:
    """Hold a job at its next safe point."""
    _command(job_id, "pause", reason)


@app.command()
def resume(job_id: JobId, reason: Reason = "") -> None:
    """Let a held job go on."""
    _command(job_id, "resume", reason)


@app.command()
def retry(job_id: JobId) -> None:
    """Run a finished job again, as a new job."""
    answer = _tracker().post(f"/jobs/{job_id}/retry")
    console.print(f"New job [bold]{answer['job_id']}[/]")


def _command(job_id: str, verb: str, reason: str) -> None:
    _tracker().post(f"/jobs/{job_id}/{verb}", {"reason": reason})
    console.print(f"Asked for: {verb} {job_id}")


def _line(job: Json) -> str:
    phase = f" · {job['phase']}" if job.get("phase") and job["state"] == "running" else ""
    error = f" · {job['error']['message']}" if job.get("error") else ""
    style = STATUS_STYLES.get(job["status"], "")
    return f"{job['type']} [{style}]{job['status']}[/] {counters_text(job)}{phase}{error}"


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise Refused(f"--params is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Refused("--params must be a JSON object")
    return value


def _tracker() -> Tracker:
    return Tracker(Home().api())
