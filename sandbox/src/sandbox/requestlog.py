"""The raw request log: one JSON line a request on disk, written before the answer leaves. No credentials."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from sandbox.exchange import Item

MAX_BODY = 64 * 1024
_SECRETS = frozenset({"secretKey", "accessToken", "accessCode"})


class Entry(msgspec.Struct, kw_only=True):
    """One request. `status` is null when the connection was closed without an answer; `errors` are the codes
    found in the answer; `items` are what a write asked for, one entry each; `cost` is what the call used up of its rate
    limit (a call, or points), if it got that far."""

    seq: int
    time: float
    platform: str
    account: str | None
    method: str
    path: str
    body: Any
    status: int | None
    duration_ms: float
    faults: list[str] = []
    errors: list[str] = []
    items: list[Item] = []
    cost: float | None = None


class RequestLog:
    """Appends to `requests.jsonl`, counts requests, reads them back. A line that a kill cut off is dropped."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._path = folder / "requests.jsonl"
        self._clock = clock
        self._guard = threading.Lock()
        self._counts: Counter[tuple[str | None, str]] = Counter()
        self._seq = 0
        self._drop_partial_line()
        for entry in self._entries():
            self._seq = entry.seq
            self._counts[entry.account, entry.platform] += 1
        self._file = self._path.open("ab")

    def _drop_partial_line(self) -> None:
        if not self._path.exists():
            return
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            with self._path.open("r+b") as file:
                file.truncate(whole)

    def _entries(self) -> Iterator[Entry]:
        if self._path.exists():
            with self._path.open("rb") as file:
                for line in file:
                    if line.endswith(b"\n"):
                        yield msgspec.json.decode(line, type=Entry)

    def add(
        self,
        *,
        platform: str,
        account: str | None,
        method: str,
        path: str,
        body: bytes,
        status: int | None,
        duration_ms: float,
        faults: list[str],
        errors: list[str],
        items: list[Item],
        cost: float | None,
    ) -> None:
        """Write one request."""
        with self._guard:
            self._seq += 1
            entry = Entry(
                seq=self._seq,
                time=self._clock(),
                platform=platform,
                account=account,
                method=method,
                path=path,
                body=_readable(body),
                status=status,
                duration_ms=round(duration_ms, 3),
                faults=faults,
                errors=errors,
                items=items,
                cost=cost,
            )
            self._file.write(msgspec.json.encode(entry) + b"\n")
            self._file.flush()
            self._counts[account, platform] += 1

    def requests(self, account: str, platform: str) -> int:
        """How many requests a shop has received."""
        with self._guard:
            return self._counts[account, platform]

    def read(
        self, account: str | None, platform: str | None, after: int, limit: int, *, writes_only: bool
    ) -> list[Entry]:
        """Entries with a greater seq than `after`, oldest first."""
        found: list[Entry] = []
        for entry in self._entries():
            if entry.seq <= after or (account and entry.account != account):
                continue
            if (platform and entry.platform != platform) or (writes_only and not entry.items):
                continue
            found.append(entry)
            if len(found) >= limit:
                break
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _readable(body: bytes) -> Any:
    if len(body) > MAX_BODY:
        return body[:MAX_BODY].decode("utf-8", "replace")
    try:
        value = msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return body.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {key: "***" if key in _SECRETS else inner for key, inner in value.items()}
    return value
