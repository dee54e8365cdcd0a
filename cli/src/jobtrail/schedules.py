"""`jobtrail schedules`: list, add, show, pause, resume and delete what starts jobs by the clock."""

import re
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from job_events.chains import CHAINS
from job_events.job_types import JOB_TYPES
from jobtrail import terminal
from jobtrail.answers import Run, Schedule
from jobtrail.errors import UserError
from jobtrail.home import Home
from jobtrail.options import json_object
from jobtrail.tracker import Json, Tracker, schedule_path

app = typer.Typer(no_args_is_help=True)
console = terminal.console()
_UNITS = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
NO_SCHEDULER = "No scheduler is at work: schedules start no jobs until one is (python -m job_tracker scheduler)"
ALL_ACCOUNTS = "all accounts"
ScheduleId = Annotated[str, typer.Argument(help="id of the schedule")]
Reason = Annotated[str, typer.Option(help="reason, shown with the schedule")]


@app.command("list")
def list_schedules(
    account: Annotated[str | None, typer.Option(help="of one account")] = None,
    tenant: Annotated[str | None, typer.Option(help="of one tenant")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
) -> None:
    """List schedules, newest first."""
    found, page = Tracker(Home().api()).schedules(limit, account=account, tenant=tenant)
    table = Table(header_style="bold")
    table.add_column("Schedule", no_wrap=True)
    for name in ("Starts", "Account", "Times", "Next run"):
        table.add_column(name, overflow="fold")
    for schedule in found:
        row = (schedule.schedule_id, _target(schedule), _account(schedule), schedule.words, _next_run(schedule))
        table.add_row(*(Text(text) for text in row))
    console.print(table)
    console.print(f"{len(found):,} shown of {page.total_text}", markup=False)
    _warn(page.scheduler.alive)


@app.command()
def add(
    what: Annotated[str, typer.Argument(help=f"a job type, or a chain: {', '.join(CHAINS)}")],
    account: Annotated[str | None, typer.Option(help="account of the jobs")] = None,
    all_accounts: Annotated[bool, typer.Option("--all-accounts", help="for each account of the tenant")] = False,
    tenant: Annotated[str, typer.Option(help="tenant of the account")] = "default",
    cron: Annotated[
        str | None, typer.Option(help="minute, hour, day of month, month, weekday: '30 2 * * *' is daily at 02:30")
    ] = None,
    every: Annotated[str | None, typer.Option(help="an interval instead, such as 15min, 2h or 1d")] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA time zone (default: Asia/Ho_Chi_Minh)")] = None,
    jitter: Annotated[str | None, typer.Option(help="start each run up to so much later, such as 5min")] = None,
    catch_up: Annotated[
        str | None, typer.Option(help="missed runs that are made up: skip, one or all (default: one)")
    ] = None,
    catch_up_limit: Annotated[int | None, typer.Option(help="most runs that `all` makes up (default: 10)")] = None,
    params: Annotated[str, typer.Option(help="parameters of the job type as JSON")] = "{}",
) -> None:
    """Add a schedule, and show its next five runs."""
    if what not in JOB_TYPES and what not in CHAINS:
        raise UserError(f"Unknown job type or chain {what!r}; known are {', '.join([*CHAINS, *JOB_TYPES])}")
    if (account is None) != all_accounts:
        raise UserError("Choose either --account NAME or --all-accounts")
    if (cron is None) == (every is None):
        raise UserError("Choose either --cron '30 2 * * *' or --every 2h")
    body: Json = {"tenant": tenant, "account": account, "chain" if what in CHAINS else "type": what}
    body["params"] = json_object(params, "--params")
    optional = {
        "cron": cron,
        "every_seconds": None if every is None else seconds(every, "--every"),
        "timezone": timezone,
        "jitter_seconds": None if jitter is None else seconds(jitter, "--jitter"),
        "catch_up": catch_up,
        "catch_up_limit": catch_up_limit,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    schedule = Tracker(Home().api()).add_schedule(body)
    started = f"  {_target(schedule)} of {_account(schedule)}"
    console.print(Text.assemble("Schedule ", (schedule.schedule_id, "bold"), started))
    console.print(Text(schedule.words))
    _print_next_runs(schedule)


@app.command()
def show(
    schedule_id: ScheduleId, runs: Annotated[int, typer.Option(min=1, max=200, help="how many of the last runs")] = 20
) -> None:
    """Show a schedule with its next runs, and its last runs with their jobs."""
    found = Tracker(Home().api()).schedule(schedule_id, runs)
    schedule = found.schedule
    console.print(Text.assemble((schedule.schedule_id, "bold"), f"  {_target(schedule)} of {_account(schedule)}"))
    console.print(Text(f"{schedule.words}; missed runs: {schedule.catch_up}"))
    if schedule.paused:
        console.print(Text(f"Paused: {schedule.paused_reason or 'no reason given'}", style="yellow"))
    _print_next_runs(schedule)
    table = Table(title="Last runs", title_justify="left", header_style="bold")
    for name in ("Planned", "Account", "State", "Jobs"):
        table.add_column(name, overflow="fold")
    for run in found.runs:
        table.add_row(*(Text(text) for text in (_time(run.planned_at), run.account or ALL_ACCOUNTS, *_ended(run))))
    console.print(table)
    _warn(found.scheduler.alive)


@app.command()
def pause(schedule_id: ScheduleId, reason: Reason = "") -> None:
    """Pause a schedule; its runs meanwhile are not made up."""
    Tracker(Home().api()).command(schedule_path(schedule_id, "pause"), reason)
    console.print(f"Paused: {schedule_id}", markup=False)


@app.command()
def resume(schedule_id: ScheduleId) -> None:
    """Resume a schedule with its next run after now."""
    Tracker(Home().api()).command(schedule_path(schedule_id, "resume"), "")
    console.print(f"Resumed: {schedule_id}", markup=False)


@app.command()
def delete(schedule_id: ScheduleId) -> None:
    """Delete a schedule; the jobs that it has started stay."""
    Tracker(Home().api()).delete_schedule(schedule_id)
    console.print(f"Deleted: {schedule_id}", markup=False)


def seconds(text: str, option: str) -> int:
    """The seconds of a length of time such as 15min.

    Raises:
        UserError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,9})\s*(s|min|m|h|d|w)", text.strip())
    if found is None:
        raise UserError(f"{option} is {text!r}; it takes a length of time: 90s, 15min, 2h, 1d or 1w")
    return int(found[1]) * _UNITS[found[2]]


def _target(schedule: Schedule) -> str:
    return f"chain {schedule.chain}" if schedule.chain is not None else schedule.type or ""


def _account(schedule: Schedule) -> str:
    return f"{schedule.tenant}/{schedule.account or ALL_ACCOUNTS}"


def _next_run(schedule: Schedule) -> str:
    if schedule.paused:
        return f"paused: {schedule.paused_reason}" if schedule.paused_reason else "paused"
    return _time(schedule.next_runs[0]) if schedule.next_runs else "none"


def _print_next_runs(schedule: Schedule) -> None:
    if schedule.next_runs:
        console.print(Text(f"Next runs: {', '.join(map(_time, schedule.next_runs))}"))


def _ended(run: Run) -> tuple[str, str]:
    state = f"{run.state}: {run.reason}" if run.reason else run.state
    return state, "\n".join(f"{job.type} {job.status} {job.job_id}" for job in run.jobs)


def _time(moment: datetime) -> str:
    """With its offset: the API shows next runs in the time zone of the schedule."""
    return f"{moment:%a %Y-%m-%d %H:%M:%S%z}"


def _warn(alive: bool) -> None:
    if not alive:
        terminal.errors().print(Text(NO_SCHEDULER, style="yellow"))
