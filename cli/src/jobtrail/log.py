"""`jobtrail rebuild`, `skip-gap`, `audit`, `archive`: what the tracker does with the whole log, in this process."""

import os
import sys
from pathlib import Path
from typing import NoReturn

from jobtrail.errors import UserError
from jobtrail.home import Home


def exec_tracker(home: Home, part: str, archive: Path | None, *arguments: str) -> NoReturn:
    """Go on as a part of the tracker on the servers of this home: signals and exit status are its own.

    The archive is the home's own unless another folder is given.
    """
    try:
        environment = os.environ | {
            **home.kafka().environment(),
            "DATABASE_URL": home.database(),
            "PYTHONIOENCODING": f"{sys.stdout.encoding}:replace",  # as in `main`
        }
    except UserError as error:
        error.status = 2  # as the part's own: 1 says that something differs
        raise
    folder = [] if part == "skip-gap" else [f"--archive={archive or home.archive}"]
    command = [sys.executable, "-m", "job_tracker", part, *folder, *arguments]
    sys.stdout.flush()
    os.execve(sys.executable, command, environment)  # noqa: S606 - our own module
