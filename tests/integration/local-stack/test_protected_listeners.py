"""Kafka with users and TLS: every kind of client connects; a refusal is one sentence without a password."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import KafkaException
from confluent_kafka.cimpl import NewTopic
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from job_events.topics import Topics
from job_tracker.errors import BrokerAway
from job_tracker.log.broker import Broker
from job_tracker.log.messages import to_record
from job_tracker.log.reader import read_log
from jobtrail.kafka_tool import client_properties
from local_stack import KafkaUser, LocalStack, ProtectedListeners, run_kafka_tool
from local_stack.certificates import make_certificates
from matcher.agent.app import credentials
from service_kit import kafka
from service_kit.errors import KafkaUnreachable
from service_kit.kafka_admin import create_topics
from service_kit.kafka_diagnosis import reach
from service_kit.kafka_security import VARIABLES, KafkaConnection, read_security

WaitUntil = Callable[..., None]
SECRET = "pa ss\"w\\ör'd%d$=,{};😀"
PLAIN = {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT"}
ALL = [
    ("SASL_SSL", "PLAIN"),
    ("SASL_SSL", "SCRAM-SHA-256"),
    ("SASL_SSL", "SCRAM-SHA-512"),
    ("SASL_PLAINTEXT", "PLAIN"),
    ("SASL_PLAINTEXT", "SCRAM-SHA-512"),
    ("SSL", ""),
]


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    kept = {name: os.environ.pop(name, None) for name in ("KAFKA_BOOTSTRAP_SERVERS", *VARIABLES)}
    with tempfile.TemporaryDirectory(prefix="jobtrail-test-") as name:
        Path(name).chmod(0o755)
        user = KafkaUser("lan", SECRET)
        with LocalStack(Path(name), servers=frozenset({"kafka"}), kafka_user=user) as running:
            create_topics(running.bootstrap_servers, Topics("shared."))
            yield running
    os.environ.update({name: value for name, value in kept.items() if value is not None})


@pytest.fixture
def protected(stack: LocalStack) -> ProtectedListeners:
    assert stack.protected is not None
    return stack.protected


def connection(environment: dict[str, str]) -> KafkaConnection:
    return KafkaConnection(environment["KAFKA_BOOTSTRAP_SERVERS"], read_security(environment))


@pytest.mark.parametrize(("protocol", "mechanism"), ALL)
def test_every_kind_of_client_connects(protected: ProtectedListeners, protocol: str, mechanism: str) -> None:
    cluster = connection(protected.environment(protocol, mechanism))
    topics = Topics(f"{protocol}.{mechanism}.")
    create_topics(cluster, topics)
    sender = kafka.producer(cluster, "test")
    fates: list[Any] = []
    sender.produce(topics.events, b"one", b"k", headers=[], on_delivery=lambda error, _: fates.append(error))
    assert (sender.flush(60), fates) == (0, [None])

    listener = kafka.consumer(cluster, f"{topics.prefix}group", "test")
    listener.subscribe([topics.events])
    values: list[bytes | None] = []
    while not values:
        values = [message.value() for message in listener.consume(1, 60) if message.error() is None]
    listener.leave()
    assert values == [b"one"]

    spans = Broker(cluster, attempts=10).spans([(topics.events, number) for number in range(6)])
    read = [record.value for batch in read_log(cluster, spans, 10, to_record) for record in batch]
    assert read == [b"one"]


@pytest.mark.parametrize(("protocol", "mechanism"), ALL)
def test_the_consumer_of_the_agent_connects(protected: ProtectedListeners, protocol: str, mechanism: str) -> None:
    """As Faust makes it of the app's settings; what it does then is tried with the whole system."""
    cluster = connection(protected.environment(protocol, mechanism))

    async def topics() -> set[str]:
        settings = credentials_to_aiokafka_auth(credentials(cluster.security))
        consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap_servers, **settings)
        await consumer.start()
        try:
            return await consumer.topics()
        finally:
            await consumer.stop()

    assert "shared.matcher.chunks" in asyncio.run(topics())


CASES = [
    ("SASL_SSL", {"KAFKA_SASL_PASSWORD": "wrong"}, "refuses the credentials of user 'lan': .*KAFKA_SASL_PASSWORD"),
    (
        "SASL_SSL",
        {"KAFKA_SASL_PASSWORD": "wrong", "KAFKA_SASL_MECHANISM": "PLAIN"},
        "refuses the credentials of user 'lan': authentication failed",
    ),
    ("SASL_PLAINTEXT", {"KAFKA_SASL_USERNAME": "nobody"}, "refuses the credentials of user 'nobody'"),
    ("SASL_SSL", {"KAFKA_SSL_CA_LOCATION": ""}, "is not trusted: KAFKA_SSL_CA_LOCATION must hold"),
    ("SASL_SSL", {"KAFKA_SSL_CA_LOCATION": "{other}"}, "is not trusted: KAFKA_SSL_CA_LOCATION .*other.* must hold"),
    ("SSL", {"KAFKA_SSL_CERTIFICATE_LOCATION": "", "KAFKA_SSL_KEY_LOCATION": ""}, "KAFKA_SSL_CERTIFICATE_LOCATION"),
    ("SASL_SSL", PLAIN, "demands TLS, and KAFKA_SECURITY_PROTOCOL is PLAINTEXT: set it to SASL_SSL"),
    ("SSL", PLAIN, "demands TLS, and KAFKA_SECURITY_PROTOCOL is PLAINTEXT: set it to SSL"),
    ("SASL_PLAINTEXT", PLAIN, r"demands a user \(SASL with .*SCRAM-SHA-512.*is PLAINTEXT: set it to SASL_PLAINTEXT"),
    ("SASL_SSL", {"KAFKA_SECURITY_PROTOCOL": "SSL"}, "demands a user .*is SSL: set it to SASL_SSL"),
    ("SASL_SSL", {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "demands TLS, and KAFKA_SECURITY_PROTOCOL is SASL_PL"),
    ("SASL_PLAINTEXT", {"KAFKA_SECURITY_PROTOCOL": "SSL"}, "does not use TLS on this port"),
    ("SASL_SSL", {"KAFKA_BOOTSTRAP_SERVERS": "{plain}"}, "does not use TLS on this port"),
    ("SSL", {"KAFKA_BOOTSTRAP_SERVERS": "{plain}"}, "does not use TLS on this port"),
    ("SASL_PLAINTEXT", {"KAFKA_BOOTSTRAP_SERVERS": "{plain}"}, "takes no user on this port"),
]


@pytest.fixture
def changed(stack: LocalStack, protected: ProtectedListeners, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """The variables of a listener with others in their place; what has no effect then is not set."""
    places = {"other": make_certificates(tmp_path / "other").authority, "plain": stack.bootstrap_servers}

    def change(protocol: str, change: dict[str, str]) -> dict[str, str]:
        given = protected.environment(protocol) | {name: text.format(**places) for name, text in change.items()}
        chosen = given["KAFKA_SECURITY_PROTOCOL"]
        if "SASL" not in chosen:
            given = {name: value for name, value in given.items() if "_SASL_" not in name}
        if "SSL" not in chosen:
            given = {name: value for name, value in given.items() if "_SSL_" not in name}
        elif not given.get("KAFKA_SSL_CA_LOCATION") and "KAFKA_SSL_CA_LOCATION" not in change:
            given["KAFKA_SSL_CA_LOCATION"] = str(protected.certificates.authority)
        return given

    return change


@pytest.mark.parametrize(("protocol", "change", "sentence"), CASES)
def test_a_refusal_is_one_sentence(
    changed: Callable[..., dict[str, str]], protocol: str, change: dict[str, str], sentence: str
) -> None:
    cluster = connection(changed(protocol, change))
    with pytest.raises(KafkaUnreachable, match=sentence) as found:
        reach(cluster, 60)
    assert found.value.refused and "\n" not in str(found.value) and SECRET not in str(found.value)
    with pytest.raises(BrokerAway, match=sentence):
        Broker(cluster, timeout=2).topic_ids(["shared.jobs.events"])


def test_a_refused_client_logs_the_reason_and_receives_nothing(
    protected: ProtectedListeners, wait_until: WaitUntil
) -> None:
    from structlog.testing import capture_logs

    cluster = connection(protected.environment() | {"KAFKA_SASL_PASSWORD": "wrong"})
    sender, listener = kafka.producer(cluster, "test", 2000), kafka.consumer(cluster, "refused", "test")
    listener.subscribe(["shared.jobs.events"])
    fates: list[Any] = []
    with capture_logs() as lines:
        sender.produce("shared.jobs.events", b"x", b"k", headers=[], on_delivery=lambda error, _: fates.append(error))
        wait_until(lambda: sender.flush(1) == 0 and listener.consume(1, 0.1) == [] and len(lines) >= 2)
    listener.leave()
    assert fates[0] is not None
    assert {line["event"] for line in lines} >= {"Kafka cannot be used"}
    assert all("refuses the credentials of user 'lan'" in str(line) for line in lines if "reason" in line)


SERVICES = [
    ("puller",),
    ("matcher",),
    ("matcher", "agent"),
    ("syncer",),
    ("job_tracker", "projector"),
    ("job_tracker", "items"),
]


@pytest.mark.parametrize(
    "service", [SERVICES[0], *(pytest.param(one, marks=pytest.mark.long) for one in SERVICES[1:])], ids=" ".join
)
def test_a_refused_service_logs_the_reason_and_retries(
    protected: ProtectedListeners, database_url: str, service: tuple[str, ...], tmp_path: Path, wait_until: WaitUntil
) -> None:
    from platforms.cipher import Cipher

    environment = os.environ | protected.environment() | {"KAFKA_SASL_PASSWORD": "wr0ng-pass"}
    environment |= {"DATABASE_URL": database_url, "JOBTRAIL_SECRET_KEY": Cipher.new_key()}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen([sys.executable, "-m", *service], env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: log.read_text().count("refuses the credentials of user 'lan'") >= 2)
        assert process.poll() is None
        assert not any("wr0ng-pass" in word for word in psutil.Process(process.pid).cmdline())
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    assert "wr0ng-pass" not in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("protocol", "mechanism"), [ALL[0], *(pytest.param(*one, marks=pytest.mark.long) for one in ALL[1:])]
)
def test_kafkas_own_tools_connect(
    protected: ProtectedListeners, protocol: str, mechanism: str, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster = connection(protected.environment(protocol, mechanism))
    properties = client_properties(cluster.security)
    assert run_kafka_tool(["topics", "--list"], cluster.bootstrap_servers, properties) == 0
    assert "shared.jobs.events" in capfd.readouterr().out.split()


@pytest.mark.long
@pytest.mark.parametrize(
    "arguments",
    [
        ["cluster", "cluster-id"],
        ["features", "describe"],
        ["metadata-quorum", "describe", "--status"],
        ["transactions", "list"],
        ["get-offsets", "--topic", "shared.jobs.events"],
        ["consumer-groups", "--list"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_tools_of_every_form_take_the_settings(protected: ProtectedListeners, arguments: list[str]) -> None:
    cluster = connection(protected.environment())
    assert run_kafka_tool(arguments, cluster.bootstrap_servers, client_properties(cluster.security)) == 0


def test_the_file_with_the_password_is_private_and_removed(
    protected: ProtectedListeners, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """Also where the tool, which would go on for ever, is ended by SIGTERM."""
    environment = os.environ | protected.environment() | {"TMPDIR": str(tmp_path)}
    command = [
        str(Path(sys.executable).parent / "jobtrail"),
        "kafka",
        "console-consumer",
        "--topic",
        "shared.jobs.items",
    ]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:

        def files() -> list[Path]:
            return list(tmp_path.glob("jobtrail-*/client.properties"))

        def java() -> list[psutil.Process]:
            return psutil.Process(process.pid).children(recursive=True)

        wait_until(lambda: files() and java())
        (file,) = files()
        assert file.stat().st_mode & 0o777 == 0o600
        for each in (psutil.Process(process.pid), *java()):
            assert not any(SECRET in word for word in each.cmdline())
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.glob("jobtrail-*")) == []


def test_files_with_passwords_and_keys_are_private(protected: ProtectedListeners) -> None:
    folder = protected.certificates.folder
    for file in (folder.parent / "kafka" / "server.properties", *folder.glob("*.key"), *folder.glob("*-store.pem")):
        assert file.stat().st_mode & 0o077 == 0, file
    assert repr(SECRET) not in repr(protected)


def test_a_refused_admin_client_creates_no_topics(protected: ProtectedListeners) -> None:
    cluster = connection(protected.environment() | {"KAFKA_SASL_PASSWORD": "wrong"})
    with pytest.raises(KafkaException, match="refuses the credentials"):
        create_topics(cluster, Topics("refused."), timeout=30)
    with reach(connection(protected.environment()), 60) as admin:
        assert not any(name.startswith("refused.") for name in admin.list_topics(timeout=60).topics)
        admin.create_topics([NewTopic("made.", 1, 1)])["made."].result(60)
