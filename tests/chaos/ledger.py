"""The producers' ledger: the records that Kafka acknowledged, and those without an answer."""

import hashlib
import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.chaos.messages import Message


@dataclass(frozen=True, slots=True)
class Entry:
    """One record that was sent. `partition` and `offset` are None without an acknowledgement."""

    topic: str
    digest: str
    partition: int | None
    offset: int | None
    error: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def digest(key: bytes | None, value: bytes | None) -> str:
    """SHA-256 in hexadecimal of the key and then the value, each behind its length as eight bytes, greatest first.

    None is written as the length -1, which distinguishes it from empty; any language can compute it.
    """
    hashed = hashlib.sha256()
    for part in (key, value):
        hashed.update((-1 if part is None else len(part)).to_bytes(8, "big", signed=True))
        hashed.update(part or b"")
    return hashed.hexdigest()


@dataclass(slots=True)
class Ledger:
    """Filled from the producers' delivery reports."""

    entries: list[Entry] = field(default_factory=list)
    sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sending(self) -> None:
        with self._lock:
            self.sent += 1

    def heard(self, topic: str, message: Message, place: tuple[int, int] | None, error: str | None) -> None:
        partition, offset = place if place else (None, None)
        entry = Entry(topic, digest(message.key, message.value), partition, offset, error)
        with self._lock:
            self.entries.append(entry)

    @property
    def acknowledged(self) -> list[Entry]:
        with self._lock:
            return [entry for entry in self.entries if entry.offset is not None]

    @property
    def unknown(self) -> int:
        """Records that may or may not be in the log."""
        with self._lock:
            return self.sent - sum(entry.offset is not None for entry in self.entries)
