"""The table behind a moving horizon equals a fold of the same events and that horizon, byte for byte.

Random jobs over many days, read day by day, with sweeps, changed settings and a pruned archive; the log is then folded
again in another order, as a rebuild does.
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from tests.horizon_events import DAY, Appended, random_log

from job_events.topics import Topics
from job_tracker.archive.catalogue import FORMAT, ArchiveCatalogue, ArchiveHorizon, Manifest, sealed
from job_tracker.archive.files import PartWriter, read_segment, write_manifest
from job_tracker.archive.lines import Archived
from job_tracker.archive.prune import days_to_prune, prune_day, set_horizon
from job_tracker.domain.horizon import Lateness, midnight, next_rule, reached_horizon, rule_in_force
from job_tracker.log.records import Record
from job_tracker.projector.batch import Batch
from job_tracker.projector.jobs_projection import JobsProjection
from job_tracker.rebuild.projection import ShadowProjection
from job_tracker.rebuild.shadow import ShadowTables
from job_tracker.store.horizon import (
    delete_forgotten_of_shadow,
    kept_jobs,
    move_horizon,
    store_rule,
    stored_horizon,
    stored_rules,
    sweep_jobs,
)
from job_tracker.store.postgres import connect

TOPICS = Topics()
NO_HISTORY = datetime(9999, 1, 1, tzinfo=UTC)
TOPIC_ID = "id"
ROWS = "SELECT j::text FROM job AS j ORDER BY job_id"
ROLLUPS = """
    SELECT r::text FROM rollup AS r
    WHERE (jobs, processed, successful, failed, skipped, duration_ms) <> (0, 0, 0, 0, 0, 0)
    ORDER BY tenant, account, job_type, status, day
"""
WRONG_ROLLUPS = "SELECT * FROM tracker.rollup_differences()"


def write(connection: Any, projection: JobsProjection, records: list[Record]) -> None:
    batch = Batch(projection, records)
    assert batch.dead == []
    batch.pack()
    with connection.transaction(), connection.cursor() as cursor:
        projection.write(cursor, batch.content)


def as_records(log: list[Appended]) -> list[Record]:
    """The records of `jobs.events`: two partitions, each in the order of the broker's time."""
    following = [0, 0]
    records: list[Record] = []
    for appended_at, event in sorted(log, key=lambda one: one.at):
        partition = sum(event["subject"].encode()) % 2
        value = json.dumps(event).encode()
        offset = following[partition]
        records.append(Record(TOPICS.events, partition, offset, appended_at, event["subject"].encode(), value))
        following[partition] += 1
    return records


class Archive:
    """An archive of the days that it is given, pruned now and then."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, day: date, records: list[Record]) -> None:
        place = self.folder / TOPICS.events / TOPIC_ID / day.isoformat()
        place.mkdir(parents=True)
        parts = []
        for partition, found in groupby(sorted(records, key=lambda one: (one.partition, one.offset)), key=partition_of):
            held = list(found)
            writer = PartWriter(place, partition)
            for record in held:
                writer.write(Archived(record))
            parts.append(writer.close(held[0].offset, held[-1].offset + 1))
        write_manifest(place, sealed(Manifest(FORMAT, TOPICS.events, TOPIC_ID, day, parts)))

    def prune(self, ended_before: datetime, kept: frozenset[str], chance: random.Random) -> None:
        """Some of the days, as a run that ends early leaves it."""
        set_horizon(self.folder, ended_before.date(), kept)
        catalogue = ArchiveCatalogue(self.folder, [TOPICS.events])
        assert catalogue.horizon is not None
        days = list(days_to_prune(catalogue, catalogue.horizon))
        for manifest, folder in chance.sample(days, chance.randint(0, len(days))):
            prune_day(manifest, folder, catalogue.horizon, TOPICS.lifecycle(), lambda _: None)

    def read(self) -> tuple[list[Record], ArchiveHorizon | None]:
        catalogue = ArchiveCatalogue(self.folder, [TOPICS.events])
        found = [record for one in catalogue.all_segments() for batch in read_segment(one, 100) for record in batch]
        return found, catalogue.horizon


def partition_of(record: Record) -> int:
    return record.partition


def days_of(records: list[Record]) -> Iterator[tuple[date, list[Record]]]:
    by_day = groupby(sorted(records, key=lambda one: one.appended_at), key=lambda one: one.appended_at.date())
    return ((day, list(found)) for day, found in by_day)


def rebuilt(url: str, records: list[Record], lateness: Lateness, chance: random.Random) -> list[list[Any]]:
    """Rows and rollups of a fold of these records in another order, with the stored horizon applied."""
    chance.shuffle(records)
    with connect(url, "tracker_again") as shadow:
        ShadowTables(shadow, "tracker_again").create()
        shadow.execute(ShadowProjection.session)
        projection = ShadowProjection(TOPICS, NO_HISTORY, lateness=lateness)
        for first in range(0, len(records), 70):
            write(shadow, projection, records[first : first + 70])
        delete_forgotten_of_shadow(shadow, stored_horizon(shadow).ended_before, lossy=False)
        return [shadow.execute(query).fetchall() for query in (ROWS, ROLLUPS)]


@pytest.mark.parametrize("seed", range(4))
def test_table_and_rebuild_forget_alike(*, table: Any, database_url: str, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    records = as_records(random_log(chance))
    archive = Archive(tmp_path)
    projections = [JobsProjection(TOPICS, history_since=NO_HISTORY) for _ in range(2)]
    kept_days = 4
    late = 0
    for day, found in days_of(records):
        lateness = Lateness(stored_rules(table))
        late += sum(lateness.is_late("", time_of(record), record.appended_at) for record in found)
        # Two owners, a partition each; their batches come in any order.
        batches = [
            (projections[partition], part[first : first + 40])
            for partition in (0, 1)
            for part in [[record for record in found if record.partition == partition]]
            for first in range(0, len(part), 40)
        ]
        for projection in projections:
            projection.use_lateness(lateness)
        for projection, batch in chance.sample(batches, len(batches)):
            write(table, projection, batch)
        archive.add(day, found)
        # The next day begins.
        now = datetime.combine(day + DAY, time(1, 30), UTC)
        if chance.random() < 0.15:
            kept_days = chance.choice([3, 4, 6])
        if (rule := next_rule(stored_rules(table), kept_days, now)) is not None:
            store_rule(table, rule)
        if (rule := rule_in_force(stored_rules(table), now)) is None or chance.random() < 0.3:
            continue
        horizon, read_until = reached_horizon(rule, now)
        assert read_until <= midnight(now)
        move_horizon(table, horizon)
        sweep_jobs(table, rows=chance.choice([3, 50]))
        assert table.execute(WRONG_ROLLUPS).fetchall() == []
        if chance.random() < 0.5:
            stored = stored_horizon(table).ended_before
            archive.prune(stored, kept_jobs(table, stored), chance)
    rows = [table.execute(query).fetchall() for query in (ROWS, ROLLUPS)]
    rules = stored_rules(table)
    assert rebuilt(database_url, list(records), Lateness(rules), chance) == rows
    read, horizon = archive.read()
    assert horizon is not None
    pruned = Lateness(rules, horizon.midnight(), frozenset(horizon.jobs))
    assert len(read) < len(records)
    assert rebuilt(database_url, read, pruned, chance) == rows
    # The archive without its earlier days' files pruned away, and copies of old events behind it.
    assert rebuilt(database_url, [*records, *read], pruned, chance) == rows
    # The cases that matter were among them.
    ids = {json.loads(record.value or b"")["subject"] for record in records}
    assert late > 0
    assert 0 < len(rows[0]) < len(ids) / 2
    assert table.execute("SELECT count(*) FROM job WHERE state IN ('queued', 'running')").fetchone() != (0,)
    assert table.execute("SELECT count(*) FROM job WHERE deleted").fetchone() != (0,)
    assert table.execute(
        "SELECT count(*) FROM job WHERE state = 'finished' AND requested_at < %s",
        [stored_horizon(table).ended_before],
    ).fetchone() != (0,)


def time_of(record: Record) -> datetime:
    return datetime.fromisoformat(json.loads(record.value or b"")["time"])
