"""The system as a user starts it: the real command, real servers, real files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).parents[2]


class User:
    """Somebody in a folder of their own, with nothing running yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "JOBTRAIL_HOME": str(folder / ".jobtrail"), "COLUMNS": "160"}
        # The command starts servers of its own, whatever the other tests use.
        for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL"):
            self.env.pop(name, None)

    def argv(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).parent / "jobtrail"), *arguments]

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.argv(*arguments),
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @contextmanager
    def running(self, *arguments: str) -> Generator[subprocess.Popen[str], None, None]:
        """A command that goes on while the block runs; what is left of it afterwards is ended."""
        with (self.folder / "output.txt").open("a") as output:
            process = subprocess.Popen(
                self.argv(*arguments), cwd=self.folder, env=self.env, stdout=output, stderr=output, text=True
            )
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(120)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def output(self) -> str:
        return (self.folder / "output.txt").read_text()

    def report(self) -> dict[str, Any]:
        return json.loads((self.folder / "demo-report.json").read_text("utf-8"))


@pytest.fixture
def user(tmp_path: Path) -> User:
    # As root PostgreSQL runs as another user, who must be able to walk to the folder.
    return User(tmp_path)


@pytest.fixture
def service_process() -> Callable[[subprocess.Popen[str], tuple[str, ...]], psutil.Process | None]:
    """Find a service of a running command by its module and arguments."""

    def find(parent: subprocess.Popen[str], command: tuple[str, ...]) -> psutil.Process | None:
        for process in psutil.Process(parent.pid).children(recursive=True):
            try:
                arguments = process.cmdline()
            except psutil.Error:
                continue
            if arguments[1:] == ["-m", *command]:
                return process
        return None

    return find


@pytest.fixture(scope="session")
def data() -> Path:
    """Public catalogues: JOBTRAIL_DATA, else `shared/data` beside the project. CI must have them."""
    folder = Path(os.environ.get("JOBTRAIL_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "abt-buy" / "abt.csv").is_file():
        message = f"no public data in {folder}: set JOBTRAIL_DATA to a folder that holds abt-buy/abt.csv and buy.csv"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder
