"""`jobtrail rebuild`, `audit` and `archive`: what the tracker does with the whole log, as processes of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from jobtrail.home import Home


def run_part(home: Home, part: str, archive: Path | None, *arguments: str) -> int:
    """Run a part of the tracker on the servers of this home, and pass its exit status on.

    The archive is the home's own unless another folder is given.
    """
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": home.kafka(), "DATABASE_URL": home.database()}
    command = [sys.executable, "-m", "job_tracker", part, "--archive", str(archive or home.archive), *arguments]
    process = subprocess.Popen(command, env=environment)  # noqa: S603 - our own module
    # Ctrl-C reaches the process too; this one waits until it has cleaned up.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
