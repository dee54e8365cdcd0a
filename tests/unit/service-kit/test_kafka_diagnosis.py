"""The sentence about a cluster that refuses a client, and how often it is logged."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError
from structlog.testing import capture_logs

from service_kit import kafka_diagnosis
from service_kit.errors import KafkaUnreachable
from service_kit.kafka_diagnosis import ConnectionErrors, refusal_sentence
from service_kit.kafka_security import KafkaConnection, read_security

AUTHENTICATION, SSL, TRANSPORT = KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError._TRANSPORT
DOWN = KafkaError._ALL_BROKERS_DOWN
WRONG = (
    "sasl_plaintext://k:9092/bootstrap: SASL authentication error: Authentication failed: {} (after {}ms in state UP)"
)
K = KafkaConnection(
    "k:9092",
    read_security(
        {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_SASL_USERNAME": "lan",
            "KAFKA_SASL_PASSWORD": "geheim",
        }
    ),
)


def refused(milliseconds: int = 300) -> KafkaError:
    return KafkaError(AUTHENTICATION, WRONG.format("Invalid username or password", milliseconds))


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (refused(), "Kafka at k:9092 refuses the credentials of user 'lan': authentication failed"),
        (
            KafkaError(
                AUTHENTICATION,
                "SASL PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported "
                "mechanisms: SCRAM-SHA-256 (after 2ms in state AUTH_HANDSHAKE)",
            ),
            "Kafka at k:9092 does not offer the SASL mechanism PLAIN but SCRAM-SHA-256: change KAFKA_SASL_MECHANISM",
        ),
        (
            KafkaError(
                SSL, "SSL handshake failed: certificate verify failed: broker certificate could not be verified"
            ),
            "The certificate of Kafka at k:9092 is not trusted: KAFKA_SSL_CA_LOCATION must hold",
        ),
        (
            KafkaError(
                TRANSPORT, "Receive failed: SSL routines::tlsv13 alert certificate required: SSL alert number 116"
            ),
            "Kafka at k:9092 does not accept this client's certificate, or demands one",
        ),
        (KafkaError(SSL, "SSL handshake failed: no shared cipher"), "TLS with Kafka at k:9092 failed: "),
    ],
)
def test_a_refusal_is_a_sentence(error: KafkaError, sentence: str) -> None:
    said = refusal_sentence(error, K)
    assert said is not None and said.startswith(sentence)
    assert "geheim" not in said


@pytest.mark.parametrize("text", ["Connect to ipv4#1.2.3.4:9092 failed: Connection refused", "1/1 brokers are down"])
def test_a_broker_that_is_away_is_not_a_refusal(text: str) -> None:
    assert refusal_sentence(KafkaError(TRANSPORT, text), K) is None


def test_a_reason_is_logged_once_and_again_when_it_changes_or_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(kafka_diagnosis.time, "monotonic", lambda: now[0])
    errors = ConnectionErrors(K)

    def logged(*found: KafkaError) -> list[str]:
        with capture_logs() as lines:
            for error in found:
                errors(error)
        return [line["reason"] for line in lines]

    assert len(logged(refused(1), KafkaError(DOWN, "1/1 brokers are down"), refused(2))) == 1
    assert logged(KafkaError(TRANSPORT, "Connection refused")) == ["Connection refused"]
    assert errors.refusal is None
    assert len(logged(refused(3))) == 1
    now[0] += 61
    assert len(logged(refused(4))) == 1


def test_no_broker_is_up_is_reported_without_a_better_reason() -> None:
    reported: list[str] = []
    report: Callable[[Any, str], None] = lambda _error, reason: reported.append(reason)  # noqa: E731
    ConnectionErrors(K, report)(KafkaError(DOWN, "1/1 brokers are down"))
    assert reported == ["1/1 brokers are down"]


def test_the_error_is_its_sentence_also_in_logs_of_errors() -> None:
    error = KafkaUnreachable("Kafka refuses us", refused=True)
    assert str(error) == "Kafka refuses us"
    assert repr(error) == "KafkaUnreachable('Kafka refuses us')"
    assert error.args[0].str() == "Kafka refuses us"
