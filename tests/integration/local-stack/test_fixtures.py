"""The shared fixtures give servers that answer."""

from confluent_kafka.admin import AdminClient
from psycopg_pool import ConnectionPool

from job_events.topics import Topics


def test_each_test_has_an_empty_database_of_its_own(pool: ConnectionPool) -> None:
    with pool.connection() as connection:
        connection.execute("create table things (id int)")
        rows = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    assert rows == [("things",)]


def test_the_topics_of_the_contract_exist_under_a_prefix(kafka: str, topics: Topics) -> None:
    found = AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics
    assert {spec.name: spec.partitions for spec in topics.specs()}.items() <= {
        name: len(topic.partitions) for name, topic in found.items()
    }.items()
