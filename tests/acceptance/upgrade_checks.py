"""The final checks of an upgrade: each job ended once, the counters are right, each value was written once."""

from collections import Counter, defaultdict

import psycopg
from tests.acceptance.upgrade_system import TYPES, JobLog, Upgrade
from tests.safety import names
from tests.safety.world import TENANT

from job_events.job_types import JOB_TYPES


def check_every_job_ended_once(upgrade: Upgrade, log: JobLog) -> None:
    assert {job_id: ids for job_id, ids in log.requested.items() if len(ids) != 1} == {}
    assert set(log.finished) == set(log.requested)
    assert {job_id: ends for job_id, ends in log.finished.items() if len(ends) != 1} == {}
    of_chains = Counter(
        (event.correlationid, event.data.job.type)
        for event in log.described.values()
        if event.correlationid in upgrade.chains and event.data.job.type in TYPES
    )
    assert of_chains == dict.fromkeys(((chain, type_) for chain in upgrade.chains for type_ in TYPES), 1)
    listed = upgrade.world.every("/jobs", "jobs", tenant=TENANT)
    assert Counter(job["job_id"] for job in listed) == dict.fromkeys(log.requested, 1)
    assert {job["state"] for job in listed} == {"finished"}
    for service in {kind.service for kind in JOB_TYPES.values()}:
        with psycopg.connect(upgrade.database) as connection:
            for left in ("inbox where state <> 'finished'", "outbox", "kept_step"):
                assert connection.execute(f"select * from {service}.{left}").fetchall() == []


def check_counters_and_matches(upgrade: Upgrade, log: JobLog, listed: str) -> None:
    for chain, account in upgrade.chains.items():
        size = upgrade.sizes[account]
        jobs = {job["type"]: job for job in upgrade.world.every("/jobs", "jobs", tenant=TENANT, chain=chain)}
        assert set(jobs) >= set(TYPES)
        for type_ in TYPES:
            counters = jobs[type_]["counters"]
            found = (counters["processed"], counters["successful"], counters["failed"], counters["skipped"])
            assert found == (size, size, 0, 0), (chain, account, type_, counters)
    for account, size in upgrade.sizes.items():
        matches = upgrade.world.matches(account, "product")
        assert {(row["hub_id"], names.shop_name(row["remote_id"])) for row in matches} == {
            (str(1000 + n), str(1000 + n)) for n in range(1, size + 1)
        }
        changed = "wouldUpdate" if account == listed else "updated"
        syncs = [
            end.data
            for ends in log.finished.values()
            for end in ends
            if (end.data.job.account, end.data.job.type) == (account, "PRODUCT_SYNC")
        ]
        # Only the first run of an account finds something to do.
        assert sorted(end.metadata.get(changed, 0) for end in syncs) == [*([0] * (len(syncs) - 1)), size]


def check_writes(upgrade: Upgrade, listed: str) -> None:
    """Each field of each item was written once, with the hub's value; nothing else was written."""
    for account, size in upgrade.sizes.items():
        written: dict[tuple[str, str], list[float]] = defaultdict(list)
        for call in upgrade.world.calls(account, 0):
            for item in call["items"]:
                assert item["outcome"] == "accepted", item
                for name, value in names.written_fields(item).items():
                    written[names.shop_name(item["id"]), name].append(float(value))
        hub = {} if account == listed else {"price": 52_000.0, "stock": 7.0}
        assert written == {(str(1000 + n), name): [value] for n in range(1, size + 1) for name, value in hub.items()}, (
            account
        )
