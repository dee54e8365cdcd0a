"""A PostgreSQL that takes connections and answers nothing: people hear of it, and nobody waits for ever."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from job_tracker import bootstrap
from local_stack import LocalStack


@pytest.fixture
def own(tmp_path: Path) -> Iterator[LocalStack]:
    """A PostgreSQL of the test's own, for all others need theirs."""
    tmp_path.chmod(0o755)
    with LocalStack(tmp_path / "own", servers=frozenset({"postgres"})) as stack:
        yield stack


@pytest.mark.long
def test_a_postgresql_that_hangs_is_told_and_comes_back(
    *, system: Any, own: LocalStack, start_api: Any, wait_until: Any
) -> None:
    bootstrap.migrate_schema(system.settings.model_copy(update={"database_url": own.database_url}))
    url, _ = start_api(DATABASE_URL=own.database_url)
    assert httpx.get(f"{url}/jobs", timeout=120).status_code == 200
    (main,) = (service.pid for service in own.services() if service.name == "postgres")
    with httpx.stream("GET", f"{url}/stream", timeout=120) as stream:
        lines = stream.iter_lines()
        assert next(line for line in lines if line.startswith("event:")) == "event: snapshot"
        place = next(line for line in lines if line.startswith("id:"))[3:].strip()
        stopped = [psutil.Process(main), *psutil.Process(main).children(recursive=True)]
        for process in stopped:
            process.send_signal(signal.SIGSTOP)
        try:
            said = (json.loads(line[5:]) for line in lines if line.startswith("data:"))
            wait_until(lambda: next(said).get("state") == "unknown", "the stream passes for fresh")
            # One who comes back now was told nothing yet, and hears the same.
            with httpx.stream("GET", f"{url}/stream", headers={"Last-Event-ID": place}, timeout=120) as resumed:
                heard = (json.loads(line[5:]) for line in resumed.iter_lines() if line.startswith("data:"))
                assert next(heard)["state"] == "unknown"
            for address in ("/jobs", "/jobs/x", "/jobs", "/readyz"):
                assert httpx.get(url + address, timeout=120).status_code == 503
            body = {"type": "PULL_NHANH_PRODUCTS", "tenant": "a", "account": "b"}
            assert httpx.post(f"{url}/jobs", json=body, timeout=120).status_code == 503
        finally:
            for process in stopped:
                process.send_signal(signal.SIGCONT)
        wait_until(lambda: next(said).get("state") == "none", "the stream does not come back")
    assert [httpx.get(f"{url}/jobs", timeout=120).status_code for _ in range(20)] == [200] * 20
