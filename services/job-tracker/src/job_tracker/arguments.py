"""`python -m job_tracker PART`: one part of the tracker in a process, or one command that ends."""

import argparse
from pathlib import Path

SERVERS = ("projector", "items", "api", "scheduler")
_SAMPLE = 1000


def read_arguments() -> argparse.Namespace:
    """`part` is one of SERVERS or of those that do one thing and end; or the process ends with help or a refusal."""
    parser = argparse.ArgumentParser(prog="job_tracker", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    for name in SERVERS:
        parts.add_parser(name)
    rebuild = parts.add_parser("rebuild", help="build the job table once more from the log, and compare")
    rebuild.add_argument("--archive", type=Path, default=Path("archive"), help="folder that `archive` has written")
    meant = rebuild.add_mutually_exclusive_group()
    meant.add_argument("--swap", action="store_true", help="put the rebuilt table in the live one's place")
    meant.add_argument(
        "--items", action="store_true", help="instead, bring missing items and dead letters back into their tables"
    )
    rebuild.add_argument(
        "--accept-loss",
        nargs="*",
        metavar="JOB",
        help="go on although neither log nor archive holds all events; the rows of these jobs (*: of all) may become "
        "older, all others stay at least what they are",
    )
    skip = parts.add_parser("skip-gap", help="tell what the log has lost, and go on behind it")
    skip.add_argument("--yes", action="store_true", help="go on without asking")
    audit = parts.add_parser("audit", help="fold jobs once more and compare them with their rows")
    audit.add_argument("--archive", type=Path, default=Path("archive"), help="folder that `archive` has written")
    chosen = audit.add_mutually_exclusive_group()
    chosen.add_argument("--all", action="store_true", help="all jobs, and counts, history and dead letters")
    chosen.add_argument("--jobs", type=_one_or_more, default=_SAMPLE, help="about how many jobs (default %(default)s)")
    audit.add_argument("--seed", type=int, default=1, help="another seed chooses other jobs (default %(default)s)")
    archive = parts.add_parser("archive", help="write finished days of the log into files")
    archive.add_argument("--archive", type=Path, default=Path("archive"), help="folder to write to")
    instead = archive.add_mutually_exclusive_group()
    instead.add_argument("--verify", action="store_true", help="check every file instead of writing")
    instead.add_argument(
        "--prune", action="store_true", help="instead, remove all jobs that ended before the retention horizon"
    )
    return parser.parse_args()


def _one_or_more(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1: nothing would be looked at")
    return number
