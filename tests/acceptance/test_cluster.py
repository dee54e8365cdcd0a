"""The whole system on servers of somebody else that demand users and TLS."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.tls_proxy import tls_proxy

from local_stack import KafkaUser, LocalStack, ProtectedListeners
from service_kit.kafka_security import VARIABLES

WaitUntil = Callable[..., None]
SECRET = "pa ss\"w\\ör'd%d$=,{};😀"


@pytest.fixture
def protected(user: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProtectedListeners]:
    """Servers that are not the system's own; the user's environment says how to log in there."""
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", *VARIABLES):
        monkeypatch.delenv(name, raising=False)
        user.env.pop(name, None)
    with LocalStack(user.folder / "servers", kafka_user=KafkaUser("lan", SECRET)) as stack:
        assert stack.protected is not None
        with tls_proxy(stack.database_url, stack.protected.certificates) as database:
            user.env |= stack.protected.environment() | {"DATABASE_URL": database}
            yield stack.protected


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_whole_chain_over_users_and_tls(user: Any, protected: ProtectedListeners, wait_until: WaitUntil) -> None:
    demo = user.run("demo", timeout=800)
    assert demo.returncode == 0, demo.stdout[-3000:] + demo.stderr
    with user.running("up") as up:
        running_file = user.folder / ".jobtrail" / "running.json"
        wait_until(lambda: running_file.is_file() or up.poll() is not None, "the system to be up")
        running = json.loads(running_file.read_text())
        assert running["kafka"] == protected.address("SASL_SSL")
        wait_until(lambda: running["api"] in user.output())
        jobs = httpx.get(f"{running['api']}/jobs", timeout=120).json()["jobs"]
        assert {"PULL_NHANH_PRODUCTS", "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC"} <= {job["type"] for job in jobs}
        # Of one sync the demo lets Shopify refuse a price.
        statuses = Counter((job["type"], job["status"]) for job in jobs if job["status"] != "COMPLETED")
        assert statuses == {("PRODUCT_SYNC", "MIXED"): 1}

        checked = user.run("check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        audited = user.run("audit", "--all")
        assert audited.returncode == 0, audited.stdout + audited.stderr
        groups = user.run("kafka", "consumer-groups", "--list")
        assert {"tracker-jobs", "puller", "matcher", "matcher-agent", "syncer"} <= set(groups.stdout.split())

        _refused(user)
        for process in [psutil.Process(up.pid), *psutil.Process(up.pid).children(recursive=True)]:
            assert not any(SECRET in word for word in process.cmdline())
        said = [demo, checked, audited, groups]
        _no_password(user.folder / ".jobtrail", said)


def _refused(user: Any) -> None:
    """Another password, and none at all: a sentence and an exit code, while the system goes on."""
    right = user.env["KAFKA_SASL_PASSWORD"]
    for wrong, sentence in (
        ("wr0ng-pass", "refuses the credentials of user 'lan': authentication failed"),
        ("", "KAFKA_SASL_PASSWORD: must be set with KAFKA_SECURITY_PROTOCOL SASL_SSL"),
    ):
        user.env["KAFKA_SASL_PASSWORD"] = wrong
        for command in (("check",), ("kafka", "topics", "--list"), ("audit",)):
            ended = user.run(*command)
            said = " ".join((ended.stdout + ended.stderr).split())
            assert ended.returncode in {1, 2} and sentence in said, said
            assert "wr0ng-pass" not in said and "Traceback" not in said
    user.env["KAFKA_SASL_PASSWORD"] = right


def _no_password(home: Path, said: list[subprocess.CompletedProcess[str]]) -> None:
    """Only in the files by which the supervisor starts its processes, which nobody else may read."""
    forms = [text.encode() for text in (SECRET, json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1], "ör'd%d")]
    for file in (path for path in home.rglob("*") if path.is_file()):
        if any(form in file.read_bytes() for form in forms):
            assert file.parent.name == "run" and file.stat().st_mode & 0o077 == 0, file
    for ended in said:
        assert not any(form in (ended.stdout + ended.stderr).encode() for form in forms)


@pytest.mark.long
def test_a_system_that_its_servers_refuse_does_not_start(user: Any, protected: ProtectedListeners) -> None:
    user.env["KAFKA_SASL_PASSWORD"] = "wr0ng-pass"
    refused = user.run("up", timeout=120)
    assert refused.returncode == 1
    assert f"Kafka at {protected.address('SASL_SSL')} refuses the credentials of user 'lan'" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1 and "wr0ng-pass" not in refused.stdout + refused.stderr
    user.env["KAFKA_SASL_PASSWORD"] = SECRET
    user.env["DATABASE_URL"] = user.env["DATABASE_URL"].partition("?")[0] + "?sslmode=disable"
    refused = user.run("up", timeout=120)
    assert refused.returncode == 1
    assert refused.stderr.startswith("PostgreSQL: ") and "no encryption" in refused.stderr
