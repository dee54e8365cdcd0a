"""The shared fixtures give servers that answer."""

from collections.abc import Callable

from confluent_kafka.admin import AdminClient
from psycopg_pool import ConnectionPool

from job_events.topics import Topics


def test_each_test_has_an_empty_database_of_its_own(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("create table things (id int)")
        rows = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    assert rows == [("things",)]


def test_the_topics_of_the_contract_exist_under_a_prefix(
    kafka: str, topics: Topics, wait_until: Callable[..., None]
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    wanted = {spec.name: spec.partitions for spec in topics.specs()}

    def there() -> bool:
        # The controller has made them; the broker that answers may hear of it a moment later.
        found = admin.list_topics(timeout=120).topics
        return wanted.items() <= {name: len(topic.partitions) for name, topic in found.items()}.items()

    wait_until(there, "the broker does not have them")
