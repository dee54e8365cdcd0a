"""Faults on demand. They are stored in the state file, so a killed sandbox restarts with the same faults."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Annotated, Literal

import msgspec

from sandbox.chance import rng
from sandbox.state import State

Kind = Literal["slow", "429", "throttled", "5xx", "drop", "drop_after", "expired_token", "garbage", "down"]


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One kind of failure of one platform's calls.

    `count` calls are hit (None: all), after `skip` calls; `rate` of them, if below 1, by a seeded draw.
    `seconds`: how long the delay, the lock, the requested wait or the outage (down) is. `path` is part of the call's
    path ("product/list"), `says` part of its body, such as an operation's name; `status` the HTTP status of a 5xx;
    `body` the answer to a garbage call under HTTP 200, each of its characters a byte, so that U+00FF is one that no
    UTF-8 has. `retry_after` is the text of the header Retry-After of a 5xx and of Shopify's 429, whatever it says; "" =
    without the header.
    """

    platform: str
    kind: Kind
    account: str | None = None
    count: int | None = None
    skip: int = 0
    rate: float = 1.0
    seconds: float | None = None
    path: str | None = None
    says: str | None = None
    status: int = 503
    retry_after: Annotated[str, msgspec.Meta(pattern="^[\\x20-\\x7e]*$")] | None = None
    body: Annotated[str, msgspec.Meta(pattern="^[\\x00-\\xff]*$")] = ""


class Active(msgspec.Struct, kw_only=True):
    """An active fault."""

    id: int
    fault: Fault
    hits: int = 0
    seen: int = 0
    until: float | None = None


class Faults:
    """The active faults."""

    def __init__(self, state: State, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._guard = threading.Lock()
        rows = state.connection().execute("SELECT spec FROM faults ORDER BY id")
        self._active = [msgspec.json.decode(row["spec"], type=Active) for row in rows]

    def add(self, fault: Fault) -> Active:
        """Activate a fault."""
        with self._guard:
            number = max((active.id for active in self._active), default=0) + 1
            until = self._clock() + (fault.seconds or 60) if fault.kind == "down" else None
            active = Active(id=number, fault=fault, until=until)
            self._active.append(active)
            self._save(active)
            return active

    def all(self) -> list[Active]:
        """The active faults, with how often they hit."""
        with self._guard:
            return list(self._active)

    def clear(self) -> int:
        """Remove all faults; returns how many there were."""
        with self._guard:
            count = len(self._active)
            self._active.clear()
            with self._state.writing() as connection:
                connection.execute("DELETE FROM faults")
            return count

    def strike(self, platform: str, account: str | None, path: str, body: bytes = b"") -> list[Fault]:
        """The faults that hit this call; they are counted."""
        with self._guard:
            meant = [active for active in self._active if _is_for(active.fault, platform, account, path, body)]
            return [active.fault for active in meant if self._hits(active)]

    def _hits(self, active: Active) -> bool:
        fault = active.fault
        if active.until is not None and self._clock() >= active.until:
            return False
        if fault.count is not None and active.hits >= fault.count:
            return False
        active.seen += 1
        spared = active.seen <= fault.skip
        if spared or (fault.rate < 1 and rng("fault", active.id, active.seen).random() >= fault.rate):
            self._save(active)
            return False
        active.hits += 1
        self._save(active)
        return True

    def _save(self, active: Active) -> None:
        with self._state.writing() as connection:
            _store(connection, active)


def _is_for(fault: Fault, platform: str, account: str | None, path: str, body: bytes) -> bool:
    if fault.platform != platform or (fault.account and fault.account != account):
        return False
    if fault.path and fault.path not in path:
        return False
    return fault.says is None or fault.says.encode() in body


def _store(connection: sqlite3.Connection, active: Active) -> None:
    spec = msgspec.json.encode(active).decode()
    connection.execute("INSERT OR REPLACE INTO faults VALUES (?, ?)", (active.id, spec))
