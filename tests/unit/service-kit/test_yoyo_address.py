"""The migrations' library gets every parameter of PostgreSQL's address as the driver itself reads it."""

import pytest
from psycopg.conninfo import conninfo_to_dict
from yoyo.connections import parse_uri

from service_kit import database


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://lan:p%40ss@db.example:5433/jobs?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        "postgresql://db/jobs?sslmode=require&sslcert=/c+d/client.pem&sslkey=/c%20d/client.key",
        "postgres://lan@/jobs?host=/var/run/postgresql&sslmode=disable",
        "postgresql://lan@[::1]:5432/jobs%20of%20lan",
        "postgresql://a:1,b:2/jobs?target_session_attrs=read-write&sslmode=verify-ca",
        "postgresql://%2Fvar%2Frun/jobs",
        "host=db dbname=jobs user=lan password='it\\'s %41 & more' sslmode=verify-full sslrootcert='/a b/ca.pem'",
        "postgresql://",
    ],
)
def test_nothing_of_the_address_is_lost(address: str) -> None:
    parsed = parse_uri(database._yoyo_url(address, "puller"))
    assert (parsed.username, parsed.password, parsed.hostname, parsed.port) == (None, None, None, None)
    given = dict(parsed.args)
    assert given.pop("schema") == "puller"
    for name, value in conninfo_to_dict(address).items():
        assert given[name] == str(value), name
