"""Which cluster the command talks to and as whom, and what it hands on to Kafka's tools and to services."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from jobtrail.errors import UserError
from jobtrail.home import Home, Running
from jobtrail.kafka_tool import client_properties
from jobtrail.system import services
from local_stack.certificates import make_certificates
from service_kit.kafka_security import VARIABLES, KafkaConnection, read_security

USER = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SASL_USERNAME": "lan",
    "KAFKA_SASL_PASSWORD": 'a"b',
}
OWN = Running("http://127.0.0.1:1", "http://127.0.0.1:2", "own:9092", "postgresql://own/jobs")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("KAFKA_BOOTSTRAP_SERVERS", *VARIABLES):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def log_in(monkeypatch: pytest.MonkeyPatch, **more: str) -> None:
    for variable, value in (USER | more).items():
        monkeypatch.setenv(variable, value)


def test_the_environments_user_is_for_the_environments_cluster(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(monkeypatch, KAFKA_BOOTSTRAP_SERVERS="other:9092")
    assert home.kafka() == KafkaConnection("other:9092", read_security(USER))


def test_a_system_that_started_its_own_kafka_takes_no_user(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(monkeypatch)
    home.note_running(OWN)
    assert home.kafka() == KafkaConnection("own:9092")
    for service in services(OWN, home):
        assert read_security(service.env) == read_security({}), service.name


def test_a_system_on_the_cluster_of_somebody_else_is_found_from_another_terminal(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch)
    there = Running(OWN.api, OWN.sandbox, "other:9092", OWN.database, kafka_protocol="SASL_PLAINTEXT")
    home.note_running(there)
    assert home.kafka() == KafkaConnection("other:9092", read_security(USER))
    assert (
        'a"b' not in (home.folder / "running.json").read_text()
        and 'a\\"b' not in (home.folder / "running.json").read_text()
    )
    for service in services(there, home):
        assert read_security(service.env) == read_security(USER), service.name


def test_a_running_system_of_an_older_version_is_plain(home: Home) -> None:
    (home.folder / "running.json").write_text('{"api": "a", "sandbox": "s", "kafka": "own:1", "database": "d"}')
    assert home.kafka() == KafkaConnection("own:1")


def test_settings_that_contradict_each_other_end_a_command_with_a_sentence(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(monkeypatch, KAFKA_BOOTSTRAP_SERVERS="other:9092", KAFKA_SASL_PASSWORD="")
    with pytest.raises(UserError, match=r"^KAFKA_SASL_PASSWORD: must be set"):
        home.kafka()


def test_tools_are_given_nothing_for_a_plain_cluster() -> None:
    assert client_properties(read_security({})) == {}


def test_tools_are_given_the_user() -> None:
    assert client_properties(read_security(USER)) == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required"
        ' username="lan" password="a\\"b";',
    }


def test_tools_are_given_a_key_in_the_form_that_java_reads(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    key = serialization.load_pem_private_key(made.client_key.read_bytes(), None)
    older = tmp_path / "older.key"
    older.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(b"geheim"),
        )
    )
    given = {
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_SSL_CA_LOCATION": str(made.authority),
        "KAFKA_SSL_CERTIFICATE_LOCATION": str(made.client),
        "KAFKA_SSL_KEY_LOCATION": str(older),
        "KAFKA_SSL_KEY_PASSWORD": "geheim",
    }
    properties = client_properties(read_security(given))
    assert properties["ssl.keystore.key"] == made.client_key.read_text()
    assert properties["ssl.truststore.certificates"] == made.authority.read_text()
