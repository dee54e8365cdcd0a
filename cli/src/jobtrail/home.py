"""The folder of a local system, and the addresses of the system that runs now."""

import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from jobtrail.errors import UserError
from platforms.cipher import Cipher
from service_kit.errors import InvalidSecurity
from service_kit.kafka_security import KafkaConnection, KafkaSecurity, read_security


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports that a person chose for the parts of a system; None: the default port, or any free one."""

    api: int | None = None
    sandbox: int | None = None
    kafka: int | None = None
    postgres: int | None = None


class Running(msgspec.Struct, frozen=True):
    """The addresses of a running system."""

    api: str
    sandbox: str
    kafka: str
    database: str
    kafka_protocol: str = "PLAINTEXT"


class Home:
    """`.jobtrail` in the current folder, or JOBTRAIL_HOME."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or Path(os.environ.get("JOBTRAIL_HOME", ".jobtrail"))).resolve()

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def archive(self) -> Path:
        """The default folder of `jobtrail archive`."""
        return self.folder / "archive"

    def secret_key(self) -> str:
        """The key that encrypts credentials: JOBTRAIL_SECRET_KEY, else a file that only its owner can read."""
        given = os.environ.get("JOBTRAIL_SECRET_KEY")
        if given:
            return given
        path = self.folder / "secret.key"
        try:
            return path.read_text("ascii").strip()
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            _make_key(path)
            return path.read_text("ascii").strip()

    def note_running(self, running: Running) -> None:
        """Record the addresses of the system for commands in other terminals."""
        part = self.folder / "running.json.part"
        part.write_bytes(msgspec.json.encode(running))
        part.rename(self.folder / "running.json")  # atomic: a reader finds the whole file or none

    def forget_running(self) -> None:
        (self.folder / "running.json").unlink(missing_ok=True)

    def running(self) -> Running | None:
        """The addresses that the last start recorded; None if nothing runs here."""
        try:
            return msgspec.json.decode((self.folder / "running.json").read_bytes(), type=Running)
        except FileNotFoundError:
            return None

    def api(self) -> str:
        """Address of the tracker's API: JOBTRAIL_API, else that of the system started from this folder.

        Raises:
            UserError: JOBTRAIL_API is not an address of a web server, or nothing runs here.
        """
        given = os.environ.get("JOBTRAIL_API")
        if given:
            return _address(given)
        return self._need("the tracker's API", "JOBTRAIL_API").api

    def kafka(self) -> KafkaConnection:
        """The cluster of KAFKA_BOOTSTRAP_SERVERS, else that of the system started from this folder.

        Raises:
            UserError: the security variables contradict each other, or nothing runs here.
        """
        given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if given:
            return KafkaConnection(given, _kafka_security())
        return kafka_of(self._need("Kafka", "KAFKA_BOOTSTRAP_SERVERS"))

    def database(self) -> str:
        """DATABASE_URL, else that of the system started from this folder."""
        return os.environ.get("DATABASE_URL") or self._need("PostgreSQL", "DATABASE_URL").database

    def _need(self, what: str, variable: str) -> Running:
        running = self.running()
        if running is None:
            raise UserError(
                f"No system runs from {self.folder}: start one with `make up`, or set {variable} to the address of "
                f"{what}"
            )
        return running


def kafka_of(running: Running) -> KafkaConnection:
    """The cluster of a running system. A cluster that the system started itself requires no user and no TLS.

    Raises:
        UserError: the security variables contradict each other.
    """
    own = running.kafka_protocol == "PLAINTEXT"
    return KafkaConnection(running.kafka, KafkaSecurity() if own else _kafka_security())


def _kafka_security() -> KafkaSecurity:
    try:
        return read_security(os.environ)
    except InvalidSecurity as error:
        raise UserError(str(error)) from None


def _address(given: str) -> str:
    try:
        url = httpx.URL(given)
    except httpx.InvalidURL as error:
        raise UserError(f"JOBTRAIL_API is not an address: {error}") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise UserError("JOBTRAIL_API is not an address of the API; an example is http://127.0.0.1:8400")
    return given.rstrip("/")


def _make_key(path: Path) -> None:
    """Create the file atomically; of two processes at the same moment both use the key of the first."""
    with tempfile.NamedTemporaryFile("w", encoding="ascii", dir=path.parent, prefix=f"{path.name}.") as part:
        part.write(Cipher.new_key())
        part.flush()
        os.fsync(part.fileno())
        with suppress(FileExistsError):
            os.link(part.name, path)
