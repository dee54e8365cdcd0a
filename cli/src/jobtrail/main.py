"""The command line: the commands of the whole system, and the groups of commands from their modules.

A command imports what only it needs when it is called, so that the other commands start fast. `demo`, `up`, `down` and
`kafka` need the package local-stack, which a production image does not have.
"""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

import typer
from rich.text import Text

from job_events.errors import JobtrailError
from jobtrail import accounts, jobs, maintenance, matches, queues, schedules
from jobtrail.errors import UserError
from jobtrail.home import Home, Ports
from jobtrail.options import HELP, span
from jobtrail.terminal import console, errors
from jobtrail.tracker import Tracker

UNEXPECTED = 70  # the exit status of a bug in the command: EX_SOFTWARE of sysexits.h
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Run jobs that pull, match and sync a merchant's shops, and read the job table.",
    pretty_exceptions_enable=False,
)
app.add_typer(accounts.app, name="accounts", help="Connect shops; credentials are stored encrypted.")
app.add_typer(jobs.app, name="jobs", help="Start, watch, cancel and retry jobs.")
app.add_typer(matches.app, name="matches", help="List linked records, and decide on pairs that wait for review.")
app.add_typer(queues.app, name="queues", help="Show, pause and resume the queue of each service.")
app.add_typer(schedules.app, name="schedules", help="Start jobs by the clock.")
app.add_typer(maintenance.app)

P = ParamSpec("P")
Result = TypeVar("Result")
ApiPort = Annotated[
    int | None, typer.Option(envvar="API_PORT", min=1, max=65535, help="port of the API (default: 8400 if it is free)")
]
SandboxPort = Annotated[
    int | None,
    typer.Option(envvar="SANDBOX_PORT", min=1, max=65535, help="port of the sandbox (default: 8490 if it is free)"),
]
KafkaPort = Annotated[
    int | None, typer.Option(envvar="KAFKA_PORT", min=1, max=65535, help="port of Kafka (default: a free port)")
]
PostgresPort = Annotated[
    int | None, typer.Option(envvar="POSTGRES_PORT", min=1, max=65535, help="port of PostgreSQL (default: a free port)")
]


def needs_local_stack(command: Callable[P, Result]) -> Callable[P, Result]:
    """A command that starts or uses local servers. Where local-stack is not installed, it says what to install."""

    @wraps(command)
    def call(*args: P.args, **kwargs: P.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "local_stack":
                raise
            raise UserError(
                f"`jobtrail {command.__name__}` needs the package local-stack, which is not installed: "
                "run `make install` in a checkout of Jobtrail, or `pip install ./libs/local-stack`"
            ) from None

    return call


@app.command()
@needs_local_stack
def demo(
    nhanh: Annotated[Path | None, typer.Option(help="catalogue of the Nhanh shop (CSV or JSONL)")] = None,
    shopify: Annotated[Path | None, typer.Option(help="catalogue of the Shopify shop")] = None,
    link_by_name: Annotated[
        str | None,
        typer.Option(
            help="products of which only the names agree: auto links them, review does not (default: as stored)"
        ),
    ] = None,
    api_port: ApiPort = None,
    sandbox_port: SandboxPort = None,
    kafka_port: KafkaPort = None,
    postgres_port: PostgresPort = None,
) -> None:
    """Run pull, match and sync end to end on real servers."""
    from jobtrail.demo.command import run_demo
    from jobtrail.demo.plan import checked_link_by_name

    ports = Ports(api_port, sandbox_port, kafka_port, postgres_port)
    chosen = checked_link_by_name(link_by_name)
    raise typer.Exit(run_demo(console(), Home(), nhanh, shopify, ports, chosen))


@app.command()
@needs_local_stack
def up(
    api_port: ApiPort = None,
    sandbox_port: SandboxPort = None,
    kafka_port: KafkaPort = None,
    postgres_port: PostgresPort = None,
) -> None:
    """Start the system and leave it running until Ctrl-C."""
    from jobtrail.up import run_up

    run_up(console(), Home(), Ports(api_port, sandbox_port, kafka_port, postgres_port))


@app.command()
@needs_local_stack
def down() -> None:
    """Stop what an earlier `up` left running."""
    from jobtrail.up import run_down

    run_down(console(), Home())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
@needs_local_stack
def kafka(context: typer.Context) -> None:
    """Run one of Kafka's own tools: `jobtrail kafka consumer-groups --describe --all-groups`."""
    if context.args[:1] in (["--help"], ["-h"]):
        from local_stack.kafka_tools import TOOLS

        typer.echo(context.get_help())
        typer.echo(f"Tools: {', '.join(sorted(TOOLS))}")
        return
    from jobtrail.kafka_tool import run_kafka

    raise typer.Exit(run_kafka(Home(), context.args))


@app.command()
def check() -> None:
    """Check that every part is up, and show the lag of each consumer group."""
    from jobtrail.check import check_system

    raise typer.Exit(check_system(console(), Home()))


@app.command()
def stats(
    tenant: Annotated[str | None, typer.Option(help="only this tenant")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="such as PRODUCT_SYNC")] = None,
    since: Annotated[str | None, typer.Option(help=f"created on or after the UTC day of: {HELP}")] = None,
    until: Annotated[str | None, typer.Option(help="created on or before the UTC day of")] = None,
) -> None:
    """Count jobs by type and status."""
    from jobtrail.tables import show_stats

    first, last = span(since, until, datetime.now(UTC))
    show_stats(console(), Tracker(Home().api()), tenant, job_type, first, last)


def main() -> None:
    """Run a command. An error that a person can correct is one sentence on standard error, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that the terminal does not have ends no command
    try:
        app()
    except Exception as error:
        if not isinstance(error, JobtrailError | OSError):
            if os.environ.get("JOBTRAIL_TRACEBACK"):
                raise
            said = f"The command failed unexpectedly: {type(error).__name__}: {error}"
            errors().print(Text(f"{said}; set JOBTRAIL_TRACEBACK=1 for the traceback", style="red"))
            sys.exit(UNEXPECTED)
        if isinstance(error, OSError):
            # Standard output may be what failed; its unflushed rest must not fail again at exit.
            sys.stdout = StringIO()
        errors().print(Text(str(error), style="red"))
        sys.exit(error.status if isinstance(error, UserError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
