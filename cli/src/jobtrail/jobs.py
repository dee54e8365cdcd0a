"""`jobtrail jobs`: what the API knows and can do, from a terminal."""

import json
import re
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer
from msgspec import to_builtins
from msgspec.structs import replace
from rich.markup import escape
from rich.table import Table
from rich.text import Text
from uuid_utils import uuid7

from job_events.events import JOB_ID_PATTERN, Then
from job_events.job_types import CHAINS, JOB_TYPES
from jobtrail import terminal
from jobtrail.errors import Refused
from jobtrail.freshness import staleness
from jobtrail.home import Home
from jobtrail.json_option import json_object
from jobtrail.tables import Jobs, items_table
from jobtrail.tracker import Json, Tracker, job_path
from jobtrail.watch import changes_shown, follow_job

app = typer.Typer(no_args_is_help=True)
console = terminal.console()
MOST_EVENTS = 1000  # of one timeline; more are a question for the API


def _checked_id(job_id: str) -> str:
    if not re.fullmatch(JOB_ID_PATTERN, job_id):
        raise Refused(
            f"{job_id!r} is no job id: those are 1 to 128 letters, digits, dots, colons, hyphens or underscores"
        )
    return job_id


JobId = Annotated[str, typer.Argument(help="the job's id", callback=_checked_id)]
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
    with _reading() as tracker:
        with console.status("Reading jobs") as spinner:
            for page in tracker.pages(limit, **filters):
                jobs += page["jobs"]
                total = page["total_text"]
                if page["partial"]:
                    looked = page["scanned_to"]["created_at"]
                    spinner.update(f"Found {len(jobs):,}; looked through all jobs back to {escape(looked)}, reading on")
        console.print(Jobs(jobs, datetime.now(UTC)))
        console.print(f"{len(jobs):,} shown of {total}", markup=False)


@app.command()
def show(job_id: JobId) -> None:
    """One job with its timeline."""
    with _reading() as tracker:
        job = tracker.job(job_id)
        console.print(Jobs([job], datetime.now(UTC)))
        known = {name: job.get(name) for name in ("params", "metadata", "error") if job.get(name)}
        console.print_json(json.dumps(known))
        timeline = Table(title="Timeline", title_justify="left", header_style="bold")
        for name in ("Time", "Event", "Attempt", "Seq", "Verdict"):
            timeline.add_column(name, overflow="fold")
        history = tracker.history(job_id, MOST_EVENTS)
        for event in history.events:
            numbers = ("" if event.get(name) is None else str(event[name]) for name in ("attempt", "seq"))
            timeline.add_row(Text(event["time"]), Text(event["type"]), *numbers, Text(event["verdict"]))
        console.print(timeline)
        if history.more:
            console.print(f"{len(history.events):,} of {history.total_text} events shown")


@app.command()
def items(job_id: JobId, limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100) -> None:
    """What happened to each item of a job, or what a dry run would have done: oldest first."""
    with _reading() as tracker:
        found, more = tracker.items(job_id, limit)
        console.print(items_table(found))
        console.print(f"{len(found):,} items shown{'; there are more: --limit' if more else ''}")


@app.command()
def watch(job_id: JobId) -> None:
    """Follow a job to its end; exit code 0 if it ended well or in part."""
    with _reading() as tracker, changes_shown(console) as changes:
        job = follow_job(tracker, job_id, changes)
    raise typer.Exit(0 if job["outcome"] in {"success", "partial"} else 1)


@app.command()
def start(
    what: Annotated[str, typer.Argument(help=f"a job type, or a chain: {', '.join(CHAINS)}")],
    account: Annotated[str, typer.Option(help="for which account")],
    tenant: Annotated[str, typer.Option(help="of which tenant")] = "default",
    params: Annotated[str, typer.Option(help="parameters as JSON")] = "{}",
    priority: Annotated[str, typer.Option(help="low, normal, high or urgent")] = "normal",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="let the sync list what it would write, and write nothing")
    ] = False,
) -> None:
    """Request a job, or all first jobs of a chain."""
    if what not in JOB_TYPES and what not in CHAINS:
        raise Refused(f"There is no job type or chain {what!r}; known are {', '.join([*CHAINS, *JOB_TYPES])}")
    tracker = _tracker()
    chain = CHAINS.get(what)
    given = json_object(params, "--params")
    then = chain.then if chain else ()
    if dry_run and chain:
        then = tuple(map(_dry, then))
    elif dry_run:
        if not _may_be_dry(what):
            raise Refused(f"{what} writes to no platform, so there is nothing to leave out: --dry-run is for a sync")
        given |= {"dry_run": True}
    common = {"tenant": tenant, "account": account, "params": given, "priority": priority}
    together = {"chain": str(uuid7()), "then": to_builtins(then)} if chain else {}
    for job_type in chain.first if chain else (what,):
        answer = tracker.post("/jobs", {"type": job_type, **common, **together})
        job_id = answer["job_id"]
        follow = f"  (follow: jobtrail jobs watch {job_id})"
        console.print(Text.assemble(f"{job_type} ", (job_id, "bold"), follow))


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
    answer = _tracker().post(job_path(job_id, "retry"))
    job_id = answer["job_id"]
    console.print(Text.assemble("New job ", (job_id, "bold"), f"  (follow: jobtrail jobs watch {job_id})"))


def _dry(step: Then) -> Then:
    """The same step, and all that follow it, writing to no platform."""
    params = {**step.params, "dry_run": True} if _may_be_dry(step.type) else step.params
    return replace(step, params=params, then=tuple(map(_dry, step.then)))


def _may_be_dry(job_type: str) -> bool:
    return "dry_run" in JOB_TYPES[job_type].params.__struct_fields__


def _command(job_id: str, verb: str, reason: str) -> None:
    _tracker().post(job_path(job_id, verb), {"reason": reason})
    console.print(f"Asked for: {verb} {job_id}", markup=False)


@contextmanager
def _reading() -> Generator[Tracker, None, None]:
    """A tracker to read from; that it answers from an old table is said at the end, also where it knows nothing."""
    tracker = _tracker()
    try:
        yield tracker
    finally:
        if said := staleness(tracker.freshness):
            terminal.errors().print(Text(said, style="yellow"))


def _tracker() -> Tracker:
    return Tracker(Home().api())
