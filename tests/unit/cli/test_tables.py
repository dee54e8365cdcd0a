"""What identifies a job is readable on every terminal, whatever else there is to show."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from jobtrail.tables import Jobs, age_text

Make = Callable[..., dict[str, Any]]
ID = "01980000-aaaa-7bbb-8ccc-0123456789ab"
NOW = datetime(2026, 1, 2, 5, 4, 5, tzinfo=UTC)
COUNTERS = {"total": 12_345, "processed": 1_234, "failed": 5, "skipped": 67}


def printed(width: int, *jobs: dict[str, Any]) -> str:
    console = Console(width=width, record=True)
    console.print(Jobs(jobs, NOW))
    return console.export_text()


def many(job: Make) -> list[dict[str, Any]]:
    common = {"job_id": ID, "type": "PRODUCT_AUTO_MATCHING", "counters": COUNTERS, "duration_ms": 123_456}
    failed = job(**common, status="FAILED", error={"category": "NETWORK_ERROR", "message": "no answer"})
    return [job(**common), job(**common, account="z" * 128, status="CANCELLED"), failed]


@pytest.mark.parametrize("width", [40, 80, 145, 146, 160])
def test_ids_and_statuses_are_whole_and_nothing_is_cut(job: Make, width: int) -> None:
    said = printed(width, *many(job))
    assert said.count(ID) == 3
    for word in ("COMPLETED", "CANCELLED", "FAILED", "123.5 s", "NETWORK_ERROR", "1,234", "12,345"):
        assert word in said
    assert "…" not in said and said.count("┏") == said.count("┓")
    assert said.count("z") == 128


@pytest.mark.parametrize(("width", "table"), [(80, False), (119, False), (120, True), (160, True)])
def test_a_table_is_drawn_where_it_has_room(job: Make, width: int, table: bool) -> None:
    assert ("Account" in printed(width, *many(job)[:2])) == table


def test_a_long_id_takes_the_room_of_a_table(job: Make) -> None:
    assert "x" * 128 in printed(160, job(job_id="x" * 128))


def test_details_have_a_column_where_there_are_any(job: Make) -> None:
    assert "Details" not in printed(160, job())
    assert "created 3" in printed(160, job(metadata={"created": 3}), job())


@pytest.mark.parametrize(
    ("age", "said"),
    [
        (timedelta(seconds=-5), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(minutes=60), "1 h"),
        (timedelta(hours=23), "23 h"),
        (timedelta(days=400), "400 d"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(job: Make, age: timedelta, said: str) -> None:
    assert age_text(job(created_at=(NOW - age).isoformat()), NOW) == said
