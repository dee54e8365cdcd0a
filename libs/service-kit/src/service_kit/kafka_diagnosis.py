"""Why a Kafka cluster cannot be used: one sentence that names the setting to change, where the reason is known.

librdkafka reports a refused password or certificate in callbacks. For a listener of another protocol it only reports
that no broker is up; such a listener is probed.
"""

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from service_kit.errors import KafkaUnreachable
from service_kit.kafka_security import ClientConfig, Kafka, KafkaConnection, connection_of

log = structlog.get_logger(__name__)
_PROBE_SECONDS = 2.0
_METADATA_SECONDS = 1.0  # timeout of one request for metadata
_PAUSE = 0.1  # seconds between two requests
_REPEAT_SECONDS = 60.0  # between two log lines about the same reason
_SASL_HANDSHAKE = 17  # the request's number in Kafka's protocol
_ILLEGAL_SASL_STATE = 34
_DEFAULT_PORT = "9092"

_AUTHENTICATION = KafkaError._AUTHENTICATION  # pyright: ignore[reportPrivateUsage]
_SSL = KafkaError._SSL  # pyright: ignore[reportPrivateUsage]
_TRANSPORT = KafkaError._TRANSPORT  # pyright: ignore[reportPrivateUsage]
_ALL_DOWN = KafkaError._ALL_BROKERS_DOWN  # pyright: ignore[reportPrivateUsage]
_RESOLVE = KafkaError._RESOLVE  # pyright: ignore[reportPrivateUsage]
UNREACHABLE = frozenset({_AUTHENTICATION, _SSL, _TRANSPORT, _ALL_DOWN, _RESOLVE})
"""Codes of errors after which no broker can be used for now."""


class ConnectionErrors:
    """The `error_cb` of one client: keeps the last error, and logs each reason once a minute.

    `report`, if given, is called instead of the log. `refusal` is the sentence about the last error by which the
    cluster refused the client, `last` the last text of librdkafka.
    """

    def __init__(self, kafka: Kafka, report: Callable[[KafkaError, str], None] | None = None) -> None:
        self._connection = connection_of(kafka)
        self._report = report or self._log
        self._lock = threading.Lock()
        self._logged: tuple[str, float] | None = None
        self.refusal: str | None = None
        self.last: str | None = None

    def __call__(self, error: KafkaError) -> None:
        if error.code() == _ALL_DOWN and self.last is not None:
            return  # the error before it is more precise
        self.refusal = refusal_sentence(error, self._connection)
        self.last = _without_times(error.str())
        self._report(error, self.refusal or self.last)

    def _log(self, error: KafkaError, reason: str) -> None:
        now = time.monotonic()
        with self._lock:
            if self._logged is not None and self._logged[0] == reason and now - self._logged[1] < _REPEAT_SECONDS:
                return
            self._logged = reason, now
        log.warning("Kafka cannot be used" if error.code() in UNREACHABLE else "Kafka", reason=reason)


def quiet_config(kafka: Kafka) -> ClientConfig:
    """Properties of a client whose caller reports the errors, instead of the log of librdkafka."""
    return connection_of(kafka).client_config() | {"log_level": 0}


def reach(kafka: Kafka, timeout: float, more: ClientConfig | None = None) -> AdminClient:
    """An admin client that has found the cluster; `timeout` in seconds.

    Raises:
        KafkaUnreachable: no broker answered in time, or a broker refuses this client (raised at once).
    """
    connection = connection_of(kafka)
    errors = ConnectionErrors(connection, lambda _error, _reason: None)
    config = quiet_config(connection) | (more or {})
    config["error_cb"] = errors
    admin = AdminClient(config)
    deadline = time.monotonic() + timeout
    probed = False
    while True:
        left = deadline - time.monotonic()
        try:
            admin.list_topics(timeout=max(0.1, min(left, _METADATA_SECONDS)))
            return admin
        except KafkaException as error:
            admin.poll(_PAUSE)  # calls `errors`
            over = time.monotonic() >= deadline
            if errors.refusal is None and errors.last is not None and (over or not probed):
                errors.refusal, probed = refusal_of(connection), True
            if errors.refusal is not None:
                raise KafkaUnreachable(errors.refusal, refused=True) from None
            if over:
                reason = errors.last or error.args[0].str()
                raise KafkaUnreachable(f"Kafka at {connection} does not answer: {reason}", refused=False) from None


def refusal_sentence(error: KafkaError, connection: KafkaConnection) -> str | None:
    """The sentence about an error by which the cluster refuses this client; None for every other error."""
    text = error.str()
    if error.code() == _AUTHENTICATION:
        return _refused_user(text, connection)
    where = f"Kafka at {connection}"
    if "wrong version number" in text:
        return _no_tls(connection)
    if "certificate verify failed" in text:
        file = connection.security.ca_location
        return (
            f"The certificate of {where} is not trusted: KAFKA_SSL_CA_LOCATION{f' ({file})' if file else ''} must hold "
            "the authority that signed it, and KAFKA_BOOTSTRAP_SERVERS must name the hosts that it is made out for"
        )
    if "alert" in text and ("certificate" in text or "unknown ca" in text):
        return (
            f"{where} does not accept this client's certificate, or demands one: check KAFKA_SSL_CERTIFICATE_LOCATION "
            "and KAFKA_SSL_KEY_LOCATION"
        )
    if error.code() == _SSL:
        reason = _without_times(text)
        return f"TLS with {where} failed: {reason}; check KAFKA_SECURITY_PROTOCOL and KAFKA_SSL_CA_LOCATION"
    return None


def _refused_user(text: str, connection: KafkaConnection) -> str:
    where, security = f"Kafka at {connection}", connection.security
    offered = re.search(r"Unsupported SASL mechanism.*supported mechanisms: ([\w, -]*)", text)
    if offered is not None:
        return (
            f"{where} does not offer the SASL mechanism {security.mechanism} but {offered[1].strip()}: "
            "change KAFKA_SASL_MECHANISM"
        )
    if "not valid in current SASL state" in text:
        return _no_sasl(connection)
    return (
        f"{where} refuses the credentials of user {security.username!r}: authentication failed; "
        "check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and KAFKA_SASL_MECHANISM"
    )


def _without_times(text: str) -> str:
    """The text without the duration that librdkafka adds, so that equal reasons are equal texts."""
    return re.sub(r" \(after \d+ms in state \w+.*\)$", "", text)


def refusal_of(kafka: Kafka) -> str | None:
    """Probe the listeners; a sentence if they demand what this client does not do. Takes a few seconds at most."""
    connection = connection_of(kafka)
    for server in connection.bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":") if ":" in server else (server.strip(), "", _DEFAULT_PORT)
        if not port.isdigit():
            continue
        found = _probe(host.strip("[]"), int(port))
        if found is not None:
            return _mismatch(connection, found)
    return None


@dataclass(frozen=True, slots=True)
class _Listener:
    """What a listener demands. `mechanisms`: of SASL; empty without SASL, None if unknown."""

    tls: bool
    mechanisms: tuple[str, ...] | None


def _mismatch(connection: KafkaConnection, found: _Listener) -> str | None:
    security = connection.security
    if found.tls and not security.tls:
        wanted = {None: "SSL or SASL_SSL", True: "SASL_SSL", False: "SSL"}[_any(found.mechanisms)]
        return (
            f"Kafka at {connection} demands TLS, and KAFKA_SECURITY_PROTOCOL is {security.protocol}: "
            f"set it to {wanted}, and KAFKA_SSL_CA_LOCATION to the authority's certificate"
        )
    if found.mechanisms is None:
        return None
    if security.tls and not found.tls:
        return _no_tls(connection)
    if found.mechanisms and not security.sasl:
        return (
            f"Kafka at {connection} demands a user (SASL with {', '.join(found.mechanisms)}), and "
            f"KAFKA_SECURITY_PROTOCOL is {security.protocol}: set it to SASL_{'SSL' if found.tls else 'PLAINTEXT'}, "
            "and KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
        )
    return None


def _any(mechanisms: tuple[str, ...] | None) -> bool | None:
    return None if mechanisms is None else bool(mechanisms)


def _no_tls(connection: KafkaConnection) -> str:
    return (
        f"Kafka at {connection} does not use TLS on this port, and KAFKA_SECURITY_PROTOCOL is "
        f"{connection.security.protocol}: change it, or the port in KAFKA_BOOTSTRAP_SERVERS"
    )


def _no_sasl(connection: KafkaConnection) -> str:
    return (
        f"Kafka at {connection} takes no user on this port, and KAFKA_SECURITY_PROTOCOL is "
        f"{connection.security.protocol}: change it, or the port in KAFKA_BOOTSTRAP_SERVERS"
    )


def _probe(host: str, port: int) -> _Listener | None:
    """What listens at an address; None if nothing does, or if it is not Kafka."""
    context = ssl.create_default_context()
    # The probe sends nothing secret, and its answer is only shown.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), _PROBE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            mechanisms: tuple[str, ...] | None = None
            with suppress(OSError, struct.error):  # a listener that demands a client's certificate ends it here
                mechanisms = _mechanisms(encrypted)
            return _Listener(tls=True, mechanisms=mechanisms)
    except OSError as error:
        if isinstance(error, ConnectionRefusedError | socket.gaierror):
            return None
    try:
        with socket.create_connection((host, port), _PROBE_SECONDS) as plain:
            return _Listener(tls=False, mechanisms=_mechanisms(plain))
    except (OSError, struct.error):
        return None


def _mechanisms(connection: socket.socket) -> tuple[str, ...]:
    """Request a SASL mechanism that does not exist: the answer lists the supported ones."""
    request = struct.pack(">hhih", _SASL_HANDSHAKE, 1, 1, -1) + struct.pack(">h", 0)
    connection.sendall(struct.pack(">i", len(request)) + request)
    (length,) = struct.unpack(">i", _receive(connection, 4))
    answer = _receive(connection, min(length, 10_000))
    _, code, count = struct.unpack_from(">ihi", answer)
    if code == _ILLEGAL_SASL_STATE:
        return ()
    names: list[str] = []
    place = struct.calcsize(">ihi")
    for _ in range(max(count, 0)):
        (size,) = struct.unpack_from(">h", answer, place)
        names.append(answer[place + 2 : place + 2 + size].decode("ascii", "replace"))
        place += 2 + size
    return tuple(names)


def _receive(connection: socket.socket, length: int) -> bytes:
    received = b""
    while len(received) < length:
        part = connection.recv(length - len(received))
        if not part:
            raise ConnectionResetError
        received += part
    return received
