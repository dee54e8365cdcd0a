"""What is written for Kafka, PostgreSQL and the supervisor."""

import configparser
import json
import shlex
import stat
import uuid
from pathlib import Path

import pytest

from local_stack import KafkaUser, ProtectedListeners, UnknownTool
from local_stack.certificates import make_certificates
from local_stack.kafka_server import KafkaNode, cluster_id, server_properties, settings
from local_stack.kafka_tools import tool_arguments, tool_name
from local_stack.postgres_server import server_command
from local_stack.supervisor_config import Program, RunFolder, child_command, render, write_spec


def test_one_broker_is_bound_to_loopback_and_makes_no_topics_by_itself(tmp_path: Path) -> None:
    node = KafkaNode(1, tmp_path, 9092, 9093)
    lines = server_properties(node, [node]).splitlines()
    assert "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093" in lines
    assert "auto.create.topics.enable=false" in lines
    assert "offsets.topic.replication.factor=1" in lines
    assert "group.consumer.session.timeout.ms=10000" in lines


def test_the_session_timeout_is_within_the_limits_of_the_broker(tmp_path: Path) -> None:
    node = KafkaNode(1, tmp_path, 1, 2)
    wanted = settings(node, [node])
    assert wanted["group.consumer.min.session.timeout.ms"] <= wanted["group.consumer.session.timeout.ms"]  # pyright: ignore[reportOperatorIssue]


@pytest.mark.parametrize("first", [0xF8, 0xFB, 0x7F, 0x00])
def test_no_cluster_id_reads_as_an_option_of_the_format_tool(first: int) -> None:
    made = cluster_id(uuid.UUID(bytes=bytes([first]) + bytes(range(15))))
    assert not made.startswith("-") and len(made) == 22


def test_three_brokers_vote_and_replicate(tmp_path: Path) -> None:
    cluster = [KafkaNode(n, tmp_path / str(n), 9090 + n, 9190 + n) for n in (1, 2, 3)]
    wanted = settings(cluster[1], cluster)
    assert wanted["controller.quorum.voters"] == "1@127.0.0.1:9191,2@127.0.0.1:9192,3@127.0.0.1:9193"
    assert wanted["offsets.topic.replication.factor"] == 3
    assert wanted["transaction.state.log.min.isr"] == 2


def test_postgresql_listens_on_loopback_and_on_no_socket_file(tmp_path: Path) -> None:
    command = server_command(tmp_path / "bin", tmp_path / "data", 5432)
    assert "listen_addresses=127.0.0.1" in command
    assert "unix_socket_directories=" in command


def test_the_supervisors_file_survives_odd_folder_names(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "50% off, it's here")
    parser = configparser.RawConfigParser()
    parser.read_string(render(folder, folder.run / "s", [Program("kafka", ["java"])]))
    command = parser["program:kafka"]["command"].replace("%%", "%")
    assert shlex.split(command) == child_command(folder.spec("kafka"))
    assert parser["program:kafka"]["autorestart"] == "true"
    assert parser["supervisord"]["pidfile"].replace("%%", "%") == str(folder.pid_file)


def test_an_environment_is_written_where_only_its_owner_reads_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.run.mkdir()
    program = Program("puller", ["python"], {"KEY": "s3cret"})
    write_spec(folder, program)
    assert stat.S_IMODE(folder.spec("puller").stat().st_mode) == 0o600
    assert json.loads(folder.spec("puller").read_text())["env"] == {"KEY": "s3cret"}
    assert "s3cret" not in render(folder, folder.run / "s", [program])


def test_kafkas_tools_are_known_by_the_names_of_their_scripts() -> None:
    assert tool_name("kafka-consumer-groups.sh") == tool_name("consumer-groups") == "consumer-groups"
    with pytest.raises(UnknownTool, match=r"no tool 'consumer-group'; there are: .*consumer-groups"):
        tool_name("consumer-group")


def test_a_tool_gets_the_brokers_address_once_and_only_if_it_needs_one() -> None:
    assert tool_arguments("topics", ["--list"], "b:1") == ["--list", "--bootstrap-server", "b:1"]
    assert tool_arguments("topics", ["--bootstrap-server=c:2"], "b:1") == ["--bootstrap-server=c:2"]
    assert tool_arguments("dump-log", ["--files", "x"], "b:1") == ["--files", "x"]


def test_a_tool_gets_the_clients_properties_once_and_only_if_it_needs_them() -> None:
    file = Path("/t/client.properties")
    given = ["--command-config", "/t/client.properties"]
    assert tool_arguments("topics", ["--list"], "b:1", file) == ["--list", "--bootstrap-server", "b:1", *given]
    assert tool_arguments("features", ["describe"], "b:1", file) == ["--bootstrap-server", "b:1", *given, "describe"]
    assert tool_arguments("topics", ["--bootstrap-server=c:2"], "b:1", file) == ["--bootstrap-server=c:2", *given]
    for own in (["--command-config", "x"], ["--command-config=x"], ["--consumer.config", "x"]):
        assert tool_arguments("console-consumer", own, "b:1", file) == [*own, "--bootstrap-server", "b:1"]
    assert tool_arguments("topics", ["--create", "--config", "a=b"], "b:1", file)[-2:] == given
    assert tool_arguments("cluster", ["cluster-id", "--config", "x"], "b:1", file)[-2:] == ["--bootstrap-server", "b:1"]
    assert tool_arguments("dump-log", ["--files", "x"], "b:1", file) == ["--files", "x"]
    assert tool_arguments("topics", ["--help"], "b:1", file) == ["--help"]


def test_the_usual_broker_has_no_other_listener_and_no_user(tmp_path: Path) -> None:
    node = KafkaNode(1, tmp_path, 9092, 9093)
    assert not [name for name in settings(node, [node]) if name.startswith(("ssl.", "sasl.", "listener.name."))]


def test_a_protected_broker_keeps_its_plain_listener_on_loopback(tmp_path: Path) -> None:
    user = KafkaUser("lan", 'a"b\\c')
    protected = ProtectedListeners({"SASL_SSL": 1, "SASL_PLAINTEXT": 2, "SSL": 3}, make_certificates(tmp_path), user)
    node = KafkaNode(1, tmp_path, 9092, 9093, protected)
    wanted = settings(node, [node])
    assert wanted["advertised.listeners"] == (
        "PLAINTEXT://127.0.0.1:9092,SASL_SSL://127.0.0.1:1,SASL_PLAINTEXT://127.0.0.1:2,SSL://127.0.0.1:3"
    )
    assert wanted["inter.broker.listener.name"] == "PLAINTEXT"
    assert wanted["listener.name.ssl.ssl.client.auth"] == "required"


def test_certificates_are_made_once(tmp_path: Path) -> None:
    first = make_certificates(tmp_path).authority.read_bytes()
    assert make_certificates(tmp_path).authority.read_bytes() == first
    assert [stat.S_IMODE(path.stat().st_mode) for path in sorted(tmp_path.glob("*.key"))] == [0o600, 0o600]
