"""A worker service for `test_start.py`: it creates a file while it waits for its servers."""

import os
from pathlib import Path

from service_kit.database import migrate
from service_kit.settings import ServiceSettings, read_settings
from worker.service import run_worker


def main() -> None:
    """Begin, and run until a signal."""
    settings = read_settings(ServiceSettings, "puller")

    def first() -> None:
        Path(os.environ["TEST_WAITS"]).touch()
        migrate(settings.database_url, "accounts", [])

    run_worker(
        "puller",
        "puller",
        settings,
        migrations=[first],
        handlers=lambda _pool, _topics: {},
        known_account=lambda _pool: lambda _tenant, _account: True,
        result_from_error=lambda _error: None,
    )


if __name__ == "__main__":
    main()
