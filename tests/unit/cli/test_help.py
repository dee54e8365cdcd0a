"""The help texts."""

from typing import Any


def test_the_help_tells_users_what_it_is_for(run: Any) -> None:
    ended = run("--help")
    assert ended.code == 0
    assert "shops" in ended.out and "module" not in ended.out


def test_kafka_has_help_of_its_own_and_leaves_that_of_its_tools(run: Any) -> None:
    ended = run("kafka", "--help")
    assert ended.code == 0
    assert "jobtrail kafka" in ended.out and "consumer-groups" in ended.out.rpartition("Tools: ")[2]
