"""A PostgreSQL that requires TLS and a client certificate: migrations, pools and plain connections work."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from tests.tls_proxy import tls_proxy

from job_tracker.api.freshness import reader_pool
from job_tracker.store.postgres import connect
from local_stack.certificates import Certificates, make_certificates
from platforms.migrate import migrate as migrate_accounts
from service_kit.database import is_away, migrate, open_pool


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    # libpq takes a + in the address literally, other readers of addresses take it for a blank.
    return make_certificates(tmp_path_factory.mktemp("a+b c") / "certificates")


@pytest.fixture
def encrypted(database_url: str, certificates: Certificates) -> Iterator[str]:
    with tls_proxy(database_url, certificates) as address:
        yield address.replace("%2B", "+").replace("a+b+c", "a+b%20c")


def test_every_kind_of_client_connects(encrypted: str) -> None:
    assert "sslrootcert" in encrypted and "a+b%20c" in encrypted
    migrate(encrypted, "puller", ["worker", "puller"])
    migrate_accounts(encrypted)
    migrate(encrypted, "tracker", ["job_tracker.store"])
    with open_pool(encrypted, "puller", 2) as pool, pool.connection() as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("select count(*) from inbox").fetchone() == (0,)
    with connect(encrypted) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("select count(*) from job").fetchone() == (0,)
    asyncio.run(_read(encrypted))


async def _read(address: str) -> None:
    pool = reader_pool(address, 2)
    await pool.open()
    try:
        async with pool.connection() as connection:
            assert connection.pgconn.ssl_in_use
    finally:
        await pool.close()


def test_a_key_value_address_works_as_well(encrypted: str) -> None:
    info = psycopg.conninfo.make_conninfo(**psycopg.conninfo.conninfo_to_dict(encrypted))
    assert not info.startswith("postgresql:")
    migrate(info, "puller", ["worker", "puller"])
    migrate_accounts(info)
    with open_pool(info, "puller", 1) as pool, pool.connection() as connection:
        assert connection.pgconn.ssl_in_use


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sslmode": "disable"}, "no encryption"),
        ({"sslrootcert": "{other}"}, "certificate verify failed"),
        ({"sslrootcert": "/no/such.pem"}, 'root certificate file "/no/such.pem" does not exist'),
        ({"sslcert": "", "sslkey": ""}, "certificate required"),
        ({"host": "localhost.localdomain", "hostaddr": "127.0.0.1"}, "does not match host name"),
    ],
)
def test_a_refusal_names_what_is_wrong(
    encrypted: str, change: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where libpq looks for a certificate by itself
    other = make_certificates(tmp_path / "other").authority
    given = psycopg.conninfo.conninfo_to_dict(encrypted)
    given |= {name: value.format(other=other) for name, value in change.items()}
    address = psycopg.conninfo.make_conninfo(**{name: value for name, value in given.items() if value})
    for refused in (lambda: migrate(address, "puller", ["puller"]), lambda: migrate_accounts(address)):
        with pytest.raises(psycopg.OperationalError, match=said) as error:
            refused()
        assert is_away(error.value)


def test_the_server_itself_is_reached_only_through_tls(encrypted: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(urlunsplit(urlsplit(encrypted)._replace(query="sslmode=disable")))
