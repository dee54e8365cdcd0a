"""A rolling upgrade: the last release's processes and the present ones on one Kafka and one PostgreSQL.

RELEASE is the commit of the last release. After the next release, put its commit here: the test then proves the upgrade
from it. docs/howto/upgrade.md describes the same steps.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.acceptance.upgrade_checks import check_counters_and_matches, check_every_job_ended_once, check_writes
from tests.acceptance.upgrade_system import Upgrade, WaitUntil, start_workers
from tests.release_processes import Release, export
from tests.safety.world import TENANT, World

from jobtrail.account_store import open_accounts
from local_stack import LocalStack, ServiceSpec, free_port
from platforms.cipher import Cipher
from service_kit.kafka_security import VARIABLES

RELEASE = "48bd553910337f698bd477c695723608bbc34f34"

TRACKER = ("projector", "items", "api")
WORKERS = ("puller", "matcher", "agent", "syncer")
_MAX_ROUNDS = 12
_ACCOUNTS_PER_ROUND = 4


@pytest.fixture
def upgrade(user: Any, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil, tmp_path: Path) -> Iterator[Upgrade]:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
        user.env.pop(name, None)
    export(RELEASE, tmp_path / "release")
    ports = {name: free_port() for name in ("old", "new", "sandbox")}
    sandbox_url = f"http://127.0.0.1:{ports['sandbox']}"
    with ExitStack() as stack:
        servers = stack.enter_context(LocalStack(user.folder / "servers"))
        env = {
            "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
            "DATABASE_URL": servers.database_url,
            "JOBTRAIL_SECRET_KEY": Cipher.new_key(),
            "JOBTRAIL_PRODUCT_CHUNK": "20",
        }
        user.env |= env
        state = str(user.folder / "sandbox")
        command = [sys.executable, "-m", "sandbox", "--port", str(ports["sandbox"]), "--state", state]
        servers.start_services([ServiceSpec("sandbox", command)])
        clients = {
            name: stack.enter_context(httpx.Client(base_url=url, timeout=120, trust_env=False))
            for name, url in {
                "old": f"http://127.0.0.1:{ports['old']}",
                "new": f"http://127.0.0.1:{ports['new']}",
                "sandbox": sandbox_url,
            }.items()
        }
        releases: list[Release] = []
        for name, tree in (("old", tmp_path / "release"), ("new", None)):
            release = Release(name, tree, {**env, "JOBTRAIL_API_PORT": str(ports[name])}, tmp_path)
            stack.callback(release.close)
            releases.append(release)
        old, new = releases
        old.start(*TRACKER)
        start_workers(old)

        def sandbox_answers() -> bool:
            try:
                return clients["sandbox"].get("/_sandbox/health").status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(sandbox_answers)
        accounts = stack.enter_context(open_accounts(servers.database_url, env["JOBTRAIL_SECRET_KEY"]))
        world = World(clients["old"], clients["sandbox"], accounts)
        made = Upgrade(
            old, new, world, clients["new"], servers.bootstrap_servers, servers.database_url, env, wait_until
        )
        made.wait_for_members("projector", "items", *WORKERS)
        made.wait_until_ready(clients["old"])
        yield made


def test_a_process_that_would_run_code_of_another_tree_exits(tmp_path: Path) -> None:
    """Without this check the upgrade test could run the present code twice."""
    (tmp_path / "release").mkdir()
    command = [sys.executable, Path(__file__).parent / "old_process.py", tmp_path / "release", "puller"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""})
    assert ended.returncode == 1 and "is not the code of" in ended.stderr


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_an_upgrade_loses_nothing_and_does_nothing_twice(upgrade: Upgrade, user: Any) -> None:
    old, new = upgrade.old, upgrade.new
    # All old.
    upgrade.wait_for_success(upgrade.chain(upgrade.account("all-old", 30)))

    # The tracker first: its schema is migrated while the old tracker and the old services run.
    new.start(*TRACKER)
    upgrade.wait_for_members("projector", "items", count=2)
    upgrade.wait_until_ready(upgrade.new_api)
    both_trackers = upgrade.chain(upgrade.account("both-trackers", 30))
    upgrade.wait_for_success(both_trackers)
    upgrade.world = replace(upgrade.world, api=upgrade.new_api)
    old.end(*TRACKER)
    upgrade.wait_for_success(both_trackers)
    upgrade.wait_for_success(upgrade.chain(upgrade.account("new-tracker", 30)))
    reverting = _request_unknown_job_type(upgrade)

    # These jobs are in progress when the old processes end. They start while there are no other processes.
    pulled, synced = upgrade.account("ends-in-pull", 200), upgrade.account("ends-in-sync", 500)
    listed = upgrade.account("ends-in-dry-run", 500)
    upgrade.slow_down(pulled, "nhanh")
    upgrade.slow_down(synced, "shopify", says="inventorySetQuantities")
    upgrade.slow_down(listed, "shopify", says="VariantsByIds")
    long_chains = [
        upgrade.chain(pulled, page_size=10),
        upgrade.chain(synced),
        upgrade.chain(listed, sync={"dry_run": True}),
    ]
    long_jobs = [
        ("puller", pulled, "PULL_NHANH_PRODUCTS"),
        ("syncer", synced, "PRODUCT_SYNC"),
        ("syncer", listed, "PRODUCT_SYNC"),
    ]
    upgrade.wait(lambda: all(upgrade.has_checkpoint(*job) for job in long_jobs), "a pull and two syncs under way")

    # New services beside the old ones: schemas are migrated while the old ones work on them.
    start_workers(new)
    upgrade.wait_for_members(*WORKERS, count=2)
    _run_jobs_on_both_releases(upgrade)

    # The old processes end during these jobs, while new requests arrive; the new processes finish all of them.
    assert all(upgrade.has_checkpoint(*job) for job in long_jobs)
    last = [upgrade.chain(upgrade.account(f"last-{number}", 30)) for number in range(3)]
    old.end(*WORKERS)
    upgrade.world.control("DELETE", "faults")
    upgrade.wait_for_success(*long_chains, *last)
    _retry_is_understood(upgrade, reverting)

    log = upgrade.log()
    for service, account, job_type in long_jobs:
        first, second = log.pids[log.job(account, job_type)].values()
        assert (old.pids.get(first), new.pids.get(second)) == (service, service)
    check_every_job_ended_once(upgrade, log)
    check_counters_and_matches(upgrade, log, listed)
    check_writes(upgrade, listed)
    audited = user.run("audit", "--all")
    assert audited.returncode == 0, audited.stdout + audited.stderr


def _run_jobs_on_both_releases(upgrade: Upgrade) -> None:
    """Run chains until each service has run a job in an old and in a new process.

    Kafka may assign all requests of a service to one process, whose workers then claim the rows first. Match jobs are
    too short to keep a process busy: they are paused until all are queued, and each matcher runs one at a time.
    """
    releases = (upgrade.old, upgrade.new)
    expected = {(release, service) for release in releases for service in ("puller", "matcher", "syncer")}
    ran: set[tuple[Release, str]] = set()
    for round_ in range(_MAX_ROUNDS):
        accounts = [upgrade.account(f"mixed-{round_}-{number}", 30) for number in range(_ACCOUNTS_PER_ROUND)]
        upgrade.pause_matcher()
        chains = [upgrade.chain(account) for account in accounts]
        upgrade.wait(lambda: upgrade.waiting_matches() == _ACCOUNTS_PER_ROUND, "all matches to wait")
        upgrade.resume_matcher()
        upgrade.wait_for_success(*chains)
        upgrade.wait_for_success(upgrade.chain(accounts[0]))  # once more: there is nothing left to write
        pids = {pid for attempts in upgrade.log().pids.values() for pid in attempts.values()}
        ran = {(release, release.pids[pid]) for release in releases for pid in pids & set(release.pids)}
        if expected <= ran:
            return
    pytest.fail(f"in {_MAX_ROUNDS} rounds no job was run by {expected - ran}")


def _request_unknown_job_type(upgrade: Upgrade) -> str:
    """In the last release, a job of an unknown type fails and can be retried. Returns the job's id.

    Since this release it waits instead: tests/integration/worker/test_rolling_upgrade.py.
    """
    sync = next(
        job["job_id"]
        for job in upgrade.world.every("/jobs", "jobs", tenant=TENANT, account="all-old")
        if job["type"] == "PRODUCT_SYNC"
    )
    job_id = upgrade.world.request("all-old", "REVERT_SYNC", params={"job_id": sync})
    ended = upgrade.world.finished(job_id)
    assert (ended["outcome"], ended["error"]["category"]) == ("failure", "VALIDATION_FAILED")
    assert "REVERT_SYNC" in ended["error"]["message"]
    letters = upgrade.world.every("/dead-letters", "dead_letters")
    assert [(one["consumer"], "REVERT_SYNC" in one["reason"]) for one in letters] == [("syncer", True)]
    return job_id


def _retry_is_understood(upgrade: Upgrade, job_id: str) -> None:
    """After the upgrade the retry is run. It finds nothing to revert: the last release kept no earlier values."""
    answer = upgrade.world.api.post(f"/jobs/{job_id}/retry")
    assert answer.status_code == 202, answer.text
    ended = upgrade.world.finished(answer.json()["job_id"])
    assert (ended["outcome"], ended["error"]["code"]) == ("failure", "NOTHING_TO_REVERT")
