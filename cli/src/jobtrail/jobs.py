"""`jobtrail jobs`: list, show, start, watch and control jobs."""

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

from job_events.chains import CHAINS, FirstJob
from job_events.events import JOB_ID_PATTERN, Then
from job_events.job_types import JOB_TYPES
from jobtrail import terminal
from jobtrail.errors import UserError
from jobtrail.home import Home
from jobtrail.items_table import items_table
from jobtrail.options import HELP, json_object, span
from jobtrail.plan_tokens import approved_text, confirmation, issuer, next_step, reversion, takes, with_token
from jobtrail.tables import Jobs
from jobtrail.tracker import Json, Tracker, job_path, staleness
from jobtrail.watch import changes_shown, follow_job

app = typer.Typer(no_args_is_help=True)
console = terminal.console()
MOST_EVENTS = 1000  # of one timeline; the API has more


def _checked_id(job_id: str) -> str:
    if not re.fullmatch(JOB_ID_PATTERN, job_id):
        raise UserError(f"{job_id!r} is not a job id: 1 to 128 letters, digits, dots, colons, hyphens or underscores")
    return job_id


DryRun = Annotated[bool, typer.Option("--dry-run", help="show the changes without writing them")]
JobId = Annotated[str, typer.Argument(help="id of the job", callback=_checked_id)]
Reason = Annotated[str, typer.Option(help="reason, shown in the job's timeline")]


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
    """List jobs, newest first."""
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
                    spinner.update(f"Found {len(jobs):,}; scanned all jobs back to {escape(looked)}")
        console.print(Jobs(jobs, datetime.now(UTC)))
        console.print(f"{len(jobs):,} shown of {total}", markup=False)


@app.command()
def show(job_id: JobId) -> None:
    """Show one job with its timeline."""
    with _reading() as tracker:
        job = tracker.job(job_id)
        console.print(Jobs([job], datetime.now(UTC)))
        known = {name: job.get(name) for name in ("params", "metadata", "error") if job.get(name)}
        console.print_json(json.dumps(known))
        if reason := job.get("waiting_reason"):
            console.print(Text(f"Waits for a newer version of its service: {reason}", style="yellow"), soft_wrap=True)
        _print_next_step(job)
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
    held: Annotated[bool, typer.Option("--held", help="only items that wait for a confirmation")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="only failed items")] = False,
    action: Annotated[
        list[str] | None, typer.Option(help="only items with this action, such as updated; may be repeated")
    ] = None,
) -> None:
    """List the items of a job with their results, oldest first; of a dry run, what it would have written."""
    actions = [*(action or []), *(["failed"] if failed else [])]
    with _reading() as tracker:
        found, more = tracker.items(job_id, limit, action=actions or None, held=True if held else None)
        console.print(items_table(found))
        console.print(f"{len(found):,} items shown{'; there are more: --limit' if more else ''}")


@app.command()
def watch(job_id: JobId) -> None:
    """Follow a job to its end; exit code 0 for success or partial success."""
    with _reading() as tracker:
        with changes_shown(console) as changes:
            job = follow_job(tracker, job_id, changes)
        _print_next_step(job)
    raise typer.Exit(0 if job.get("outcome") in {"success", "partial"} else 1)


@app.command()
def start(
    what: Annotated[str, typer.Argument(help=f"a job type, or a chain: {', '.join(CHAINS)}")],
    account: Annotated[str, typer.Option(help="account of the job")],
    tenant: Annotated[str, typer.Option(help="tenant of the account")] = "default",
    params: Annotated[str, typer.Option(help="parameters as JSON")] = "{}",
    priority: Annotated[str, typer.Option(help="low, normal, high or urgent")] = "normal",
    dry_run: DryRun = False,
    confirm: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="plan token of a job that stopped or held items")
    ] = None,
) -> None:
    """Request a job, or the first jobs of a chain."""
    if what not in JOB_TYPES and what not in CHAINS:
        raise UserError(f"Unknown job type or chain {what!r}; known are {', '.join([*CHAINS, *JOB_TYPES])}")
    tracker = _tracker()
    chain = CHAINS.get(what)
    given = json_object(params, "--params")
    then = chain.then if chain else ()
    first: dict[str, Json] = {}
    if confirm is not None and chain:
        first, then = with_token(chain, issuer(tracker, tenant, account, confirm), confirm)
    elif confirm is not None:
        if not takes(what, "confirm"):
            raise UserError(f"{what} takes no plan token: it never stops and never holds items")
        given |= {"confirm": confirm}
    if dry_run and chain:
        then = tuple(map(_dry, then))
    elif dry_run:
        if not takes(what, "dry_run"):
            raise UserError(f"{what} writes to no platform: --dry-run is for a sync")
        given |= {"dry_run": True}
    common = {"tenant": tenant, "account": account, "priority": priority}
    together = {"chain": str(uuid7()), "then": to_builtins(then)} if chain else {}
    for job in chain.first if chain else (FirstJob(what),):
        own = job.params | given | first.get(job.type, {})
        answer = tracker.post("/jobs", {"type": job.type, **common, "params": own, **together})
        _print_request(job.type, answer)


@app.command()
def confirm(job_id: JobId) -> None:
    """Approve the changes that a job shows which stopped or held items: a new job writes exactly these."""
    tracker = _tracker()
    job = tracker.job(job_id)
    request = confirmation(job)
    console.print(Text(f"Approves {approved_text(job)} of {job['type']} {job_id}"), soft_wrap=True)
    _print_request(job["type"], tracker.post("/jobs", request))


@app.command()
def revert(
    job_id: JobId,
    only: Annotated[list[str] | None, typer.Option(metavar="ID", help="only this Nhanh id; may be repeated")] = None,
    dry_run: DryRun = False,
) -> None:
    """Revert what a sync wrote: restore each former value, where the shop still holds the written one."""
    tracker = _tracker()
    _print_request("REVERT_SYNC", tracker.post("/jobs", reversion(tracker.job(job_id), only or [], dry_run)))


@app.command()
def cancel(job_id: JobId, reason: Reason = "") -> None:
    """Cancel a job."""
    _command(job_id, "cancel", reason)


@app.command()
def pause(job_id: JobId, reason: Reason = "") -> None:
    """Pause a job at its next safe point."""
    _command(job_id, "pause", reason)


@app.command()
def resume(job_id: JobId, reason: Reason = "") -> None:
    """Resume a paused job."""
    _command(job_id, "resume", reason)


@app.command()
def delete(job_id: JobId, reason: Reason = "") -> None:
    """Delete a finished job from the table for good."""
    _tracker().delete_job(job_id, reason)
    console.print(f"Requested: delete {job_id}", markup=False)


@app.command()
def retry(job_id: JobId) -> None:
    """Retry a finished job as a new job."""
    answer = _tracker().post(job_path(job_id, "retry"))
    job_id = answer["job_id"]
    console.print(Text.assemble("New job ", (job_id, "bold"), f"  (follow: jobtrail jobs watch {job_id})"))


def _dry(step: Then) -> Then:
    """The step and all steps behind it as dry runs."""
    params = {**step.params, "dry_run": True} if takes(step.type, "dry_run") else step.params
    return replace(step, params=params, then=tuple(map(_dry, step.then)))


def _print_request(job_type: str, answer: Json) -> None:
    job_id = answer["job_id"]
    console.print(Text.assemble(f"{job_type} ", (job_id, "bold"), f"  (follow: jobtrail jobs watch {job_id})"))


def _print_next_step(job: Json) -> None:
    """Print the commands that approve what a job shows; each on one line, so that it can be copied."""
    if command := next_step(job):
        for said in (
            f"Show the items: jobtrail jobs items {job['job_id']}",
            f"Approve exactly these: {command}",
        ):
            console.print(Text(said, style="yellow"), soft_wrap=True)


def _command(job_id: str, verb: str, reason: str) -> None:
    _tracker().command(job_path(job_id, verb), reason)
    console.print(f"Requested: {verb} {job_id}", markup=False)


@contextmanager
def _reading() -> Generator[Tracker, None, None]:
    """A tracker to read from; prints at the end if its answers are behind the log."""
    tracker = _tracker()
    try:
        yield tracker
    finally:
        if sentence := staleness(tracker.freshness):
            terminal.errors().print(Text(sentence, style="yellow"))


def _tracker() -> Tracker:
    return Tracker(Home().api())
