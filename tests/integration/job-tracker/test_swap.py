"""What people have put on the job table goes with a swap, or the swap is refused before it begins."""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions
from rich.console import Console
from tests.checked_producer import CheckedProducer
from tests.tracker_actions import JOBS, SHADOWS, recreate, run

from job_tracker import bootstrap_rebuild
from job_tracker.errors import RebuildRefused, SwapBlocked
from job_tracker.rebuild import swap
from job_tracker.rebuild.shadow import ShadowTables
from job_tracker.rebuild.swap import Swap
from service_kit.clock import SystemClock
from service_kit.sql_files import queries

QUERY = queries("job_tracker.store", "preserve_ddl.sql")["blockers"]
# Everything of the tables but their rows and their identity, as the catalogue has it.
WORN = """
SELECT relname, 'owner and rights', pg_get_userbyid(relowner),
       (SELECT string_agg(one::text, ' ' ORDER BY one::text) FROM unnest(relacl) AS one), relrowsecurity::text
FROM pg_class WHERE relnamespace = 'tracker'::regnamespace AND relkind IN ('r', 'p', 'v')
UNION ALL
SELECT relname, attname, attacl::text, attoptions::text, attstattarget::text
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE relnamespace = 'tracker'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0
UNION ALL
SELECT relname, 'comment', description, NULL, NULL FROM pg_description JOIN pg_class c ON c.oid = objoid
WHERE relnamespace = 'tracker'::regnamespace AND objsubid = 0
UNION ALL
SELECT relname, tgname, pg_get_triggerdef(t.oid), tgenabled::text, NULL
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
WHERE relnamespace = 'tracker'::regnamespace AND NOT tgisinternal AND tgparentid = 0
UNION ALL
SELECT tablename, policyname, roles::text || permissive || cmd, qual, with_check
FROM pg_policies WHERE schemaname = 'tracker'
UNION ALL
SELECT relname, 'view', reloptions::text, pg_get_viewdef(oid), NULL
FROM pg_class WHERE relkind = 'v' AND relnamespace IN ('tracker'::regnamespace, 'public'::regnamespace)
ORDER BY 1, 2, 3
"""


@pytest.fixture
def roles(connection: Any) -> Iterator[list[str]]:
    """Three roles of the server that nothing else uses."""
    names = [f"role_{uuid.uuid4().hex[:8]}" for _ in range(3)]
    for name in names:
        connection.execute(f"CREATE ROLE {name}")
    yield names
    for name in names:
        connection.execute(f"DROP OWNED BY {name} CASCADE")
        connection.execute(f"DROP ROLE {name}")


@pytest.mark.long
def test_a_swap_keeps_rights_owners_comments_settings_triggers_policies_and_views(
    *, system: Any, connection: Any, live: Any, stream: Any, roles: Any, wait_until: Any, tmp_path: Path
) -> None:
    system.end_projectors()
    reader, owner, clerk = roles
    today = f"event_{datetime.now(UTC):%Y%m%d}"
    for statement in (
        f"GRANT USAGE ON SCHEMA tracker TO PUBLIC; GRANT CREATE ON SCHEMA tracker TO {owner}",
        f"GRANT SELECT ON tracker.job, tracker.event, tracker.event_default, tracker.{today} TO {reader}",
        f"GRANT SELECT, UPDATE ON tracker.rollup TO {reader} WITH GRANT OPTION",
        "GRANT SELECT ON tracker.rollup TO PUBLIC",
        f"GRANT SELECT (job_id, state), UPDATE (batch) ON tracker.job TO {clerk}",
        f"ALTER TABLE tracker.rollup OWNER TO {owner}; ALTER TABLE tracker.event OWNER TO {owner}",
        f"ALTER TABLE tracker.{today} OWNER TO {owner}; REVOKE DELETE ON tracker.rollup FROM {owner}",
        # By default the tables of today would get other rights than those of yesterday.
        f"ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {clerk}",
        "COMMENT ON TABLE tracker.job IS 'hỏi Bình'; COMMENT ON INDEX tracker.job_newest IS 'the lists'' own'",
        "COMMENT ON CONSTRAINT job_pkey ON tracker.job IS 'one'; COMMENT ON COLUMN tracker.job.batch IS 'a batch'",
        "ALTER TABLE tracker.job ALTER COLUMN batch SET (n_distinct = 7), ALTER COLUMN batch SET STATISTICS 500",
        "ALTER TABLE tracker.job SET (autovacuum_vacuum_scale_factor = 0.05)",
        "CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER note AFTER UPDATE OF batch ON tracker.job FOR EACH ROW EXECUTE FUNCTION public.noted()",
        "CREATE TRIGGER note AFTER INSERT ON tracker.event FOR EACH ROW EXECUTE FUNCTION public.noted()",
        "CREATE TRIGGER quiet BEFORE INSERT ON tracker.job FOR EACH ROW EXECUTE FUNCTION public.noted()",
        "ALTER TABLE tracker.job ENABLE ALWAYS TRIGGER note; ALTER TABLE tracker.job DISABLE TRIGGER quiet",
        f"CREATE POLICY own ON tracker.job FOR SELECT TO {reader}, {clerk} USING (tenant = current_user)",
        "CREATE POLICY all_of_it ON tracker.rollup AS RESTRICTIVE USING (EXISTS (SELECT FROM tracker.job))",
        "ALTER TABLE tracker.job ENABLE ROW LEVEL SECURITY",
        "CREATE VIEW public.mine WITH (security_barrier, security_invoker) AS SELECT job_id, status FROM tracker.job",
        "CREATE VIEW tracker.api_days AS SELECT e.*, m.status FROM tracker.event_default e JOIN public.mine m "
        "USING (job_id) WHERE EXISTS (SELECT FROM tracker.rollup)",
        f"GRANT SELECT ON public.mine TO {reader}; ALTER VIEW public.mine OWNER TO {owner}",
    ):
        connection.execute(statement)
    before = connection.execute(WORN).fetchall()
    worn = {kind for _, kind, *_ in before}
    assert {"note", "own", "view", "comment"} <= worn
    for _ in range(2):
        done = run(system, "rebuild", "--swap", folder=tmp_path)
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        after = connection.execute(WORN).fetchall()
        # Days without a record have no table of their own in a rebuilt history, until the projector makes it.
        days = {name for name, *_ in before} - {name for name, *_ in after}
        assert all(name.startswith("event_2") for name in days)
        assert [row for row in after if not row[0].startswith("event_2")] == [
            row for row in before if not row[0].startswith("event_2")
        ]
        assert [row for row in after if row[0] == today] == [row for row in before if row[0] == today]
    assert connection.execute("SELECT reloptions FROM pg_class WHERE oid = 'tracker.job'::regclass").fetchone() == (
        ["fillfactor=70", "autovacuum_vacuum_scale_factor=0.05"],
    )
    # The views read the new tables.
    system.projector()
    more = stream.job(77)
    system.send(more)
    wait_until(lambda: system.count(connection, "event") == len(live + more), "the projector does not go on")
    seen = connection.execute("SELECT count(*) FROM public.mine WHERE job_id = %s", [more[0]["subject"]]).fetchone()
    assert seen == (1,)


HINDRANCES = {
    "statistics object thing": (
        "CREATE STATISTICS public.thing ON tenant, account FROM tracker.job",
        "DROP STATISTICS public.thing",
    ),
    "materialized view": (
        "CREATE MATERIALIZED VIEW public.thing AS SELECT status, count(*) FROM tracker.job GROUP BY 1",
        "DROP MATERIALIZED VIEW public.thing",
    ),
    "constraint thing_job_id_fkey on table thing": (
        'CREATE TABLE public.thing (job_id text COLLATE "C" REFERENCES tracker.job)',
        "DROP TABLE public.thing",
    ),
    "constraint job_batch_fkey on table tracker.job": (
        "CREATE TABLE public.thing (b text PRIMARY KEY); "
        "ALTER TABLE tracker.job ADD FOREIGN KEY (batch) REFERENCES public.thing NOT VALID",
        "DROP TABLE public.thing CASCADE",
    ),
    "publication thing": ("CREATE PUBLICATION thing FOR TABLE tracker.rollup", "DROP PUBLICATION thing"),
    "publication everything": ("CREATE PUBLICATION everything FOR ALL TABLES", "DROP PUBLICATION everything"),
    "function thing()": (
        "CREATE FUNCTION public.thing() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM tracker.job; END",
        "DROP FUNCTION public.thing",
    ),
    "column kept of table thing": (
        "CREATE TABLE public.thing (kept tracker.rollup)",
        "DROP TABLE public.thing",
    ),
    "column job of view thing": (
        "CREATE VIEW public.thing AS SELECT job FROM tracker.job",
        "DROP VIEW public.thing",
    ),
    "rule thing on table": (
        "CREATE RULE thing AS ON DELETE TO tracker.job DO INSTEAD NOTHING",
        "DROP RULE thing ON tracker.job",
    ),
    "table thing": ("CREATE TABLE public.thing () INHERITS (tracker.job)", "DROP TABLE public.thing"),
    "trigger thing on table tracker.event_default": (
        "CREATE TRIGGER thing BEFORE INSERT ON tracker.event_default FOR EACH ROW "
        "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "DROP TRIGGER thing ON tracker.event_default",
    ),
}


def test_a_swap_that_would_drop_what_stands_on_the_tables_is_refused_before_anything_is_done(
    *, system: Any, connection: Any, live: Any, tmp_path: Path
) -> None:
    assert live
    before = connection.execute(JOBS).fetchone()
    asked: dict[str, str] = {}
    for what, (make, drop) in HINDRANCES.items():
        connection.execute(make)
        found = [text for (text,) in connection.execute(QUERY).fetchall()]
        connection.execute(drop)
        asked[what] = ", ".join(found)
    assert {what: text for what, text in asked.items() if what not in text} == {}
    assert connection.execute(QUERY).fetchall() == []
    connection.execute(HINDRANCES["publication thing"][0])
    refused = run(system, "rebuild", "--swap", folder=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "rebuild: a swap would drop what stands on the tables that it replaces: publication thing; "
        "drop it, swap, and make it again\n"
    )
    assert connection.execute(SHADOWS).fetchone() == (0,)
    assert connection.execute(JOBS).fetchone() == before
    assert run(system, "rebuild", folder=tmp_path).returncode == 0


def test_a_partition_that_a_projector_begins_during_a_swap_is_not_lost(
    *,
    system: Any,
    connection: Any,
    live: Any,
    stream: Any,
    oracle: Any,
    shown: Any,
    wait_until: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No lock forbids it: its position is a new row, and its records went into the tables that are being replaced."""
    late = stream.job(200)
    waits: list[int] = []
    wait_for_older_readers = Swap._wait_for_older_readers

    def meanwhile(swap: Swap) -> None:
        waits.append(len(waits))
        if waits == [0]:
            admin = AdminClient({"bootstrap.servers": system.kafka})
            topic = system.topics.events
            admin.create_partitions([NewPartitions(topic, 7)])[topic].result(120)
            # A producer that asks too early knows of six, and refuses the seventh.
            wait_until(lambda: len(admin.list_topics(topic, timeout=120).topics[topic].partitions) == 7, "not made")
            producer = CheckedProducer(system.kafka)
            for event in late:
                producer.produce(topic, json.dumps(event).encode(), b"key", partition=6)
            producer.flush()
            wait_until(lambda: system.count(connection, "event") == len(live + late), "not read")
        wait_for_older_readers(swap)

    monkeypatch.setattr(Swap, "_wait_for_older_readers", meanwhile)
    said = StringIO()
    done = bootstrap_rebuild.run_rebuild(
        system.settings, SystemClock(), Console(file=said), archive=tmp_path, swap=True, accept_loss=False
    )
    assert done == 0, said.getvalue()
    assert waits == [0, 1]
    assert system.count(connection, "event") == len(live + late)
    assert shown(connection) == oracle(live + late)
    more = stream.job(201)
    system.send(more)
    wait_until(lambda: system.count(connection, "event") == len(live + late + more), "it does not go on")
    assert connection.execute("SELECT * FROM tracker.rollup_differences()").fetchall() == []


def test_one_rebuild_at_a_time_and_what_a_killed_swap_left_goes_with_the_next(
    *, system: Any, connection: Any, live: Any, tmp_path: Path
) -> None:
    assert live
    with psycopg.connect(system.database_url) as other:
        other.execute("SELECT pg_advisory_lock(hashtext('tracker_rebuild'))")
        refused = run(system, "rebuild", "--swap", folder=tmp_path)
        assert (refused.returncode, refused.stderr) == (2, "rebuild: another one is at work; wait for its end\n")
    before = connection.execute(JOBS).fetchone()
    connection.execute("CREATE SCHEMA tracker_replaced")
    for table in ("job", "rollup", "event"):
        connection.execute(f"CREATE TABLE tracker_replaced.{table} (LIKE tracker.{table})")
    done = run(system, "rebuild", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert connection.execute(SHADOWS).fetchone() == (0,)
    assert connection.execute(JOBS).fetchone() == before


def waits_long_for_a_lock(connection: Any) -> bool:
    """So long that PostgreSQL's own vacuum would have given way, which it does after `deadlock_timeout`, a second."""
    query = """
        SELECT count(*) FROM pg_stat_activity WHERE application_name = 'job-tracker' AND datname = current_database()
        AND wait_event_type = 'Lock' AND now() - query_start > 1.5 * current_setting('deadlock_timeout')::interval
    """
    return bool(connection.execute(query).fetchone() == (1,))


def test_a_swap_waits_for_a_vacuum_as_long_as_it_takes_to_give_way(
    *, system: Any, connection: Any, live: Any, wait_until: Any, tmp_path: Path
) -> None:
    """Readers go on."""
    assert live
    with psycopg.connect(system.database_url) as vacuum:
        vacuum.execute("LOCK TABLE tracker.job, tracker.event IN SHARE UPDATE EXCLUSIVE MODE")  # as VACUUM does
        with ThreadPoolExecutor(1) as thread:
            swapping = thread.submit(run, system, "rebuild", "--swap", folder=tmp_path)
            wait_until(lambda: waits_long_for_a_lock(connection), "the swap does not wait")
            assert connection.execute("SELECT count(*) > 0 FROM tracker.job").fetchone() == (True,)
            vacuum.rollback()
            done = swapping.result(120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nobody_waits_for_the_vacuum_of_new_tables(
    *, system: Any, connection: Any, live: Any, wait_until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL vacuums the shadow, too. Its swap waits for that before it holds up readers and projectors."""
    assert live
    forget_deleted = ShadowTables.forget_deleted
    # In this order: whatever fails, the vacuum ends before the swap is waited for.
    with ThreadPoolExecutor(1) as thread, psycopg.connect(system.database_url) as vacuum:

        def then_vacuum(shadow: ShadowTables) -> None:
            forget_deleted(shadow)
            days = vacuum.execute("SELECT relid::text FROM pg_partition_tree('tracker_rebuild.event') WHERE isleaf")
            tables = ["tracker_rebuild.job", *(day for (day,) in days if not day.endswith("default"))]
            assert len(tables) > 1
            vacuum.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE UPDATE EXCLUSIVE MODE")

        monkeypatch.setattr(ShadowTables, "forget_deleted", then_vacuum)
        said = Console(file=StringIO())
        options: dict[str, Any] = {"archive": tmp_path, "swap": True, "accept_loss": False}
        swapping = thread.submit(bootstrap_rebuild.run_rebuild, system.settings, SystemClock(), said, **options)
        wait_until(lambda: waits_long_for_a_lock(connection), "the swap does not wait")
        connection.execute("SET lock_timeout TO '5s'")
        assert connection.execute("SELECT count(*) > 0 FROM tracker.job").fetchone() == (True,)
        assert connection.execute("SELECT FROM tracker.consumer_offset FOR UPDATE NOWAIT").rowcount > 0
        vacuum.rollback()
        assert swapping.result(120) == 0


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        # One that sees an older state would find the new tables half empty, one that holds the old ones keeps them.
        ("SELECT 1", "a transaction of reporting (process {pid}) has been reading since"),
        ("LOCK TABLE tracker.job IN ACCESS SHARE MODE", "others kept the job table busy for 1 s"),
    ],
)
def test_a_swap_names_what_it_has_waited_for_in_vain(
    *, system: Any, connection: Any, live: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: str, said: str
) -> None:
    assert live
    monkeypatch.setattr(swap, "_TIMEOUT", 1.0)
    before = connection.execute(JOBS).fetchone()
    console = Console(file=StringIO())
    with psycopg.connect(system.database_url, application_name="reporting") as other:
        if looks.startswith("SELECT"):
            other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute(looks)  # pyright: ignore[reportArgumentType]
        with pytest.raises(SwapBlocked, match=re.escape(said.format(pid=other.info.backend_pid))):
            bootstrap_rebuild.run_rebuild(
                system.settings, SystemClock(), console, archive=tmp_path, swap=True, accept_loss=False
            )
    assert connection.execute(SHADOWS).fetchone() == (0,)
    assert connection.execute(JOBS).fetchone() == before


@pytest.mark.long
def test_lists_are_paged_through_a_swap(*, system: Any, live: Any, start_api: Any, tmp_path: Path) -> None:
    """Each job once, whatever stands in the tables' place meanwhile."""
    url, _ = start_api()
    wanted = {event["subject"] for event in live}
    stop, rounds, failures = threading.Event(), 0, []

    def page() -> None:
        nonlocal rounds
        with httpx.Client(base_url=url, timeout=120) as client:
            while not stop.is_set():
                found: list[str] = []
                query: dict[str, Any] = {"tenant": "demo", "limit": 7}
                while query.get("cursor", True):
                    answer = client.get("/jobs", params=query)
                    if answer.status_code != 200:
                        failures.append(answer.text)
                        break
                    found += [job["job_id"] for job in answer.json()["jobs"]]
                    query["cursor"] = answer.json()["next"]
                if sorted(found) != sorted(wanted):
                    failures.append(found)
                rounds += 1

    thread = threading.Thread(target=page)
    thread.start()
    try:
        for _ in range(2):
            done = run(system, "rebuild", "--swap", folder=tmp_path)
            assert done.returncode == 0, done.stderr
    finally:
        stop.set()
        thread.join(120)
    assert failures == []
    assert rounds > 3


def test_a_topic_that_is_recreated_while_it_is_read_is_noticed(
    *, system: Any, connection: Any, stream: Any, wait_until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(events: list[dict[str, Any]]) -> None:
        # A producer of its own each time: one that knew the former topic may not notice the new one.
        producer = CheckedProducer(system.kafka)
        for event in events:
            producer.produce(system.topics.events, json.dumps(event).encode(), b"key", partition=0)
        producer.flush()

    put(stream.job(1, attempts=1, progresses=0))
    create = ShadowTables.create

    def and_recreate(shadow: ShadowTables) -> None:
        create(shadow)
        recreate(system, system.topics.events, wait_until)
        put(stream.job(2, attempts=2, progresses=3))

    monkeypatch.setattr(ShadowTables, "create", and_recreate)
    with pytest.raises(RebuildRefused, match="was recreated while it was read"):
        bootstrap_rebuild.run_rebuild(
            system.settings, SystemClock(), Console(file=StringIO()), archive=tmp_path, swap=True, accept_loss=False
        )
    assert connection.execute("SELECT count(*) FROM tracker.job").fetchone() == (0,)
    assert connection.execute(SHADOWS).fetchone() == (0,)
