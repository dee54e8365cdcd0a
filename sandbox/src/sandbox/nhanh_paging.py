"""What Nhanh's lists share: the body of a call, filters, pages and their cursors."""

from typing import Any

import msgspec

from sandbox.chance import number_of
from sandbox.exchange import Item
from sandbox.nhanh_errors import NhanhRefusal, invalid_field
from sandbox.shops import Shop
from sandbox.state import FIRST_RECORDS, Record, State

MAX_SIZE = 100


class NhanhRequest(msgspec.Struct, kw_only=True):
    """One call: the shop it is for, its body, the time (unix seconds), and where writes are noted for the log."""

    state: State
    shop: Shop
    body: Any
    now: int
    items: list[Item]


class Condition:
    """A WHERE clause that grows; values travel as parameters."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.params: list[Any] = []

    def add(self, sql: str, *params: Any) -> None:
        self.parts.append(f"({sql})")
        self.params.extend(params)

    @property
    def sql(self) -> str:
        return " AND ".join(self.parts) or "1"


def object_of(holder: Any, name: str) -> dict[str, Any]:
    """The object under `name`, empty where it is missing. Raises NhanhRefusal for anything else."""
    value = holder.get(name, {}) if isinstance(holder, dict) else None
    if value in ([], None) and isinstance(holder, dict):  # PHP writes an empty object as []
        return {}
    if not isinstance(value, dict):
        raise NhanhRefusal("ERR_INVALID_DATA", [f"{name} must be an object"])
    return value


def size_of(request: NhanhRequest, paginator: dict[str, Any]) -> int:
    """How many records a page holds at most: what is asked for, or fewer where the shop's `page_limit` says so."""
    size = paginator.get("size", MAX_SIZE)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_SIZE:
        raise invalid_field("paginator.size", f"paginator.size must be between 1 and {MAX_SIZE}")
    limit = request.shop.nhanh.page_limit
    return size if limit is None else min(size, limit)


def cursor_of(paginator: dict[str, Any], *names: str) -> dict[str, str]:
    """The echoed `next`. It must be the object itself with its strings, not the value inside it."""
    value = paginator.get("next")
    if value in (None, ""):
        return {}
    if (
        not isinstance(value, dict)
        or not set(names) <= set(value)
        or not all(isinstance(text, str) and text.lstrip("-").isdigit() for text in value.values())
    ):
        raise invalid_field("paginator.next", "paginator.next is invalid")
    return value


def ids_of(value: Any, field: str) -> list[int]:
    """Up to MAX_SIZE numbers, or one."""
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) > MAX_SIZE:
        raise invalid_field(field, f"{field} accepts at most {MAX_SIZE} values")
    try:
        return [int(number) for number in numbers]
    except (TypeError, ValueError) as error:
        raise invalid_field(field, f"{field} must be integers") from error


def second_of(value: Any, field: str) -> int:
    """Unix seconds, also as text."""
    if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
        return int(value)
    raise invalid_field(field, f"{field} must be a unix timestamp")


def common_filters(
    condition: Condition, filters: dict[str, Any], moment: str, known: set[str]
) -> dict[str, str] | None:
    """Filters that the lists share. Returns a warning for unknown ones."""
    ids = filters.get("ids") or filters.get("id")
    if ids:
        numbers = ids_of(ids, "filters.ids")
        condition.add(f"id IN ({', '.join('?' * len(numbers))})", *numbers)
    if filters.get("updatedAtFrom"):
        condition.add(f"{moment} >= ?", second_of(filters["updatedAtFrom"], "filters.updatedAtFrom"))
    if filters.get("updatedAtTo"):
        condition.add(f"{moment} <= ?", second_of(filters["updatedAtTo"], "filters.updatedAtTo"))
    unknown = sorted(set(filters) - known - {"ids", "id", "updatedAtFrom", "updatedAtTo"})
    return {f"filters.{name}": "unknown filter, ignored" for name in unknown} or None


def listed_part(request: NhanhRequest, kind: str) -> Condition:
    """The part of a kind's records that the shop lists at all (`lists_end_after`)."""
    condition = Condition()
    end = request.shop.nhanh.lists_end_after
    if end is not None:
        condition.add(FIRST_RECORDS, request.shop.key, kind, end)
    return condition


def _shortened(request: NhanhRequest, size: int, cursor: dict[str, str]) -> int:
    """How many of a page's rows are really given. The documentation warns of short and empty pages that have a
    `next`: here the first page of several is short, and about every ninth later one is empty."""
    if not request.shop.nhanh.short_pages or "scan" in cursor:
        return size
    if not cursor:
        return size - size // 10
    return 0 if number_of(f"{request.shop.key}:{sorted(cursor.items())}", 9) % 9 == 0 else size


def page_of(
    request: NhanhRequest, rows: list[Record], size: int, cursor: dict[str, str], keys: dict[str, str]
) -> tuple[list[Record], dict[str, str] | None]:
    """Cut `rows` (one more than `size` when there are more) to a page. `keys`: cursor key → field of Record."""
    if len(rows) <= size:
        return rows, None
    given = _shortened(request, size, cursor)
    if given == 0:
        return [], {**cursor, "scan": "1"}
    rows = rows[:given] if given < size else rows[:size]
    return rows, {key: str(getattr(rows[-1], field)) for key, field in keys.items()}
