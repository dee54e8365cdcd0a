"""The address and the security settings of a Kafka cluster, checked once, for every kind of client."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from service_kit.errors import InvalidSecurity

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
ClientConfig: TypeAlias = dict[str, Any]

# The variable, the field of KafkaSecurity, and the property of librdkafka.
_VARIABLES = (
    ("KAFKA_SECURITY_PROTOCOL", "protocol", "security.protocol"),
    ("KAFKA_SASL_MECHANISM", "mechanism", "sasl.mechanism"),
    ("KAFKA_SASL_USERNAME", "username", "sasl.username"),
    ("KAFKA_SASL_PASSWORD", "password", "sasl.password"),
    ("KAFKA_SSL_CA_LOCATION", "ca_location", "ssl.ca.location"),
    ("KAFKA_SSL_CERTIFICATE_LOCATION", "certificate_location", "ssl.certificate.location"),
    ("KAFKA_SSL_KEY_LOCATION", "key_location", "ssl.key.location"),
    ("KAFKA_SSL_KEY_PASSWORD", "key_password", "ssl.key.password"),
)
VARIABLES = tuple(variable for variable, _, _ in _VARIABLES)
CONNECTION_PROPERTIES = frozenset({"bootstrap.servers", *(name for _, _, name in _VARIABLES)})
"""The client properties that name the cluster and the user."""


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """The security settings of a client; "" means not set. Passwords are not part of its repr.

    Raises:
        InvalidSecurity: the combination cannot work.
    """

    protocol: str = "PLAINTEXT"
    mechanism: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    ca_location: str = ""
    certificate_location: str = ""
    key_location: str = ""
    key_password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _check_protocol(self)
        _check_sasl(self)
        _check_tls(self)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol in {"SSL", "SASL_SSL"}

    @property
    def sasl(self) -> bool:
        """Whether the client logs in with a user name and a password."""
        return self.protocol.startswith("SASL_")

    def client_config(self) -> ClientConfig:
        """Properties of a librdkafka client; they hold the passwords."""
        return {name: value for _, attribute, name in _VARIABLES if (value := str(getattr(self, attribute)))}

    def ssl_context(self) -> ssl.SSLContext:
        """The TLS context of a client written in Python; verifies certificates and host names of the brokers.

        Raises:
            OSError, ssl.SSLError: a file cannot be read or used.
        """
        context = ssl.create_default_context(cafile=self.ca_location or None)
        if self.certificate_location:
            # A function: without a password Python would prompt for one on the terminal.
            context.load_cert_chain(self.certificate_location, self.key_location, lambda: self.key_password)
        return context

    def environment(self) -> dict[str, str]:
        """The variables that give a child process exactly these settings."""
        return {variable: str(getattr(self, attribute)) for variable, attribute, _ in _VARIABLES}


@dataclass(frozen=True, slots=True)
class KafkaConnection:
    """A cluster's bootstrap servers (host:port, with commas) and how to log in there."""

    bootstrap_servers: str
    security: KafkaSecurity = field(default_factory=KafkaSecurity)

    def __str__(self) -> str:
        return self.bootstrap_servers

    def client_config(self) -> ClientConfig:
        """Properties that every librdkafka client of this cluster needs; they hold the passwords."""
        return {"bootstrap.servers": self.bootstrap_servers} | self.security.client_config()

    def environment(self) -> dict[str, str]:
        """The variables by which a child process uses this cluster."""
        return {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers} | self.security.environment()


Kafka: TypeAlias = KafkaConnection | str
"""A cluster to connect to; a plain address means without encryption and without a user."""


def connection_of(kafka: Kafka) -> KafkaConnection:
    """The connection that `kafka` means."""
    return KafkaConnection(kafka) if isinstance(kafka, str) else kafka


def read_security(values: Mapping[str, str]) -> KafkaSecurity:
    """The settings in a mapping such as the environment. Absent and empty variables are not set.

    Raises:
        InvalidSecurity
    """
    given = {attribute: value for variable, attribute, _ in _VARIABLES if (value := values.get(variable))}
    for name in given.keys() & {"protocol", "mechanism"}:
        given[name] = given[name].strip().upper()
    return KafkaSecurity(**given)


def _check_protocol(security: KafkaSecurity) -> None:
    if security.protocol not in PROTOCOLS:
        raise InvalidSecurity(f"KAFKA_SECURITY_PROTOCOL: {security.protocol!r} is not one of {', '.join(PROTOCOLS)}")
    for variable, attribute, name in _VARIABLES:
        kind = name.partition(".")[0]
        wanted = {"sasl": security.sasl, "ssl": security.tls}.get(kind, True)
        if getattr(security, attribute) and not wanted:
            fitting = " or ".join(protocol for protocol in PROTOCOLS if kind.upper() in protocol.split("_"))
            raise InvalidSecurity(
                f"{variable}: has no effect with KAFKA_SECURITY_PROTOCOL {security.protocol}; "
                f"set that to {fitting}, or remove {variable}"
            )


def _check_sasl(security: KafkaSecurity) -> None:
    if not security.sasl:
        return
    for variable, attribute, name in _VARIABLES:
        if name.startswith("sasl.") and not getattr(security, attribute):
            raise InvalidSecurity(f"{variable}: must be set with KAFKA_SECURITY_PROTOCOL {security.protocol}")
    if security.mechanism not in MECHANISMS:
        raise InvalidSecurity(f"KAFKA_SASL_MECHANISM: {security.mechanism!r} is not one of {', '.join(MECHANISMS)}")


def _check_tls(security: KafkaSecurity) -> None:
    for variable, attribute, name in _VARIABLES:
        if name.endswith(".location") and (path := str(getattr(security, attribute))):
            _check_readable(variable, path)
    if security.ca_location:
        try:
            ssl.create_default_context(cafile=security.ca_location)
        except (ssl.SSLError, OSError) as error:
            reason = f"holds no certificate in PEM format ({_reason(error)})"
            raise InvalidSecurity(f"KAFKA_SSL_CA_LOCATION: {security.ca_location} {reason}") from None
    certificate, key = bool(security.certificate_location), bool(security.key_location)
    if certificate != key:
        missing = "KAFKA_SSL_KEY_LOCATION" if certificate else "KAFKA_SSL_CERTIFICATE_LOCATION"
        raise InvalidSecurity(f"{missing}: must be set too: a client certificate needs its key, and a key the other")
    if security.key_password and not key:
        raise InvalidSecurity("KAFKA_SSL_KEY_PASSWORD: has no effect without KAFKA_SSL_KEY_LOCATION")
    if certificate:
        try:
            security.ssl_context()
        except (ssl.SSLError, OSError, ValueError) as error:
            raise InvalidSecurity(
                "KAFKA_SSL_KEY_LOCATION: the certificate in KAFKA_SSL_CERTIFICATE_LOCATION cannot be used with this "
                f"key and KAFKA_SSL_KEY_PASSWORD ({_reason(error)})"
            ) from None


def _check_readable(variable: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        raise InvalidSecurity(f"{variable}: {path} cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "unusable"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
