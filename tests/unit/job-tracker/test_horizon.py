"""The rules of the retention horizon: it never moves back, and what comes after a sweep is late."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from job_tracker.domain.horizon import NEVER, HorizonRule, Lateness, midnight, next_rule, reached_horizon, rule_in_force
from job_tracker.settings import Settings

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CHANGES = st.lists(st.tuples(st.integers(1, 90), st.integers(1, 60)), min_size=1, max_size=40)
DOC = Path(__file__).parents[3] / "docs" / "howto" / "retention.md"


@given(changes=CHANGES, minutes=st.integers(0, 60 * 24 * 30), at=st.timedeltas(timedelta(0), 120 * DAY))
def test_what_is_appended_after_a_sweep_from_before_its_horizon_is_late(
    changes: list[tuple[int, int]], minutes: int, at: timedelta
) -> None:
    """Whatever the setting has been, and however it changes later. (hours between sweeps, days that are kept)"""
    rules: list[HorizonRule] = []
    reached: list[tuple[datetime, datetime]] = []
    now = NOW
    for hours, days in changes:
        now += hours * HOUR
        if (rule := next_rule(rules, days, now)) is not None:
            assert rule.in_force_from >= now + DAY
            rules = [*(known for known in rules if known.in_force_from != rule.in_force_from), rule]
        if (rule := rule_in_force(rules, now)) is not None:
            reached.append(reached_horizon(rule, now))
    horizons = [horizon for horizon, _ in reached]
    assert horizons == sorted(horizons)
    assert all(horizon == midnight(horizon) or horizon == NEVER for horizon in horizons)
    lateness = Lateness(tuple(sorted(rules)))
    for horizon, read_until in reached:
        assert read_until <= now
        if horizon > NEVER + 200 * DAY:
            appended_at = read_until + timedelta(minutes=minutes)
            assert lateness.is_late("job", horizon - at - timedelta(microseconds=1), appended_at)
            # The quick bound lets nothing through that is late.
            assert horizon - at <= lateness.possible_before(appended_at)


def test_nothing_is_late_before_a_rule_is_in_force() -> None:
    rule = next_rule([], 400, NOW)
    assert rule is not None
    assert rule == HorizonRule(datetime(2026, 3, 12, tzinfo=UTC), 400, NEVER)
    lateness = Lateness((rule,))
    long_ago = NOW - 1000 * DAY
    assert not lateness.is_late("job", long_ago, rule.in_force_from - timedelta(microseconds=1))
    assert lateness.is_late("job", long_ago, rule.in_force_from)
    assert next_rule([rule], 400, NOW + DAY) is None


def test_more_days_bring_nothing_back() -> None:
    first = HorizonRule(NOW - 50 * DAY, 10, NEVER)
    more = next_rule([first], 100, NOW)
    assert more is not None
    assert reached_horizon(more, more.in_force_from + HOUR)[0] == midnight(more.in_force_from) - 10 * DAY


def test_events_before_the_horizon_of_a_pruned_archive_belong_to_its_jobs() -> None:
    lateness = Lateness((), NOW, frozenset({"kept"}))
    before = NOW - timedelta(seconds=1)
    assert (lateness.is_late("kept", before, NOW), lateness.is_late("other", before, NOW)) == (False, True)
    assert not lateness.is_late("other", NOW, NOW)


def test_the_howto_names_every_setting_with_its_default() -> None:
    page = DOC.read_text("utf-8")
    fields = {name: field for name, field in Settings.model_fields.items() if name.endswith("_days")}
    assert len(fields) == 4
    for name, field in fields.items():
        assert any(f"`{name.upper()}`" in line and f"{field.default} days" in line for line in page.splitlines()), name
