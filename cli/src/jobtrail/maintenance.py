"""`jobtrail rebuild`, `skip-gap`, `audit`, `archive`: maintenance of the job table from the whole log.

Each command becomes a part of the tracker: the process executes `python -m job_tracker PART`.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from jobtrail.errors import UserError
from jobtrail.home import Home

app = typer.Typer()
# The default folder may be missing: nothing has been archived yet. A named folder that is missing is an error; its days
# would be left out silently.
Archive = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="folder of the archive (default: archive in the system's home)"),
]


@app.command()
def rebuild(
    archive: Archive = None,
    swap: Annotated[bool, typer.Option("--swap", help="swap the rebuilt table in without asking")] = False,
    items: Annotated[
        bool, typer.Option("--items", help="restore missing items and dead letters instead of the job table")
    ] = False,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="go on although neither log nor archive holds all events")
    ] = False,
    jobs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[JOB]...",
            help="with --accept-loss: jobs whose rows may become older ('*': all jobs); other rows stay as they are",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Rebuild the job table from the log beside the live table, and show what differs."""
    if jobs and (items or not accept_loss):
        raise typer.BadParameter("JOB is allowed with --accept-loss only, and not with --items")
    if swap and items:
        raise typer.BadParameter("--items merges into the live tables and --swap replaces one: choose one of them")
    wanted = {"--swap": swap, "--items": items, "--accept-loss": accept_loss}
    exec_tracker(Home(), "rebuild", archive, *(option for option, asked in wanted.items() if asked), *(jobs or []))


@app.command("skip-gap")
def skip_gap(yes: Annotated[bool, typer.Option("--yes", help="go on without asking")] = False) -> None:
    """Show which records the log has lost, and let the projectors continue behind them; no row changes."""
    exec_tracker(Home(), "skip-gap", None, *(["--yes"] if yes else []))


@app.command()
def audit(
    archive: Archive = None,
    all_jobs: Annotated[
        bool, typer.Option("--all", help="every job, and also counts, history and dead letters")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="size of the sample, about; chosen by job id", show_default="1000")
    ] = None,
    seed: Annotated[int, typer.Option(help="another seed chooses another sample")] = 1,
) -> None:
    """Fold jobs from the log again and compare them with the table; exit code 1 if any differs."""
    if all_jobs and jobs is not None:
        raise typer.BadParameter("--all means every job and --jobs a sample: choose one of them")
    chosen = [*(["--all"] if all_jobs else []), *([f"--jobs={jobs}"] if jobs is not None else []), f"--seed={seed}"]
    exec_tracker(Home(), "audit", archive, *chosen)


@app.command("archive")
def archive_days(
    archive: Annotated[Path | None, typer.Option("--to", help="folder (default: archive in the system's home)")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="check every file instead of writing")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="only remove jobs that ended before the retention horizon, from all days")
    ] = False,
) -> None:
    """Write finished days of the log into compressed files, from which `rebuild` reads."""
    if verify and prune:
        raise typer.BadParameter("--verify and --prune: choose one of them")
    exec_tracker(Home(), "archive", archive, *(["--verify"] if verify else ["--prune"] if prune else []))


def exec_tracker(home: Home, part: str, archive: Path | None, *arguments: str) -> NoReturn:
    """Replace this process by a part of the tracker on the servers of `home`, which then owns signals and exit status.

    archive: None is the folder of `home`.
    """
    try:
        environment = os.environ | {
            **home.kafka().environment(),
            "DATABASE_URL": home.database(),
            "PYTHONIOENCODING": f"{sys.stdout.encoding}:replace",  # as in `main`
        }
    except UserError as error:
        error.status = 2  # as the tracker's parts: 1 means that something differs
        raise
    folder = [] if part == "skip-gap" else [f"--archive={archive or home.archive}"]
    command = [sys.executable, "-m", "job_tracker", part, *folder, *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own module
