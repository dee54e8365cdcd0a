"""`jobtrail kafka`: one of Kafka's own tools on the running cluster, with the security settings as it reads them."""

from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from jobtrail.errors import UserError
from jobtrail.home import Home
from local_stack import run_kafka_tool
from local_stack.java_properties import PLAIN, SCRAM, login_module
from local_stack.kafka_tools import tool_arguments, tool_name
from service_kit.errors import KafkaUnreachable
from service_kit.kafka_diagnosis import reach
from service_kit.kafka_security import KafkaSecurity

BROKER_SECONDS = 10.0


def run_kafka(home: Home, arguments: list[str]) -> int:
    """Run one of Kafka's own tools on the running broker; returns its exit code.

    Raises:
        UserError: the tool needs the broker, which does not answer or refuses this client; most tools would wait
            silently.
        StackError: the tool is unknown, or Kafka cannot be downloaded.
    """
    kafka = home.kafka()
    servers = kafka.bootstrap_servers
    if arguments and tool_arguments(tool_name(arguments[0]), arguments[1:], servers) != arguments[1:]:
        try:
            with reach(kafka, BROKER_SECONDS):
                pass
        except KafkaUnreachable as error:
            raise UserError(str(error) if error.refused else f"Kafka at {kafka} does not answer; is it up?") from None
    return run_kafka_tool(arguments, servers, client_properties(kafka.security))


def client_properties(security: KafkaSecurity) -> dict[str, str]:
    """Properties of a Java client; empty without TLS and user. They hold the password and the client's key.

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
    """The client's key as PKCS #8, the only form that Java reads."""
    password = security.key_password.encode() if security.key_password else None
    key = load_pem_private_key(Path(security.key_location).read_bytes(), password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
