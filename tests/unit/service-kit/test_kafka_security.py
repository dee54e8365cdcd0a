"""The security settings of Kafka's clients: their properties, and invalid settings at the start."""

import re
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from local_stack.certificates import Certificates, make_certificates
from service_kit.errors import InvalidSecurity
from service_kit.kafka_security import (
    VARIABLES,
    KafkaConnection,
    connection_of,
    read_security,
)
from service_kit.settings import ServiceSettings, read_settings

SECRET = 'pa ss"w\\ör%d'
USER = {
    "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
    "KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
    "KAFKA_SASL_USERNAME": "lan",
    "KAFKA_SASL_PASSWORD": SECRET,
}
TLS = {"KAFKA_SECURITY_PROTOCOL": "SSL"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def test_without_variables_the_connection_is_plain() -> None:
    assert connection_of("a:1,b:2").client_config() == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "PLAINTEXT",
    }
    assert read_security({}) == read_security(dict.fromkeys(VARIABLES, ""))


def test_a_user_becomes_the_properties_of_a_client() -> None:
    assert read_security(USER).client_config() == {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "lan",
        "sasl.password": SECRET,
    }


def test_names_of_protocols_and_mechanisms_are_taken_in_any_case() -> None:
    given = USER | {"KAFKA_SECURITY_PROTOCOL": " sasl_plaintext", "KAFKA_SASL_MECHANISM": "scram-sha-256"}
    assert read_security(given) == read_security(USER)


def test_files_become_the_properties_of_a_client(certificates: Certificates) -> None:
    security = read_security(
        TLS
        | {
            "KAFKA_SSL_CA_LOCATION": str(certificates.authority),
            "KAFKA_SSL_CERTIFICATE_LOCATION": str(certificates.client),
            "KAFKA_SSL_KEY_LOCATION": str(certificates.client_key),
        }
    )
    assert security.client_config() == {
        "security.protocol": "SSL",
        "ssl.ca.location": str(certificates.authority),
        "ssl.certificate.location": str(certificates.client),
        "ssl.key.location": str(certificates.client_key),
    }
    context = security.ssl_context()
    assert context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_a_child_process_gets_exactly_these_settings() -> None:
    plain = KafkaConnection("own:1").environment()
    assert read_security(USER | plain) == read_security({})
    given = KafkaConnection("other:1", read_security(USER)).environment()
    assert read_security({"KAFKA_SSL_CA_LOCATION": "/gone"} | given) == read_security(USER)
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == "other:1"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: 'TLS' is not one of PLAINTEXT, SSL, "),
        ({"KAFKA_SASL_MECHANISM": "PLAIN"}, "KAFKA_SASL_MECHANISM: has no effect with KAFKA_SECURITY_PROTOCOL PLAIN"),
        ({"KAFKA_SASL_USERNAME": "lan"}, "KAFKA_SASL_USERNAME: has no effect with KAFKA_SECURITY_PROTOCOL PLAINTEXT"),
        (TLS | {"KAFKA_SASL_PASSWORD": SECRET}, "KAFKA_SASL_PASSWORD: has no effect with KAFKA_SECURITY_PROTOCOL SSL"),
        ({"KAFKA_SSL_CA_LOCATION": "/ca.pem"}, "KAFKA_SSL_CA_LOCATION: has no effect .* set that to SSL or SASL_SSL"),
        (USER | {"KAFKA_SSL_CA_LOCATION": "/ca"}, "KAFKA_SSL_CA_LOCATION: has no effect .* SASL_PLAINTEXT"),
        (USER | {"KAFKA_SASL_MECHANISM": ""}, "KAFKA_SASL_MECHANISM: must be set with KAFKA_SECURITY_PROTOCOL SASL_P"),
        (USER | {"KAFKA_SASL_USERNAME": ""}, "KAFKA_SASL_USERNAME: must be set with KAFKA_SECURITY_PROTOCOL"),
        (USER | {"KAFKA_SASL_PASSWORD": ""}, "KAFKA_SASL_PASSWORD: must be set with KAFKA_SECURITY_PROTOCOL"),
        (
            USER | {"KAFKA_SASL_MECHANISM": "GSSAPI"},
            "KAFKA_SASL_MECHANISM: 'GSSAPI' is not one of PLAIN, SCRAM-SHA-256",
        ),
        (TLS | {"KAFKA_SSL_CA_LOCATION": "/no/such"}, "KAFKA_SSL_CA_LOCATION: /no/such cannot be read: No such file"),
        (TLS | {"KAFKA_SSL_CA_LOCATION": "/"}, "KAFKA_SSL_CA_LOCATION: / cannot be read: Is a directory"),
        (TLS | {"KAFKA_SSL_CA_LOCATION": "{key}"}, "KAFKA_SSL_CA_LOCATION: .* holds no certificate in PEM format"),
        (TLS | {"KAFKA_SSL_CA_LOCATION": "{empty}"}, "KAFKA_SSL_CA_LOCATION: .* holds no certificate in PEM format"),
        (TLS | {"KAFKA_SSL_CERTIFICATE_LOCATION": "{client}"}, "KAFKA_SSL_KEY_LOCATION: must be set too"),
        (TLS | {"KAFKA_SSL_KEY_LOCATION": "{key}"}, "KAFKA_SSL_CERTIFICATE_LOCATION: must be set too"),
        (TLS | {"KAFKA_SSL_KEY_PASSWORD": SECRET}, "KAFKA_SSL_KEY_PASSWORD: has no effect without KAFKA_SSL_KEY_LOC"),
        (
            TLS | {"KAFKA_SSL_CERTIFICATE_LOCATION": "{client}", "KAFKA_SSL_KEY_LOCATION": "{other}"},
            "KAFKA_SSL_KEY_LOCATION: .* cannot be used with this key",
        ),
        (
            TLS | {"KAFKA_SSL_CERTIFICATE_LOCATION": "{client}", "KAFKA_SSL_KEY_LOCATION": "{locked}"},
            "KAFKA_SSL_KEY_LOCATION: .* KAFKA_SSL_KEY_PASSWORD",
        ),
    ],
)
def test_invalid_settings_are_one_sentence_that_names_the_variable(
    given: dict[str, str],
    sentence: str,
    certificates: Certificates,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {
        "empty": tmp_path / "empty.pem",
        "locked": tmp_path / "locked.key",
        "client": certificates.client,
        "key": certificates.client_key,
        "other": certificates.server_key,
    }
    files["empty"].touch()
    files["locked"].write_bytes(_locked(certificates.client_key))
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://a/b")
    for variable, value in given.items():
        monkeypatch.setenv(variable, value.format(**files) if value != SECRET else value)
    with pytest.raises(SystemExit) as ended:
        read_settings(ServiceSettings, "puller")
    said = str(ended.value)
    assert re.match(f"puller: invalid configuration: {sentence}", said)
    assert SECRET not in said and "\n" not in said


def _locked(key: Path) -> bytes:
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(SECRET.encode())
    return loaded.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def test_a_locked_key_is_opened_by_its_password(certificates: Certificates, tmp_path: Path) -> None:
    locked = tmp_path / "locked.key"
    locked.write_bytes(_locked(certificates.client_key))
    given = TLS | {
        "KAFKA_SSL_CERTIFICATE_LOCATION": str(certificates.client),
        "KAFKA_SSL_KEY_LOCATION": str(locked),
    }
    assert read_security(given | {"KAFKA_SSL_KEY_PASSWORD": SECRET}).client_config()["ssl.key.password"] == SECRET
    with pytest.raises(InvalidSecurity):
        read_security(given | {"KAFKA_SSL_KEY_PASSWORD": "another"})


def test_no_password_is_in_a_text_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in (USER | {"KAFKA_BOOTSTRAP_SERVERS": "a:1"}).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("DATABASE_URL", "postgresql://lan:geheim@a/b")
    settings = read_settings(ServiceSettings, "puller")
    assert settings.kafka.client_config()["sasl.password"] == SECRET
    for text in (
        repr(settings),
        str(settings),
        repr(settings.kafka),
        str(settings.kafka),
        repr(settings.kafka.security),
    ):
        assert 'ss\\"w' not in text and "ör%d" not in text and "geheim" not in text


@pytest.mark.parametrize("given", ["postgresql//lan:geheim@a/b", "host=a password=geheim dbname"])
def test_an_invalid_address_of_postgresql_is_refused_without_showing_its_password(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "a:1")
    monkeypatch.setenv("DATABASE_URL", given)
    with pytest.raises(SystemExit, match="DATABASE_URL: is not an address of PostgreSQL") as ended:
        read_settings(ServiceSettings, "puller")
    assert "geheim" not in str(ended.value)
