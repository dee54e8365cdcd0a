"""Connections of the workers."""

import os
import socket
import sys

import psycopg
import pytest

from service_kit.database import is_away, open_pool


def test_an_idle_transaction_is_ended_and_releases_its_locks(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a paused process does; when it goes on, its connection is closed and it reconnects."""
    monkeypatch.setattr("service_kit.database._IDLE_IN_TRANSACTION", "300ms")
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


@pytest.mark.skipif(sys.platform != "linux", reason="the options have other names elsewhere")
def test_a_disconnected_server_is_noticed_within_seconds(database_url: str) -> None:
    """What the operating system is asked to do for a connection; a network that swallows packets is not to be had."""
    options = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
    for more, expected in (("", [5, 2, 3, 11_000]), ("?keepalives_idle=60", [60, 2, 3, 11_000])):
        with (
            open_pool(database_url + more, "public", 1) as pool,
            pool.connection() as connection,
            socket.socket(fileno=os.dup(connection.fileno())) as wire,
        ):
            assert [wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) for option in options] == expected
