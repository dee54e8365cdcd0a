"""Listeners of the local Kafka that require TLS or a password: their addresses, broker settings and the user."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._scram import (
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from local_stack.certificates import Certificates
from local_stack.java_properties import PLAIN, SCRAM, login_module
from local_stack.ports import LOOPBACK

PROTOCOLS = ("SASL_SSL", "SASL_PLAINTEXT", "SSL")
_SCRAMS = {"SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256, "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512}
_ITERATIONS = 4096
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class KafkaUser:
    """The user of the protected listeners; `password` may hold any character."""

    name: str
    password: str

    def __repr__(self) -> str:
        return f"KafkaUser({self.name!r})"


@dataclass(frozen=True, slots=True)
class ProtectedListeners:
    """One port for each of PROTOCOLS, on one broker. SSL requires a client certificate, SASL the user."""

    ports: dict[str, int]
    certificates: Certificates
    user: KafkaUser

    def address(self, protocol: str) -> str:
        """host:port of a protocol's listener."""
        return f"{LOOPBACK}:{self.ports[protocol]}"

    def environment(self, protocol: str = "SASL_SSL", mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
        """The variables by which Jobtrail's services use a listener."""
        variables = {"KAFKA_BOOTSTRAP_SERVERS": self.address(protocol), "KAFKA_SECURITY_PROTOCOL": protocol}
        if protocol.startswith("SASL"):
            variables |= {
                "KAFKA_SASL_MECHANISM": mechanism,
                "KAFKA_SASL_USERNAME": self.user.name,
                "KAFKA_SASL_PASSWORD": self.user.password,
            }
        if protocol.endswith("SSL"):
            variables["KAFKA_SSL_CA_LOCATION"] = str(self.certificates.authority)
        if protocol == "SSL":
            variables |= {
                "KAFKA_SSL_CERTIFICATE_LOCATION": str(self.certificates.client),
                "KAFKA_SSL_KEY_LOCATION": str(self.certificates.client_key),
            }
        return variables

    def broker_settings(self) -> dict[str, object]:
        """Settings besides `listeners` and their protocol map."""
        settings: dict[str, object] = {
            "sasl.enabled.mechanisms": ",".join(["PLAIN", *_SCRAMS]),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.server_store,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.authority,
            "listener.name.ssl.ssl.client.auth": "required",
        }
        for protocol in ("sasl_ssl", "sasl_plaintext"):
            plain = login_module(PLAIN, {f"user_{self.user.name}": self.user.password})
            settings[f"listener.name.{protocol}.plain.sasl.jaas.config"] = plain
            for mechanism in _SCRAMS:
                name = f"listener.name.{protocol}.{mechanism.lower()}.sasl.jaas.config"
                settings[name] = login_module(SCRAM, {})
        return settings


def make_scram_user(bootstrap_servers: str, user: KafkaUser) -> None:
    """Store the user's SCRAM credentials in the cluster, over a listener without authentication.

    Raises:
        KafkaException
    """
    password = user.password.encode()
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    for mechanism in _SCRAMS.values():  # one request may contain a user once
        credentials = ScramCredentialInfo(mechanism, _ITERATIONS)
        alterations: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(user.name, credentials, password)
        ]
        for future in admin.alter_user_scram_credentials(alterations, request_timeout=_SECONDS).values():
            future.result(_SECONDS)
