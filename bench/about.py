"""The conditions of a run: machine, versions, date."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg

from bench.peers import connect
from local_stack.java_jars import KAFKA_VERSION

_REQUIREMENTS = Path(__file__).with_name("peers") / "requirements.txt"
PACKAGES = ("confluent-kafka", "psycopg", "msgspec", "faust-streaming")


def about(database_url: str) -> dict[str, Any]:
    """Names and values for docs/benchmarks.md."""
    with psycopg.connect(database_url) as connection:
        found = connection.execute("SHOW server_version").fetchone()
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _commit(),
        "machine": f"{_processor()}, {psutil.cpu_count()} CPUs, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": {
            "Kafka": KAFKA_VERSION,
            "PostgreSQL": str(found[0]) if found else "",
            "Debezium": connect.VERSION,
            "quixstreams": _pinned("quixstreams"),
            **{name: version(name) for name in PACKAGES},
        },
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _pinned(package: str) -> str:
    lines = _REQUIREMENTS.read_text().splitlines()
    return next(line.partition("==")[2].split()[0] for line in lines if line.startswith(f"{package}=="))


def _commit() -> str:
    """Empty outside a checkout."""
    try:
        result = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S607
    except FileNotFoundError:
        return ""
    return result.stdout.strip()
