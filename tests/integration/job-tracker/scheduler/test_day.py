"""Two scheduler processes, a clock that moves through a day, and kills: exactly the planned jobs start."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.scheduler_clock import set_clock

DAY = datetime(2026, 11, 1, tzinfo=UTC)  # on which New York repeats an hour: 05:00 to 07:00 in UTC
STEP = timedelta(minutes=30)
CLOCK = "import sys; sys.path.insert(0, {root!r}); from tests.scheduler_clock import install; install({clock!r})"
ROOT = str(Path(__file__).parents[4])

PARIS = {(2, 0), (14, 0)}
Fits = Callable[[datetime], bool]
# Expressions, and what they say, without a cron library. A daily run in a repeated hour is its first one.
TIMES: list[tuple[str, str, Fits]] = [
    ("0 * * * *", "UTC", lambda t: t.minute == 0),
    ("30 */3 * * *", "Asia/Ho_Chi_Minh", lambda t: t.minute == 30 and t.hour % 3 == 0),
    ("0 0 * * *", "Asia/Saigon", lambda t: (t.hour, t.minute) == (0, 0)),
    ("30 23 * * 0", "Asia/Ho_Chi_Minh", lambda t: (t.isoweekday(), t.hour, t.minute) == (7, 23, 30)),
    ("0 0 * * 1", "Asia/Ho_Chi_Minh", lambda t: (t.isoweekday(), t.hour, t.minute) == (1, 0, 0)),
    ("30 1 * * *", "America/New_York", lambda t: (t.hour, t.minute, t.fold) == (1, 30, 0)),
    ("0 1 * * 7", "America/New_York", lambda t: (t.isoweekday(), t.hour, t.minute, t.fold) == (7, 1, 0, 0)),
    ("0 2,14 1 * 3", "Europe/Paris", lambda t: (t.day == 1 or t.isoweekday() == 3) and (t.hour, t.minute) in PARIS),
    ("0 9 2 * *", "Asia/Tokyo", lambda t: (t.day, t.hour, t.minute) == (2, 9, 0)),
    ("0 12 * 12 *", "UTC", lambda t: (t.month, t.hour, t.minute) == (12, 12, 0)),
]
TYPES = ("PULL_NHANH_PRODUCTS", "PRODUCT_SYNC", "AUTO_MATCH_CUSTOMERS")
ALL = ("shop-0", "shop-1", "shop-2")


def instants(zone: str, fits: Fits, hours: float) -> list[datetime]:
    """By a look at every minute of the time."""
    minutes = [DAY + timedelta(minutes=number) for number in range(1, int(hours * 60) + 1)]
    return [minute for minute in minutes if fits(minute.astimezone(ZoneInfo(zone)))]


@pytest.mark.parametrize(
    ("count", "hours"),
    [(30, 3), pytest.param(1000, 24, marks=[pytest.mark.long, pytest.mark.timeout(3600)])],
)
def test_exactly_the_planned_jobs_start(
    *, make_schedules: Any, job_id: Any, system: Any, wait_until: Any, tmp_path: Path, count: int, hours: int
) -> None:
    chance = random.Random(count)  # noqa: S311 - reproducible
    schedules = make_schedules(DAY)
    schedules.add_accounts(*ALL, "shop-3")
    expected: set[str] = set()
    for number in range(count):
        expression, zone, fits = TIMES[number % len(TIMES)]
        job_type, account = TYPES[number % len(TYPES)], None if number % 10 == 4 else f"shop-{number % 4}"
        if number % 5 == 3:
            made = schedules.add(account, job_type, every=7200)
            planned = [DAY + timedelta(hours=hour) for hour in range(2, hours + 1, 2)]
        else:
            made = schedules.add(account, job_type, cron=expression, zone=zone)
            planned = instants(zone, fits, hours)
        shops = [account] if account is not None else [*ALL, "shop-3"]
        expected |= {job_id(made, shop, job_type, at) for shop in shops for at in planned}
    assert len(expected) > count // 2
    clock, logs = tmp_path / "clock", [tmp_path / "one.log", tmp_path / "two.log"]
    set_clock(clock, DAY)
    before = CLOCK.format(root=ROOT, clock=str(clock))
    processes = [system.process("scheduler", log, before) for log in logs]
    system.projector()

    def idle() -> bool:
        left = schedules.connection.execute(
            "SELECT (SELECT count(*) FROM tracker.schedule WHERE next_run_at <= %(now)s) "
            "+ (SELECT count(*) FROM tracker.schedule_run WHERE state IN ('planned', 'requested'))",
            {"now": schedules.clock.time},
        ).fetchone()
        assert all(process.poll() is None for process in processes), [log.read_text()[-2000:] for log in logs]
        return left == (0,)

    def moved() -> int:
        """How many runs of this step there are, each counted once more for each state that it has passed."""
        found = schedules.connection.execute(
            "SELECT coalesce(sum(CASE state WHEN 'planned' THEN 1 WHEN 'requested' THEN 2 ELSE 3 END), 0)::int "
            "FROM tracker.schedule_run WHERE planned_at > %(after)s",
            {"after": schedules.clock.time - STEP},
        ).fetchone()
        assert found is not None
        return found[0]

    kills = 0
    for step in range(1, int(timedelta(hours=hours) / STEP) + 1):
        schedules.clock.time = DAY + step * STEP
        set_clock(clock, schedules.clock.time)
        if step % 2 == 0:
            victim, wanted = chance.randrange(2), chance.choice([0, 1, 5, count // 10, count // 2])
            wait_until(lambda wanted=wanted: moved() >= wanted or idle(), "nothing moves")
            processes[victim].kill()
            processes[victim].wait(60)
            processes[victim] = system.process("scheduler", logs[victim], before)
            kills += 1
        wait_until(idle, f"runs are left at {schedules.clock.time}")
        schedules.finish(wait_until)
    asked = Counter(request["subject"] for request in schedules.requests())
    assert asked.keys() == expected
    # A process that is killed between Kafka's acknowledgement and its commit sends the same events again.
    table = schedules.connection.execute("SELECT job_id FROM tracker.job").fetchall()
    assert sorted(job for (job,) in table) == sorted(expected)
    skipped = schedules.connection.execute("SELECT * FROM tracker.schedule_run WHERE state <> 'sent'").fetchall()
    assert skipped == []
    assert kills == hours
