"""`jobtrail jobs`: list, show, start, watch, control, delete and simulate jobs."""

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
from job_events.topics import SERVICES
from jobtrail import terminal
from jobtrail.canary import CANARY, checks_table, run_canary, simulation_of
from jobtrail.deletion import delete_older
from jobtrail.errors import UserError
from jobtrail.home import Home
from jobtrail.items_table import items_table
from jobtrail.options import HELP, json_object, moment, named_values, span
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


def _checked_or_none(job_id: str | None) -> str | None:
    return None if job_id is None else _checked_id(job_id)


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
    priority: Annotated[
        str | None, typer.Option(help="low, normal, high or urgent (default: normal; high for one chosen record)")
    ] = None,
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
    common = {"tenant": tenant, "account": account} | ({"priority": priority} if priority is not None else {})
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
def delete(
    job_id: Annotated[str | None, typer.Argument(help="id of one job", callback=_checked_or_none)] = None,
    older_than: Annotated[str | None, typer.Option(help=f"all jobs that finished before: {HELP}")] = None,
    status: Annotated[
        list[str] | None, typer.Option(help="COMPLETED, MIXED, FAILED or CANCELLED; may be repeated")
    ] = None,
    job_type: Annotated[list[str] | None, typer.Option("--type", help="such as PRODUCT_SYNC; may be repeated")] = None,
    account: str | None = None,
    tenant: str | None = None,
    yes: Annotated[bool, typer.Option("--yes", help="delete without asking")] = False,
    reason: Reason = "",
) -> None:
    """Delete a finished job, or all that are older than a date, from the table for good."""
    filters = {"status": status or None, "type": job_type or None, "account": account, "tenant": tenant}
    filters = {name: value for name, value in filters.items() if value is not None}
    if (job_id is None) == (older_than is None) or (job_id is not None and filters):
        raise UserError("Give the id of one job, or --older-than with or without filters")
    tracker = _tracker()
    if job_id is not None:
        tracker.delete_job(job_id, reason)
        console.print(f"Requested: delete {job_id}", markup=False)
    elif older_than is not None:
        before = moment(older_than, "--older-than", datetime.now(UTC))
        delete_older(console, tracker, before, filters, reason, ask=not yes)


@app.command()
def retry(
    job_id: JobId,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="change a parameter; VALUE is JSON or text, null leaves it out"),
    ] = None,
    priority: Annotated[str | None, typer.Option(help="low, normal, high or urgent (default: as before)")] = None,
) -> None:
    """Retry a finished job as a new job, perhaps with other parameters."""
    changes: Json = {"params": named_values(param, "--param")} if param else {}
    if priority is not None:
        changes["priority"] = priority
    answer = _tracker().post(job_path(job_id, "retry"), changes)
    job_id = answer["job_id"]
    console.print(Text.assemble("New job ", (job_id, "bold"), f"  (follow: jobtrail jobs watch {job_id})"))


@app.command()
def simulate(
    service: Annotated[str, typer.Option(help=f"the service that runs it: {', '.join(SERVICES)}")] = "puller",
    items: Annotated[int, typer.Option(help="number of items")] = 100,
    per_second: Annotated[float, typer.Option(help="items a second; 0: as fast as possible")] = 20.0,
    failed: Annotated[float, typer.Option(help="share of the items that fail, from 0 to 1")] = 0.0,
    outcome: Annotated[str | None, typer.Option(help="failure or error (default: by its items)")] = None,
    account: Annotated[str, typer.Option(help="any name: no shop is needed")] = CANARY,
    tenant: Annotated[str, typer.Option(help="tenant of the account")] = CANARY,
    follow: Annotated[bool, typer.Option("--watch", help="follow it as `jobs watch` does")] = False,
) -> None:
    """Run a job without effects, which emits real events through the real runtime."""
    params: Json = {"items": items, "per_second": per_second, "failed": failed}
    if outcome is not None:
        params["outcome"] = outcome
    job_type = simulation_of(service)
    answer = _tracker().post("/jobs", {"type": job_type, "tenant": tenant, "account": account, "params": params})
    _print_request(job_type, answer)
    if follow:
        watch(answer["job_id"])


@app.command()
def verify(
    timeout: Annotated[float, typer.Option(min=1, max=3600, help="seconds until the chain must have ended")] = 60.0,
    account: Annotated[str, typer.Option(help="any name: no shop is needed")] = CANARY,
    tenant: Annotated[str, typer.Option(help="tenant of the account")] = CANARY,
) -> None:
    """Run a chain of simulated jobs through all services and check it; exit code 0 if every check passes."""
    with console.status("Running a chain of simulated jobs"):
        checks = run_canary(_tracker(), tenant, account, timeout)
    console.print(checks_table(checks))
    if wrong := [check for check in checks if not check.passed]:
        first = wrong[0]
        raise UserError(f"{len(wrong)} of {len(checks)} checks failed; {first.job} {first.name}: {first.detail}")
    console.print(f"All {len(checks)} checks passed")


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
