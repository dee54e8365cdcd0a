"""A signal ends a service while it still waits for Kafka or PostgreSQL, whatever those do."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

WaitUntil = Callable[..., None]
PROCESS = Path(__file__).with_name("start_process.py")
SOON = 5.0  # seconds; without the signal it would wait for 300


@pytest.fixture
def silent() -> Iterator[str]:
    """host:port of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("away", ["PostgreSQL", "Kafka", "both", "PostgreSQL silent", "Kafka silent"])
def test_a_signal_ends_the_wait_for_servers(
    kafka: str,
    database_url: str,
    silent: str,
    tmp_path: Path,
    wait_until: WaitUntil,
    *,
    away: str,
    number: signal.Signals,
) -> None:
    nowhere = silent if away.endswith("silent") else "127.0.0.1:1"
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": kafka if away.startswith("PostgreSQL") else nowhere,
        "DATABASE_URL": database_url if away.startswith("Kafka") else f"postgresql://nobody@{nowhere}/none",
        "TEST_WAITS": str(tmp_path / "waits"),
    }
    with subprocess.Popen([sys.executable, str(PROCESS)], env=environment) as process:
        try:
            wait_until((tmp_path / "waits").exists)
            began = time.monotonic()
            process.send_signal(number)
            assert process.wait(60) == 0
            assert time.monotonic() - began < SOON
        finally:
            process.kill()
