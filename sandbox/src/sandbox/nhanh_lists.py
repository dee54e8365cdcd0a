"""Nhanh's reading calls: product/list, product/inventory, product/detail, customer/list, business/depot."""

from typing import Any

from sandbox.nhanh_errors import NhanhRefusal, Reply, invalid_field
from sandbox.nhanh_paging import (
    Condition,
    NhanhRequest,
    common_filters,
    cursor_of,
    ids_of,
    listed_part,
    object_of,
    page_of,
    size_of,
)
from sandbox.nhanh_records import inventory, public
from sandbox.people import local_form
from sandbox.state import Doc, Record, find, get


def _name_filter(condition: Condition, filters: dict[str, Any]) -> None:
    if filters.get("name"):
        text = str(filters["name"])
        condition.add("code = ? OR barcode = ? OR instr(lower(title), lower(?))", text, text, text)


def _granted(request: NhanhRequest, filters: dict[str, Any]) -> list[int] | None:
    """The depots whose stock is shown: those request for, else those granted, else (None) all."""
    granted = request.shop.nhanh.depot_ids
    if not filters.get("depotIds"):
        return granted
    wanted = ids_of(filters["depotIds"], "filters.depotIds")
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
    filters, paginator = object_of(request.body, "filters"), object_of(request.body, "paginator")
    size, cursor = size_of(request, paginator), cursor_of(paginator, key)
    direction = str(object_of(paginator, "sort").get(key, "desc")).lower()
    if direction not in {"asc", "desc"}:
        raise invalid_field("paginator.sort", f"paginator.sort.{key} must be asc or desc")
    condition = listed_part(request, "product")
    warning = common_filters(condition, filters, moment, known)
    _name_filter(condition, filters)
    if filters.get("parentId"):
        condition.add("parent = ?", str(ids_of(filters["parentId"], "filters.parentId")[0]))
    if filters.get("status"):
        wanted = ids_of(filters["status"], "filters.status")
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
    page, following = page_of(request, rows, size, cursor, {key: "id"})
    return page, following, warning


def products(request: NhanhRequest) -> Reply:
    """product/list. Its `updatedAt` does not move for stock."""
    granted = _granted(request, object_of(request.body, "filters"))
    known = {"name", "parentId", "status", "depotIds"}
    page, following, warning = _walk_by_id(request, "id", "updated_at", known)
    return Reply(data=[_listed(record, granted) for record in page], paged=True, next=following, warning=warning)


def inventories(request: NhanhRequest) -> Reply:
    """product/inventory: stock by its own change time, without `code`."""
    granted = _granted(request, object_of(request.body, "filters"))
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
    number = ids_of(object_of(request.body, "filters").get("id"), "filters.id")[0]
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
    filters, paginator = object_of(request.body, "filters"), object_of(request.body, "paginator")
    size, cursor = size_of(request, paginator), cursor_of(paginator, "updatedAt", "id")
    condition = listed_part(request, "customer")
    warning = common_filters(condition, filters, "updated_at", {"mobile", "type"})
    if filters.get("mobile"):
        condition.add("phone = ?", local_form(str(filters["mobile"])))
    if filters.get("type"):
        condition.add("json_extract(doc, '$.type') = ?", ids_of(filters["type"], "filters.type")[0])
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
    page, following = page_of(request, rows, size, cursor, {"updatedAt": "updated_at", "id": "id"})
    return Reply(data=[public(record.doc) for record in page], paged=True, next=following, warning=warning)


def depots(request: NhanhRequest) -> Reply:
    """business/depot: the depots that the token may see."""
    granted = request.shop.nhanh.depot_ids
    records = find(request.state.connection(), request.shop.key, "depot")
    wanted = object_of(request.body, "filters").get("ids")
    chosen = ids_of(wanted, "filters.ids") if wanted else None
    return Reply(
        data=[
            public(record.doc)
            for record in records
            if (granted is None or record.id in granted) and (chosen is None or record.id in chosen)
        ]
    )
