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
from jobtrail.errors import UserError
from jobtrail.home import Home
from jobtrail.items_table import items_table
from jobtrail.options import HELP, json_object, span
from jobtrail.plan_tokens import approved_text, confirmation, issuer, next_step, reverting, takes, with_token
from jobtrail.tables import Jobs
from jobtrail.tracker import Json, Tracker, job_path, staleness
from jobtrail.watch import changes_shown, follow_job

app = typer.Typer(no_args_is_help=True)
console = terminal.console()
MOST_EVENTS = 1000  # of one timeline; more are a question for the API


def _checked_id(job_id: str) -> str:
    if not re.fullmatch(JOB_ID_PATTERN, job_id):
        raise UserError(
            f"{job_id!r} is no job id: those are 1 to 128 letters, digits, dots, colons, hyphens or underscores"
        )
    return job_id


DryRun = Annotated[bool, typer.Option("--dry-run", help="list what would be written, and write nothing")]
JobId = Annotated[str, typer.Argument(help="the job's id", callback=_checked_id)]
Reason = Annotated[str, typer.Option(help="why, for the job's timeline")]


@app.command("list")
def list_jobs(
    status: Annotated[str | None, typer.Option(help="PENDING, RUNNING, COMPLETED, MIXED, FAILED or CANCELLED")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="such as PRODUCT_SYNC")] = None,
    account: str | None = None,
    tenant: str | None = None,
    chain: str | None = None,
    health: Annotated[list[str] | None, typer.Option(help="ok, paused, late, stalled or lost; may be repeated")] = None,
    since: Annotated[str | None, typer.Option(help=f"created since: {HELP}")] = None,
    until: Annotated[str | None, typer.Option(help="created before")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
) -> None:
    """Jobs, newest first."""
    first, last = span(since, until, datetime.now(UTC))
    filters = {"status": status, "type": job_type, "account": account, "tenant": tenant, "chain": chain}
    filters |= {"health": health or None, "from": first and first.isoformat(), "to": last and last.isoformat()}
    jobs: list[Json] = []
    total = "0"
    with _reading() as tracker:
        with console.status("Reading jobs") as spinner:
            for page in tracker.pages(limit, **filters):
                jobs += page["jobs"]
                total = page["total_text"]
                if scanned := page.get("scanned_to"):
                    looked = scanned["created_at"]
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
        if reason := job.get("waiting_reason"):
            console.print(Text(f"Waits for a newer version of its service: {reason}", style="yellow"), soft_wrap=True)
        _tell_next_step(job)
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
def items(
    job_id: JobId,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    held: Annotated[bool, typer.Option("--held", help="only those that wait for a confirmation")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="only those that failed")] = False,
    action: Annotated[list[str] | None, typer.Option(help="only these, such as updated; may be repeated")] = None,
) -> None:
    """What happened to each item of a job, or what a dry run would have done: oldest first."""
    actions = [*(action or []), *(["failed"] if failed else [])]
    with _reading() as tracker:
        found, more = tracker.items(job_id, limit, action=actions or None, held=True if held else None)
        console.print(items_table(found))
        console.print(f"{len(found):,} items shown{'; there are more: --limit' if more else ''}")


@app.command()
def watch(job_id: JobId) -> None:
    """Follow a job to its end; exit code 0 if it ended well or in part."""
    with _reading() as tracker:
        with changes_shown(console) as changes:
            job = follow_job(tracker, job_id, changes)
        _tell_next_step(job)
    raise typer.Exit(0 if job.get("outcome") in {"success", "partial"} else 1)


@app.command()
def start(
    what: Annotated[str, typer.Argument(help=f"a job type, or a chain: {', '.join(CHAINS)}")],
    account: Annotated[str, typer.Option(help="for which account")],
    tenant: Annotated[str, typer.Option(help="of which tenant")] = "default",
    params: Annotated[str, typer.Option(help="parameters as JSON")] = "{}",
    priority: Annotated[str, typer.Option(help="low, normal, high or urgent")] = "normal",
    dry_run: DryRun = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="the plan token of a job that stopped or held items back")
    ] = None,
) -> None:
    """Request a job, or all first jobs of a chain."""
    if what not in JOB_TYPES and what not in CHAINS:
        raise UserError(f"There is no job type or chain {what!r}; known are {', '.join([*CHAINS, *JOB_TYPES])}")
    tracker = _tracker()
    chain = CHAINS.get(what)
    given = json_object(params, "--params")
    then = chain.then if chain else ()
    first: dict[str, Json] = {}
    if confirm is not None and chain:
        first, then = with_token(chain, issuer(tracker, tenant, account, confirm), confirm)
    elif confirm is not None:
        if not takes(what, "confirm"):
            raise UserError(f"{what} neither stops nor holds items back: there is nothing to confirm")
        given |= {"confirm": confirm}
    if dry_run and chain:
        then = tuple(map(_dry, then))
    elif dry_run:
        if not takes(what, "dry_run"):
            raise UserError(f"{what} writes to no platform, so there is nothing to leave out: --dry-run is for a sync")
        given |= {"dry_run": True}
    common = {"tenant": tenant, "account": account, "priority": priority}
    together = {"chain": str(uuid7()), "then": to_builtins(then)} if chain else {}
    for job_type in chain.first if chain else (what,):
        own = given | first.get(job_type, {})
        answer = tracker.post("/jobs", {"type": job_type, **common, "params": own, **together})
        _tell_request(job_type, answer)


@app.command()
def confirm(job_id: JobId) -> None:
    """Approve exactly the changes that a stopped job, or one that held items back, shows: a new job writes them."""
    tracker = _tracker()
    job = tracker.job(job_id)
    request = confirmation(job)
    console.print(Text(f"Approves {approved_text(job)} of {job['type']} {job_id}"), soft_wrap=True)
    _tell_request(job["type"], tracker.post("/jobs", request))


@app.command()
def revert(
    job_id: JobId,
    only: Annotated[list[str] | None, typer.Option(metavar="ID", help="only this Nhanh id; may be repeated")] = None,
    dry_run: DryRun = False,
) -> None:
    """Take back what a sync wrote: each value of before, where the shop still holds what was written."""
    tracker = _tracker()
    _tell_request("REVERT_SYNC", tracker.post("/jobs", reverting(tracker.job(job_id), only or [], dry_run)))


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
def delete(job_id: JobId, reason: Reason = "") -> None:
    """Take a finished job out of the table for good."""
    _tracker().delete_job(job_id, reason)
    console.print(f"Asked for: delete {job_id}", markup=False)


@app.command()
def retry(job_id: JobId) -> None:
    """Run a finished job again, as a new job."""
    answer = _tracker().post(job_path(job_id, "retry"))
    job_id = answer["job_id"]
    console.print(Text.assemble("New job ", (job_id, "bold"), f"  (follow: jobtrail jobs watch {job_id})"))


def _dry(step: Then) -> Then:
    """The same step, and all that follow it, writing to no platform."""
    params = {**step.params, "dry_run": True} if takes(step.type, "dry_run") else step.params
    return replace(step, params=params, then=tuple(map(_dry, step.then)))


def _tell_request(job_type: str, answer: Json) -> None:
    job_id = answer["job_id"]
    console.print(Text.assemble(f"{job_type} ", (job_id, "bold"), f"  (follow: jobtrail jobs watch {job_id})"))


def _tell_next_step(job: Json) -> None:
    """How to approve what a job shows, where it waits for that: each command on one line, so that it can be copied."""
    if command := next_step(job):
        for said in (
            f"Look at the items: jobtrail jobs items {job['job_id']}",
            f"To let exactly these through: {command}",
        ):
            console.print(Text(said, style="yellow"), soft_wrap=True)


def _command(job_id: str, verb: str, reason: str) -> None:
    _tracker().command(job_path(job_id, verb), reason)
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
