"""Connections of the workers."""

import psycopg
import pytest

from job_events.database import is_away, open_pool


def test_whoever_falls_silent_within_a_transaction_lets_the_others_on(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a paused process does; when it goes on, it finds its connection gone and begins anew."""
    monkeypatch.setattr("job_events.database._SILENT_IN_TRANSACTION", "300ms")
    with open_pool(database_url, "public", 2) as pool:
        with pool.connection() as connection:
            connection.execute("create table held as select 1 as id")
        with pool.connection() as paused:
            paused.execute("select * from held for update")
            with psycopg.connect(database_url) as other:
                other.execute("set lock_timeout = '20s'")
                other.execute("update held set id = 2")
            with pytest.raises(psycopg.Error) as found:
                paused.execute("update held set id = 3")
        assert is_away(found.value)
        with pool.connection() as connection:
            assert connection.execute("select id from held").fetchall() == [(2,)]
