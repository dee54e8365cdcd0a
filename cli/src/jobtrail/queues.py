"""`jobtrail queues`: what waits and runs at each service; pause and resume a service."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from job_events.topics import SERVICES
from jobtrail import terminal
from jobtrail.answers import Hold, Queue, Queues
from jobtrail.errors import UserError
from jobtrail.home import Home
from jobtrail.tracker import Tracker

app = typer.Typer(no_args_is_help=True)
console = terminal.console()


def _checked_service(service: str) -> str:
    if service not in SERVICES:
        raise UserError(f"Unknown service {service!r}; known are {', '.join(SERVICES)}")
    return service


Service = Annotated[str, typer.Argument(help=", ".join(SERVICES), callback=_checked_service)]
Reason = Annotated[str, typer.Option(help="reason, shown with the queue")]


@app.command("list")
def list_queues() -> None:
    """Count the queued, running and paused jobs of each service, and show what is paused."""
    found = Tracker(Home().api()).read("/queues", Queues).queues
    table = Table(header_style="bold")
    table.add_column("Service", no_wrap=True)
    for name in ("Queued", "Running", "Paused", "Waiting"):
        table.add_column(name, justify="right")
    table.add_column("Paused since", overflow="fold")
    for queue in found:
        table.add_row(*_row(queue))
    console.print(table)


@app.command()
def pause(service: Service, reason: Reason = "") -> None:
    """Pause all jobs of a service at their next safe points."""
    _command("pause", service, reason)


@app.command()
def resume(service: Service, reason: Reason = "") -> None:
    """Resume the jobs of a service."""
    _command("resume", service, reason)


def hold_text(hold: Hold) -> str:
    """`account demo/shop since TIME, by Lan: stocktaking`."""
    what = "whole queue" if hold.kind == "queue" else f"account {hold.tenant}/{hold.account}"
    return f"{what} since {hold.since}, by {hold.requested_by}: {hold.reason or 'no reason given'}"


def _row(queue: Queue) -> list[Text]:
    if not queue.available:
        return [Text(queue.service), *[Text("")] * 4, Text("has never started", style="yellow")]
    waiting = queue.oldest_waiting_seconds
    counts = [f"{count:,}" for count in (queue.queued, queue.running, queue.paused)]
    waits = "" if waiting is None else f"{waiting:,.0f} s"
    return [Text(text) for text in (queue.service, *counts, waits, "\n".join(map(hold_text, queue.holds)))]


def _command(verb: str, service: str, reason: str) -> None:
    Tracker(Home().api()).command(f"/queues/{service}/{verb}", reason)
    console.print(f"Requested: {verb} the queue of {service}", markup=False)
