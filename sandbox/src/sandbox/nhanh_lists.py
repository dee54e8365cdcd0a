"""Nhanh's reading calls: product/list, product/inventory, product/detail, customer/list, business/depot."""

from typing import Any

import msgspec

from sandbox.chance import number_of
from sandbox.exchange import Item
from sandbox.nhanh_errors import NhanhRefusal, Reply, invalid_field
from sandbox.nhanh_records import inventory, public
from sandbox.people import local_form
from sandbox.shops import Shop
from sandbox.state import FIRST_RECORDS, Doc, Record, State, find, get

MAX_SIZE = 100


class NhanhRequest(msgspec.Struct, kw_only=True):
    """One call: the shop it is for, its body, the time (unix seconds), and where writes are noted for the log."""

    state: State
    shop: Shop
    body: Any
    now: int
    items: list[Item]


class _Condition:
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


def _object(holder: Any, name: str) -> dict[str, Any]:
    value = holder.get(name, {}) if isinstance(holder, dict) else None
    if value in ([], None) and isinstance(holder, dict):  # PHP writes an empty object as []
        return {}
    if not isinstance(value, dict):
        raise NhanhRefusal("ERR_INVALID_DATA", [f"{name} must be an object"])
    return value


def _size(paginator: dict[str, Any]) -> int:
    size = paginator.get("size", MAX_SIZE)
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MAX_SIZE:
        raise invalid_field("paginator.size", f"paginator.size must be between 1 and {MAX_SIZE}")
    return size


def _cursor(paginator: dict[str, Any], *names: str) -> dict[str, str]:
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


def _ids(value: Any, field: str) -> list[int]:
    numbers = value if isinstance(value, list) else [value]
    if len(numbers) > MAX_SIZE:
        raise invalid_field(field, f"{field} accepts at most {MAX_SIZE} values")
    try:
        return [int(number) for number in numbers]
    except (TypeError, ValueError) as error:
        raise invalid_field(field, f"{field} must be integers") from error


def _second(value: Any, field: str) -> int:
    if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
        return int(value)
    raise invalid_field(field, f"{field} must be a unix timestamp")


def _common(condition: _Condition, filters: dict[str, Any], moment: str, known: set[str]) -> dict[str, str] | None:
    """Filters that the lists share. Returns a warning for unknown ones."""
    ids = filters.get("ids") or filters.get("id")
    if ids:
        numbers = _ids(ids, "filters.ids")
        condition.add(f"id IN ({', '.join('?' * len(numbers))})", *numbers)
    if filters.get("updatedAtFrom"):
        condition.add(f"{moment} >= ?", _second(filters["updatedAtFrom"], "filters.updatedAtFrom"))
    if filters.get("updatedAtTo"):
        condition.add(f"{moment} <= ?", _second(filters["updatedAtTo"], "filters.updatedAtTo"))
    unknown = sorted(set(filters) - known - {"ids", "id", "updatedAtFrom", "updatedAtTo"})
    return {f"filters.{name}": "unknown filter, ignored" for name in unknown} or None


def _listed_part(request: NhanhRequest, kind: str) -> _Condition:
    condition = _Condition()
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


def _page(
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


def _name_filter(condition: _Condition, filters: dict[str, Any]) -> None:
    if filters.get("name"):
        text = str(filters["name"])
        condition.add("code = ? OR barcode = ? OR instr(lower(title), lower(?))", text, text, text)


def _granted(request: NhanhRequest, filters: dict[str, Any]) -> list[int] | None:
    """The depots whose stock is shown: those request for, else those granted, else (None) all."""
    granted = request.shop.nhanh.depot_ids
    if not filters.get("depotIds"):
        return granted
    wanted = _ids(filters["depotIds"], "filters.depotIds")
    connection = request.state.connection()
    for depot in wanted:
        exists = get(connection, request.shop.key, "depot", depot) is not None
        if not exists or (granted is not None and depot not in granted):
            raise NhanhRefusal("ERR_INVALID_DEPOT_ID", f"Invalid depotId {depot}")
    return wanted


def _listed(record: Record, granted: list[int] | None) -> Doc:
    return {**public(record.doc), "inventory": inventory(record.doc["_stock"], granted)}


def _walk_by_id(
    request: NhanhRequest, key: str, moment: str, known: set[str]
) -> tuple[list[Record], dict[str, str] | None, dict[str, str] | None]:
    """One page of products in the order of their ids; newest first unless request otherwise."""
    filters, paginator = _object(request.body, "filters"), _object(request.body, "paginator")
    size, cursor = _size(paginator), _cursor(paginator, key)
    direction = str(_object(paginator, "sort").get(key, "desc")).lower()
    if direction not in {"asc", "desc"}:
        raise invalid_field("paginator.sort", f"paginator.sort.{key} must be asc or desc")
    condition = _listed_part(request, "product")
    warning = _common(condition, filters, moment, known)
    _name_filter(condition, filters)
    if filters.get("parentId"):
        condition.add("parent = ?", str(_ids(filters["parentId"], "filters.parentId")[0]))
    if filters.get("status"):
        wanted = _ids(filters["status"], "filters.status")
        marks = ", ".join("?" * len(wanted))
        condition.add(f"json_extract(doc, '$.status') IN ({marks})", *wanted)
    if cursor:
        condition.add(f"id {'>' if direction == 'asc' else '<'} ?", int(cursor[key]))
    rows = find(
        request.state.connection(),
        request.shop.key,
        "product",
        condition.sql,
        tuple(condition.params),
        order=f"id {direction}",
        limit=size + 1,
    )
    page, following = _page(request, rows, size, cursor, {key: "id"})
    return page, following, warning


def products(request: NhanhRequest) -> Reply:
    """product/list. Its `updatedAt` does not move for stock."""
    granted = _granted(request, _object(request.body, "filters"))
    known = {"name", "parentId", "status", "depotIds"}
    page, following, warning = _walk_by_id(request, "id", "updated_at", known)
    return Reply(data=[_listed(record, granted) for record in page], paged=True, next=following, warning=warning)


def inventories(request: NhanhRequest) -> Reply:
    """product/inventory: stock by its own change time, without `code`."""
    granted = _granted(request, _object(request.body, "filters"))
    known = {"name", "status", "depotIds"}
    page, following, warning = _walk_by_id(request, "productId", "stock_updated_at", known)
    shown = ("retail", "wholesale", "import", "avgCost")
    data = [
        {
            "productId": record.id,
            "barcode": record.barcode,
            "name": record.title,
            "prices": {name: record.doc["prices"][name] for name in shown},
            "inventory": inventory(record.doc["_stock"], granted),
        }
        for record in page
    ]
    return Reply(data=data, paged=True, next=following, warning=warning)


def product_detail(request: NhanhRequest) -> Reply:
    """product/detail: the list item with brand, description, children; warranty is flat in its inventory."""
    number = _ids(_object(request.body, "filters").get("id"), "filters.id")[0]
    connection = request.state.connection()
    record = get(connection, request.shop.key, "product", number)
    if record is None:
        raise NhanhRefusal("ERR_INVALID_DATA", f"Product {number} does not exist")
    granted = request.shop.nhanh.depot_ids
    detail = _listed(record, granted)
    stock = detail["inventory"]
    stock.update(warranty=0.0, warrantyHolding=0.0, holdingNew=0.0, shippingExport=0.0)
    brand = {"id": detail["brandId"], "name": record.doc["_brand"]} if detail["brandId"] else None
    children = find(connection, request.shop.key, "product", "parent = ?", (str(number),))
    detail.update(
        brand=brand,
        category=None,
        description=record.doc["_description"],
        content=None,
        vat=None,
        suppliers=[],
        videos=[],
        childs=[_listed(child, granted) for child in children],
    )
    return Reply(data=detail)


def customers(request: NhanhRequest) -> Reply:
    """customer/list. Its order is undocumented: here by change time, so a change during a walk shows twice."""
    filters, paginator = _object(request.body, "filters"), _object(request.body, "paginator")
    size, cursor = _size(paginator), _cursor(paginator, "updatedAt", "id")
    condition = _listed_part(request, "customer")
    warning = _common(condition, filters, "updated_at", {"mobile", "type"})
    if filters.get("mobile"):
        condition.add("phone = ?", local_form(str(filters["mobile"])))
    if filters.get("type"):
        condition.add("json_extract(doc, '$.type') = ?", _ids(filters["type"], "filters.type")[0])
    if cursor:
        condition.add("(updated_at, id) > (?, ?)", int(cursor["updatedAt"]), int(cursor["id"]))
    rows = find(
        request.state.connection(),
        request.shop.key,
        "customer",
        condition.sql,
        tuple(condition.params),
        order="updated_at, id",
        limit=size + 1,
    )
    page, following = _page(request, rows, size, cursor, {"updatedAt": "updated_at", "id": "id"})
    return Reply(data=[public(record.doc) for record in page], paged=True, next=following, warning=warning)


def depots(request: NhanhRequest) -> Reply:
    """business/depot: the depots that the token may see."""
    granted = request.shop.nhanh.depot_ids
    records = find(request.state.connection(), request.shop.key, "depot")
    wanted = _object(request.body, "filters").get("ids")
    chosen = _ids(wanted, "filters.ids") if wanted else None
    return Reply(
        data=[
            public(record.doc)
            for record in records
            if (granted is None or record.id in granted) and (chosen is None or record.id in chosen)
        ]
    )
