"""When a schedule runs: cron expressions, intervals, time zones and clock changes."""

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_events.errors import InvalidRequest
from job_tracker.scheduler.timing import (
    HORIZON,
    LONGEST_CRON,
    LONGEST_INTERVAL,
    Timing,
    read_timing,
    time_zone,
    zone_names,
)

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NEW_YORK, VIETNAM = "America/New_York", "Asia/Ho_Chi_Minh"
CLOCK_CHANGES = {"skipped": datetime(2027, 3, 14, tzinfo=UTC), "repeated": datetime(2026, 11, 1, tzinfo=UTC)}


def cron(expression: str, zone: str = "UTC", now: datetime = NOW) -> Timing:
    return read_timing(expression, None, zone, now)


def texts(timing: Timing, after: datetime, count: int) -> list[str]:
    return [f"{instant:%a %d %b %H:%M%z}" for instant in timing.local(timing.upcoming(after, count))]


def test_weekdays_0_and_7_are_sunday() -> None:
    sundays = [datetime(2026, 12, 6, tzinfo=UTC), datetime(2026, 12, 13, tzinfo=UTC)]
    for expression in ("0 0 * * 0", "0 0 * * 7", "0 0 * * SUN", "0 0 * * 0,7"):
        assert cron(expression).upcoming(NOW, 2) == sundays
        assert "on Sunday" in cron(expression).words()


def test_a_day_of_month_with_a_weekday_is_either_of_them_and_the_words_say_so() -> None:
    timing = cron("0 0 13 * 5")
    assert texts(timing, NOW, 4) == [
        "Fri 04 Dec 00:00+0000",
        "Fri 11 Dec 00:00+0000",
        "Sun 13 Dec 00:00+0000",
        "Fri 18 Dec 00:00+0000",
    ]
    assert timing.words() == (
        "At 00:00 on the 13th day of month and on Friday (a day needs to fit one of the two only), UTC"
    )
    assert "one of the two" not in cron("0 0 13 * *").words()


@pytest.mark.parametrize("expression", ["0 0 */2 * 1", "0 0 1 * */2", "0 0 *,1 * 1"])
def test_a_step_beside_a_weekday_is_refused_because_crons_read_it_in_two_ways(expression: str) -> None:
    with pytest.raises(InvalidRequest, match="different days in different crons") as refused:
        cron(expression)
    assert refused.value.field == "cron"
    assert cron("0 0 1-31/2 * 1").next_after(NOW) is not None
    assert cron("0 0 */2 * *").next_after(NOW) is not None


@pytest.mark.parametrize("expression", ["0 0 31 2 *", "0 0 30,31 2 *", "0 0 31 4,6 *", "0 0 31 2,4,6,9,11 *"])
def test_what_never_fits_is_refused_as_never(expression: str) -> None:
    with pytest.raises(InvalidRequest, match="never fits") as refused:
        cron(expression)
    assert refused.value.field == "cron"


def test_a_day_that_comes_every_four_years_or_eight_is_accepted() -> None:
    assert cron("0 0 29 2 *").next_after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, tzinfo=UTC)
    with pytest.raises(InvalidRequest, match="never fits"):  # the next one is in 2044
        cron("0 0 * 2 1#5")


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "* * * * * *", "@daily", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8"),
        *("5-1 * * * *", "*/0 * * * *", "-5 * * * *", "1,,2 * * * *", "R * * * *", "? * * * *", "*/5/2 * * * *"),
        *("١ * * * *", "０ * * * *", "* * * * ²L", "1W * * * *", "* * * FOO *", "* * * * MON-", "1/* * * * *"),
    ],
)
def test_what_is_no_expression_is_refused_with_what_is_allowed(expression: str) -> None:
    with pytest.raises(InvalidRequest, match="minute 0-59, hour 0-23") as refused:
        cron(expression)
    assert refused.value.field == "cron"


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "", "asia/saigon", "../etc/passwd", "/etc/localtime", "America", "+07:00"]
)
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidRequest, match="IANA") as refused:
        cron("0 0 * * *", zone)
    assert refused.value.field == "timezone"


@pytest.mark.parametrize("seconds", [-1, 0, 59, LONGEST_INTERVAL + 1, 10**30])
def test_an_interval_out_of_range_is_refused(seconds: int) -> None:
    with pytest.raises(InvalidRequest, match="it takes 60 to") as refused:
        read_timing(None, seconds, "UTC", NOW)
    assert refused.value.field == "every_seconds"


def test_one_of_expression_and_interval_is_needed() -> None:
    for expression, seconds in ((None, None), ("0 0 * * *", 60)):
        with pytest.raises(InvalidRequest, match="every_seconds"):
            read_timing(expression, seconds, "UTC", NOW)


def test_old_names_of_a_zone_mean_the_same() -> None:
    assert {"Asia/Saigon", "Asia/Ho_Chi_Minh", "US/Eastern"} <= zone_names()
    old, new = cron("30 0 * * 1", "Asia/Saigon"), cron("30 0 * * 1", VIETNAM)
    assert old.upcoming(NOW, 9) == new.upcoming(NOW, 9)


def test_midnight_and_monday_are_those_of_the_zone() -> None:
    timing = cron("30 0 * * 1", VIETNAM)
    # In UTC that is Sunday at 17:30.
    assert texts(timing, datetime(2026, 11, 29, 17, 29, tzinfo=UTC), 2) == [
        "Mon 30 Nov 00:30+0700",
        "Mon 07 Dec 00:30+0700",
    ]
    assert timing.next_after(datetime(2026, 11, 29, 17, 30, tzinfo=UTC)) == datetime(2026, 12, 6, 17, 30, tzinfo=UTC)
    first_of_month = cron("0 0 1 * *", VIETNAM)
    assert first_of_month.next_after(NOW) == datetime(2026, 11, 30, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize("change", CLOCK_CHANGES.values(), ids=CLOCK_CHANGES)
@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("minute", [0, 30])
def test_a_daily_run_comes_once_a_day_also_when_the_clock_changes(change: datetime, hour: int, minute: int) -> None:
    timing = cron(f"{minute} {hour} * * *", NEW_YORK, change - timedelta(days=5))
    local = timing.local(timing.upcoming(change - timedelta(days=3), 7))
    days = [instant.date() for instant in local]
    assert days == [days[0] + timedelta(days=number) for number in range(7)]
    for instant in local:
        skipped = instant.date() == change.date() and change.month == 3 and hour == 2
        assert (instant.hour, instant.minute) == ((3, 0) if skipped else (hour, minute))


def test_the_next_run_is_in_the_future_at_every_minute_of_a_clock_change() -> None:
    for change in CLOCK_CHANGES.values():
        for expression in ("30 1 * * *", "30 2 * * *", "0 * * * *", "*/15 1 * * *", "0,30 1,2,3 * * *"):
            timing = cron(expression, NEW_YORK, change)
            planned = timing.upcoming(change, 100)
            for minutes in range(0, 24 * 60, 7):
                moment = change + timedelta(minutes=minutes)
                following = timing.next_after(moment)
                assert following is not None
                assert following > moment
                assert following == next(instant for instant in planned if instant > moment)


def test_an_interval_goes_on_through_a_clock_change_and_counts_from_its_anchor() -> None:
    anchor = datetime(2026, 10, 31, 23, 0, 5, 999, tzinfo=UTC)
    timing = read_timing(None, 3600, NEW_YORK, anchor)
    found = timing.upcoming(anchor, 12)
    assert found[0] == datetime(2026, 11, 1, 0, 0, 5, tzinfo=UTC)
    assert {second - first for first, second in pairwise(found)} == {timedelta(hours=1)}
    assert timing.next_after(found[4]) == found[5]
    assert timing.next_after(found[4] - timedelta(microseconds=1)) == found[4]
    assert timing.words() == "Every hour"
    assert read_timing(None, 5400, "UTC", NOW).words() == "Every 90 minutes"


def test_the_newest_instants_are_found_from_the_end() -> None:
    for timing in (cron("*/5 * * * *"), cron("0 3 * * *"), cron("* * * 1 *"), read_timing(None, 60, "UTC", NOW)):
        first = timing.next_after(NOW)
        assert first is not None
        for days in (0, 1, 40, 400):
            until = first + timedelta(days=days, seconds=1)
            began = time.perf_counter()
            found = timing.newest(first, until, 30)
            assert time.perf_counter() - began < 20
            assert found == sorted(set(found)) and found[-1] <= until
            assert first <= found[0]
            rest = timing.next_after(found[-1])
            assert rest is not None and rest > until
            assert all(timing.next_after(one) == other for one, other in pairwise(found))
            assert len(found) == 30 or found[0] == first


HOSTILE = [
    "59 23 31 12 7#5",
    "0 0 29 2 1#5",
    "59 23 29 2 7#5",
    ",".join(["*"] * 96) + " * * * *",
    ",".join(["0-59"] * 38) + " * * * *",
    "0 0 31 2 " + ",".join(["1#5"] * 40),
    "0 0 30 2 0#1,0#2,0#3,0#4,0#5",
    "*/999999999999999999999999999999 */9999999 * * *",
    "9" * 190 + " * * * *",
    "* " * 100,
    "0" * LONGEST_CRON * 1000,
    "*" * 10_000_000,
]


@pytest.mark.parametrize("expression", HOSTILE, ids=range(len(HOSTILE)))
def test_an_expression_costs_bounded_time(expression: str) -> None:
    began = time.perf_counter()
    try:
        timing = cron(expression, "America/New_York")
        timing.upcoming(NOW, 5)
        timing.words()
    except InvalidRequest as refused:
        named = refused.field, len(refused.reason) < 1000
        assert named == ("cron", True)
    assert time.perf_counter() - began < 5


fields = st.text("0123456789*/-,L#WMONJAFEBSU ", max_size=8)
expressions = st.one_of(
    st.text(max_size=30),
    st.lists(fields, min_size=5, max_size=5).map(" ".join),
    st.tuples(
        *(st.sampled_from(["*", "0", "*/7", "59", "1-5", "3,4"]), st.sampled_from(["*", "0", "2", "1-3", "*/5"])),
        *(st.sampled_from(["*", "31", "29", "L", "LW", "1-7"]), st.sampled_from(["*", "2", "FEB", "3,11"])),
        st.sampled_from(["*", "7", "5L", "1#5", "MON-FRI"]),
    ).map(" ".join),
)
moments = st.integers(946_684_800, 3_786_912_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))  # to 2090


@given(expressions, st.sampled_from(sorted(zone_names())), moments)
def test_any_text_is_refused_or_has_ascending_runs_in_the_future(expression: str, zone: str, now: datetime) -> None:
    try:
        timing = cron(expression, zone, now)
    except InvalidRequest as refused:
        field = refused.field
        assert field == "cron"
        return
    found = timing.upcoming(now, 5)
    assert found and now < found[0] and found == sorted(set(found)) and found[-1] <= now + HORIZON
    assert timing.words().endswith(zone)
    assert timing.next_after(found[0]) == (found[1] if len(found) > 1 else None)


simple = st.sampled_from(["*", "*/10", "0", "5,17", "20-40"])


@given(
    simple,
    st.sampled_from(["*", "0", "3-5", "*/6"]),
    st.sampled_from(["*", "1", "15,31"]),
    st.sampled_from(["*", "0", "1-5"]),
)
def test_runs_are_those_that_a_look_at_every_minute_finds(minute: str, hour: str, day: str, weekday: str) -> None:
    """In a zone without clock changes, by an own reading of the fields."""

    def values(text: str, low: int, high: int) -> set[int]:
        if text.startswith("*"):
            return set(range(low, high + 1, int(text[2:] or 1)))
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
        return {value for end in ends for value in range(end[0], end[-1] + 1)}

    zone = time_zone(VIETNAM)

    def fits(moment: datetime) -> bool:
        local = moment.astimezone(zone)
        days = local.day in values(day, 1, 31), local.isoweekday() % 7 in values(weekday, 0, 6)
        on_day = any(days) if "*" not in {day, weekday} else all(days)
        return local.minute in values(minute, 0, 59) and local.hour in values(hour, 0, 23) and on_day

    start = datetime(2026, 11, 28, 11, 0, tzinfo=UTC)
    minutes = [start + timedelta(minutes=number) for number in range(1, 4 * 24 * 60)]
    expected = [moment for moment in minutes if fits(moment)]
    timing = cron(f"{minute} {hour} {day} * {weekday}", VIETNAM)
    found: list[datetime] = []
    for instant in timing.after(start):
        if instant > minutes[-1]:
            break
        found.append(instant)
    assert found == expected
