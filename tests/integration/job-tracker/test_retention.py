"""Retention by an injected clock: what is old enough goes, and nothing else."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from tests.tracker_actions import At, run

from job_tracker import bootstrap, bootstrap_rebuild
from job_tracker.retention import sweep
from job_tracker.store.postgres import connect
from service_kit.sql_files import queries


def tables(connection: Any) -> list[str]:
    found = connection.execute(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'tracker.event'::regclass ORDER BY 1"
    ).fetchall()
    return [name.removeprefix("tracker.event_") for (name,) in found]


def test_old_days_items_and_letters_go_and_job_rows_stay(
    *, system: Any, connection: Any, stream: Any, oracle: Any, shown: Any, wait_until: Any
) -> None:
    events = stream.jobs(10)
    system.send(events)
    system.send_raw(b"bad", key=b"bad")
    item = stream.envelope(
        "item.recorded.v1",
        "job-1",
        "job-1/sku-1/0",
        stream.start,
        {
            "job": {"type": "PRODUCT_SYNC", "account": "shop-1"},
            "attempt": 0,
            "item": "sku-1",
            "action": "updated",
            "response_ms": 3,
            "worker": "w",
        },
    )
    system.send([item], system.topics.items)
    system.projector()
    system.projector(part="items")
    wait_until(lambda: system.count(connection, "event") == len(events), "the log was not read")
    wait_until(lambda: system.count(connection, "dead_letter") == 1, "the poison was not read")
    wait_until(lambda: system.count(connection, "item") == 1, "the item was not read")
    system.end_projectors()
    connection.execute(
        "INSERT INTO tracker.api_key (tenant, key, request_hash, job_id, chain, event_time, created_at) "
        "VALUES ('demo', 'k', 'h', 'j', 'c', now(), now())"
    )
    today = datetime.now(UTC)
    connection.execute("SELECT tracker.ensure_event_days(%s, 3)", [today.date() - timedelta(days=8)])
    everything = (len(events), 1, 1, 1)

    def counts() -> tuple[int, ...]:
        return tuple(system.count(connection, name) for name in ("event", "dead_letter", "item", "api_key"))

    settings = system.settings.model_copy(
        update={"jobtrail_history_days": 7, "jobtrail_items_days": 30, "jobtrail_keys_days": 14}
    )
    days = tables(connection)
    first, second = (f"{today - timedelta(days=age):%Y%m%d}" for age in (8, 7))
    assert {first, second} < set(days)

    def swept(later: timedelta) -> dict[str, int]:
        with connect(system.database_url) as own:
            return dict(sweep(own, today + later, settings))

    assert swept(timedelta()) == {"days": 1}
    assert tables(connection) == [day for day in days if day != first]
    assert counts() == everything
    # Today's events go with the day that is the eighth after it; the others have a longer life.
    assert swept(timedelta(days=7))["days"] > 0
    assert counts() == everything
    assert swept(timedelta(days=9))["days"] > 0
    assert counts() == (0, 1, 1, 1)
    assert swept(timedelta(days=15)) == {"days": 2, "delete_keys": 1}
    assert swept(timedelta(days=31)) == {"delete_items": 1, "delete_dead_letters": 1}
    assert counts() == (0, 0, 0, 0)
    assert tables(connection) == ["default"]
    assert shown(connection) == oracle(events)
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []


def test_a_deleted_job_leaves_its_tombstone_only_and_no_rebuild_brings_it_back(
    *, system: Any, connection: Any, stream: Any, wait_until: Any, tmp_path: Path
) -> None:
    gone, kept = stream.job(1), stream.job(2)
    deleted = stream.envelope(
        "job.deleted.v1",
        gone[0]["subject"],
        f"{gone[0]['subject']}/deleted",
        datetime.now(UTC),
        {"job": gone[0]["data"]["job"], "requested_by": "Bình", "reason": "asked for"},
    )
    system.send([*gone, *kept, deleted])
    system.projector()
    wait_until(lambda: system.count(connection, "event") == len(gone + kept) + 1, "the log was not read")
    with connect(system.database_url) as own:
        assert sweep(own, datetime.now(UTC), system.settings) == {"delete_deleted_history": len(gone) + 1}
    assert connection.execute("SELECT job_id FROM tracker.job WHERE NOT deleted").fetchall() == [(kept[0]["subject"],)]
    assert system.count(connection, "event") == len(kept)
    # The log still has the whole history of the deleted job.
    assert run(system, "rebuild", "--swap", folder=tmp_path).returncode == 0
    assert connection.execute("SELECT job_id FROM tracker.job WHERE NOT deleted").fetchall() == [(kept[0]["subject"],)]
    assert system.count(connection, "event") == len(kept)


def test_a_rebuild_expects_no_dead_letters_that_retention_has_taken(
    *, system: Any, connection: Any, live: Any, tmp_path: Path
) -> None:
    assert live
    settings = system.settings.model_copy(update={"jobtrail_items_days": 1})
    clock, out = At(timedelta(days=2)), StringIO()
    with connect(system.database_url) as own:
        assert sweep(own, clock.now(), settings)["delete_dead_letters"] > 0
    found = bootstrap_rebuild.run_rebuild(
        settings, clock, Console(file=out), archive=tmp_path, swap=False, accept_loss=False
    )
    assert (found, "No difference" in out.getvalue()) == (0, True)
    bootstrap_rebuild.run_rebuild(settings, clock, Console(file=out), archive=tmp_path, swap=True, accept_loss=False)
    assert system.count(connection, "dead_letter") == 0


def test_a_day_that_somebody_reads_goes_with_the_next_sweep(*, system: Any, connection: Any) -> None:
    """And two trackers don't sweep at once."""
    bootstrap.prepare_schema(system.settings, lambda _: False)
    now = datetime.now(UTC)
    old = now.date() - timedelta(days=system.settings.jobtrail_history_days + 1)
    connection.execute("SELECT tracker.ensure_event_days(%s, 1)", [old])
    table = f"{old:%Y%m%d}"
    with connect(system.database_url) as sweeping, connect(system.database_url) as other:
        with other.transaction():
            other.execute(f"LOCK TABLE event_{table} IN ACCESS SHARE MODE")  # pyright: ignore[reportArgumentType]
            assert sweep(sweeping, now, system.settings)["days"] == 0
        assert table in tables(connection)
        other.execute(queries("job_tracker.store", "retention.sql")["try_lock"])
        assert sweep(sweeping, now, system.settings) == Counter()
        other.execute(queries("job_tracker.store", "retention.sql")["unlock"])
        assert sweep(sweeping, now, system.settings)["days"] == 1
    assert table not in tables(connection)
