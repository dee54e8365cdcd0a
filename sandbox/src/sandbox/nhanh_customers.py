"""customer/add. What it does for a mobile that exists is undocumented, so both answers stand behind a switch."""

from typing import Any

from sandbox.exchange import Item
from sandbox.nhanh_errors import NhanhRefusal, Reply, invalid_field
from sandbox.nhanh_paging import MAX_SIZE, NhanhRequest
from sandbox.nhanh_records import customer_of
from sandbox.people import local_form
from sandbox.state import Doc, count_write, find, next_id, put

FIRST_NEW = 4_900_000
FIELDS = ("name", "mobile", "type", "address", "gender", "birthday", "email", "points", "taxCode", "saleName")


def _checked(entry: Any, place: int) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise NhanhRefusal("ERR_INVALID_DATA", [f"element {place} is not an object"])
    for field in ("name", "mobile"):
        if not str(entry.get(field) or "").strip():
            raise invalid_field(f"customer.{field}", f"customer.{field} is required")
    if len(local_form(str(entry["mobile"]))) < 9:
        raise invalid_field("customer.mobile", "customer.mobile is invalid")
    return entry


def _blank(number: int) -> Doc:
    return {
        "id": number,
        "type": 1,
        "name": "",
        "mobile": None,
        "code": f"KH{number}",
        "gender": None,
        "address": None,
        "email": None,
        "birthday": None,
        "points": 0,
        "saleName": None,
        "startedDate": None,
        "taxCode": None,
        "locations": {"cityId": None, "districtId": None, "wardId": None},
        "location": {"cityId": None, "wardId": None},
        "business": {"name": None, "address": None},
        "level": {"id": None, "name": None},
        "group": {"id": None, "name": None},
        "totalAmount": 0.0,
        "updatedAt": 0,
        "_truth": None,
    }


def add(request: NhanhRequest) -> Reply:
    """Add up to 100 customers, all or none. Strict mode refuses a mobile that exists; the switch
    `upsert_customers` updates that customer instead."""
    if not isinstance(request.body, list) or not request.body:
        raise NhanhRefusal("ERR_INVALID_DATA", ["Request body must be an array of customers"])
    if len(request.body) > MAX_SIZE:
        raise NhanhRefusal("ERR_INVALID_DATA", [f"At most {MAX_SIZE} customers in one request"])
    entries = [_checked(entry, place) for place, entry in enumerate(request.body)]
    key, data = request.shop.key, []
    written: list[Item] = []
    try:
        with request.state.writing() as connection:
            for entry in entries:
                mobile = local_form(str(entry["mobile"]))
                known = find(connection, key, "customer", "phone = ?", (mobile,), limit=1)
                if known and not request.shop.nhanh.upsert_customers:
                    raise invalid_field("customer.mobile", f"customer.mobile {entry['mobile']} already exists")
                doc = dict(known[0].doc) if known else _blank(next_id(connection, key, "customer", FIRST_NEW))
                doc.update({field: entry[field] for field in FIELDS if field in entry})
                doc.update(mobile=mobile, updatedAt=request.now)
                put(connection, key, [customer_of(doc)])
                data.append({"id": doc["id"], "mobile": mobile})
                written.append(Item(kind="customer/add", id=str(doc["id"]), outcome="accepted", values=dict(entry)))
            count_write(connection, key, "customer/add", len(entries))
    except NhanhRefusal as error:
        request.items.extend(
            Item(kind="customer/add", id=str(entry["mobile"]), outcome=error.code) for entry in entries
        )
        raise
    request.items.extend(written)
    return Reply(data=data)
