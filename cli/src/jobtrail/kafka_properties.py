"""The security settings as a properties file of Kafka's own tools states them."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from local_stack.java_properties import PLAIN, SCRAM, login_module
from service_kit.kafka_security import KafkaSecurity


def client_properties(security: KafkaSecurity) -> dict[str, str]:
    """Properties of a Java client; empty without TLS and a user. They hold the password and the client's key.

    Raises:
        OSError: a file cannot be read.
    """
    if security.protocol == "PLAINTEXT":
        return {}
    properties = {"security.protocol": security.protocol}
    if security.sasl:
        module = PLAIN if security.mechanism == "PLAIN" else SCRAM
        user = {"username": security.username, "password": security.password}
        properties |= {"sasl.mechanism": security.mechanism, "sasl.jaas.config": login_module(module, user)}
    if security.ca_location:
        properties |= {
            "ssl.truststore.type": "PEM",
            "ssl.truststore.certificates": Path(security.ca_location).read_text("utf-8"),
        }
    if security.certificate_location:
        properties |= {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.certificate.chain": Path(security.certificate_location).read_text("utf-8"),
            "ssl.keystore.key": _key(security),
        }
    return properties


def _key(security: KafkaSecurity) -> str:
    """Java reads no other form than PKCS #8."""
    password = security.key_password.encode() if security.key_password else None
    key = load_pem_private_key(Path(security.key_location).read_bytes(), password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
