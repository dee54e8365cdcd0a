"""The command line. Each group of commands lives in a module of its own; this one only puts them together.

A command loads what it alone needs when it is called, so that the others answer at once.
"""

import os
import sys
from datetime import UTC, datetime
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from jobtrail import accounts, jobs, matches, queues
from jobtrail.errors import UserError
from jobtrail.home import Home, Ports
from jobtrail.log import exec_tracker
from jobtrail.terminal import console, errors
from jobtrail.times import HELP, span
from jobtrail.tracker import Tracker

UNEXPECTED = 70  # the exit status of a fault in the command itself, as sysexits.h has it
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Jobs that pull, match and sync a merchant's shops, and one table of them that is always right.",
    pretty_exceptions_enable=False,
)
app.add_typer(accounts.app, name="accounts", help="Connect shops: credentials are stored encrypted.")
app.add_typer(jobs.app, name="jobs", help="Start, watch, end and repeat jobs.")
app.add_typer(matches.app, name="matches", help="Look at linked records, and decide on pairs that wait for review.")
app.add_typer(queues.app, name="queues", help="Look at what waits at each service, hold it back, let it go on.")

ApiPort = Annotated[
    int | None, typer.Option(envvar="API_PORT", min=1, max=65535, help="port of the API (default 8400 if free)")
]
SandboxPort = Annotated[
    int | None, typer.Option(envvar="SANDBOX_PORT", min=1, max=65535, help="port of the sandbox (8490 if free)")
]
KafkaPort = Annotated[
    int | None, typer.Option(envvar="KAFKA_PORT", min=1, max=65535, help="port of Kafka (default: a free one)")
]
PostgresPort = Annotated[
    int | None, typer.Option(envvar="POSTGRES_PORT", min=1, max=65535, help="port of PostgreSQL (a free one)")
]
# The system's own may be missing: nothing has been archived yet. One that is named and missing is a slip, and days that
# lie elsewhere would be left out without a word.
Archive = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="folder of the archive (default: archive in the system's home)"),
]


@app.command()
def demo(
    nhanh: Annotated[Path | None, typer.Option(help="catalogue of the Nhanh shop (CSV or JSONL)")] = None,
    shopify: Annotated[Path | None, typer.Option(help="catalogue of the Shopify shop")] = None,
    link_by_name: Annotated[
        str | None,
        typer.Option(help="auto: products whose names alone agree are linked; review: they wait (default: as stored)"),
    ] = None,
    api_port: ApiPort = None,
    sandbox_port: SandboxPort = None,
    kafka_port: KafkaPort = None,
    postgres_port: PostgresPort = None,
) -> None:
    """Run the whole road once on real servers, and show it."""
    from jobtrail.demo.command import run_demo
    from jobtrail.demo.plan import checked_link_by_name

    ports = Ports(api_port, sandbox_port, kafka_port, postgres_port)
    chosen = checked_link_by_name(link_by_name)
    raise typer.Exit(run_demo(console(), Home(), nhanh, shopify, ports, chosen))


@app.command()
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
def down() -> None:
    """End what an earlier `up` left running."""
    from jobtrail.up import run_down

    run_down(console(), Home())


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def kafka(context: typer.Context) -> None:
    """Run one of Kafka's own tools: `jobtrail kafka consumer-groups --describe --all-groups`."""
    if context.args[:1] in (["--help"], ["-h"]):
        from local_stack.kafka_tools import TOOLS

        typer.echo(context.get_help())
        typer.echo(f"Tools: {', '.join(sorted(TOOLS))}")
        return
    from jobtrail.up import run_kafka

    raise typer.Exit(run_kafka(Home(), context.args))


@app.command()
def check() -> None:
    """Are all parts up, and how far behind is each?"""
    from jobtrail.check import check_system

    raise typer.Exit(check_system(console(), Home()))


@app.command()
def stats(
    tenant: Annotated[str | None, typer.Option(help="of one tenant")] = None,
    job_type: Annotated[str | None, typer.Option("--type", help="such as PRODUCT_SYNC")] = None,
    since: Annotated[str | None, typer.Option(help=f"created since the UTC day of: {HELP}")] = None,
    until: Annotated[str | None, typer.Option(help="created until the UTC day of")] = None,
) -> None:
    """How many jobs there are, by type and status."""
    from jobtrail.stats import show_stats

    first, last = span(since, until, datetime.now(UTC))
    show_stats(console(), Tracker(Home().api()), tenant, job_type, first, last)


@app.command()
def rebuild(
    archive: Archive = None,
    swap: Annotated[bool, typer.Option("--swap", help="put the rebuilt table in place without asking")] = False,
    items: Annotated[
        bool, typer.Option("--items", help="instead, bring missing items and dead letters back into their tables")
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="go on although neither log nor archive holds all events")
    ] = False,
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[JOB]...",
            help="with --accept-loss: jobs whose rows may become older ('*': of all); all others stay what they are",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Build the job table once more from the log, beside the live one, and show what differs."""
    if jobs and (items or not accept_loss):
        raise typer.BadParameter("jobs are named with --accept-loss only, and not with --items")
    if swap and items:
        raise typer.BadParameter("--items merges into the live tables, and --swap replaces one: choose one of them")
    wanted = {"--swap": swap, "--items": items, "--accept-loss": accept_loss}
    exec_tracker(Home(), "rebuild", archive, *(option for option, asked in wanted.items() if asked), *(jobs or []))


@app.command("skip-gap")
def skip_gap(yes: Annotated[bool, typer.Option("--yes", help="go on without asking")] = False) -> None:
    """Tell what the log has lost in front of what it still holds, and go on behind it; no row changes."""
    exec_tracker(Home(), "skip-gap", None, *(["--yes"] if yes else []))


@app.command()
def audit(
    archive: Archive = None,
    all_jobs: Annotated[bool, typer.Option("--all", help="every job, and counts, history and dead letters")] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="about how many jobs, chosen by their ids", show_default="1000")
    ] = None,
    seed: Annotated[int, typer.Option(help="another seed chooses other jobs")] = 1,
) -> None:
    """Fold jobs once more from the log and compare them with the table; exit code 1 if any differs."""
    if all_jobs and jobs is not None:
        raise typer.BadParameter("--all means every job, and --jobs some of them: choose one of them")
    chosen = [*(["--all"] if all_jobs else []), *([f"--jobs={jobs}"] if jobs is not None else []), f"--seed={seed}"]
    exec_tracker(Home(), "audit", archive, *chosen)


@app.command("archive")
def archive_days(
    archive: Annotated[Path | None, typer.Option("--to", help="folder (default: archive in the system's home)")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="check every file instead of writing")] = False,
) -> None:
    """Write finished days of the log into compressed files, from which `rebuild` reads."""
    exec_tracker(Home(), "archive", archive, *(["--verify"] if verify else []))


def _mendable() -> tuple[type[Exception], ...]:
    from local_stack import StackError
    from platforms.errors import AccountError, PlatformError

    return UserError, StackError, AccountError, PlatformError, OSError


def main() -> None:
    """Run a command; what a person can mend is said in one sentence, without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a letter that the terminal does not have ends no command
    try:
        app()
    except Exception as error:
        if not isinstance(error, _mendable()):
            if os.environ.get("JOBTRAIL_TRACEBACK"):
                raise
            said = f"The command failed unexpectedly: {type(error).__name__}: {error}"
            errors().print(Text(f"{said}; JOBTRAIL_TRACEBACK=1 shows where", style="red"))
            sys.exit(UNEXPECTED)
        if isinstance(error, OSError):
            # Standard output may be what failed: what is left of it must not fail once more at the end.
            sys.stdout = StringIO()
        errors().print(Text(str(error), style="red"))
        sys.exit(error.status if isinstance(error, UserError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)
