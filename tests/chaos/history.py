"""What is saved of a run, so that any other program can check its verdict."""

import base64
import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.ledger import Ledger
from tests.chaos.oracle import LogRecord, Row
from tests.chaos.phases import Step


@dataclass(slots=True)
class History:
    """What a phase has so far: one that breaks off saves what there is."""

    schedule: list[Step] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    log: list[LogRecord] | None = None
    tables: dict[str, list[Row]] = field(default_factory=dict)

    def save(self, folder: Path, violations: list[str]) -> None:
        """Write the schedule, the ledger, the log, the tables and the verdict as (compressed) JSON lines."""
        folder.mkdir(parents=True, exist_ok=True)
        _lines(folder / "schedule.jsonl", (step._asdict() for step in self.schedule))
        _lines(folder / "ledger.jsonl.gz", (entry.as_json() for entry in self.ledger.entries))
        if self.log is not None:
            _lines(folder / "log.jsonl.gz", (record._asdict() for record in self.log))
        for name, rows in self.tables.items():
            _lines(folder / f"{name}.jsonl.gz", rows)
        (folder / "violations.txt").write_text("".join(f"{violation}\n" for violation in violations), "utf-8")


def _base64(value: bytes) -> str:
    """Keys and values of records: the log holds bytes that are no text."""
    return base64.b64encode(value).decode()


def _lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False, default=_base64) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text, compresslevel=3) if path.suffix == ".gz" else text)
