"""customerUpdate, customerAddressCreate, customerAddressUpdate. Phones and e-mails are unique in a shop."""

import re
from collections.abc import Callable
from typing import Any

from graphql import GraphQLResolveInfo

from sandbox import ids
from sandbox.exchange import Item
from sandbox.shopify_metafields import set_all
from sandbox.shopify_reads import Context
from sandbox.shopify_records import customer_of, moment
from sandbox.state import Doc, Record, count, count_write, get, put

_PHONE = re.compile(r"\+[1-9]\d{7,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
COUNTRIES = {
    "VN": "Vietnam",
    "US": "United States",
    "FR": "France",
    "DE": "Germany",
    "GB": "United Kingdom",
    "JP": "Japan",
    "KR": "South Korea",
    "SG": "Singapore",
    "TH": "Thailand",
}
PLAIN_FIELDS = ("firstName", "lastName", "locale", "note", "tags", "taxExempt")
ADDRESS_FIELDS = (
    "address1", "address2", "city", "company", "country", "firstName", "lastName", "phone", "province",
    "provinceCode", "zip",
)  # fmt: skip


def _problem(message: str, *field: str) -> dict[str, Any]:
    return {"field": list(field) or None, "message": message}


def _customer(context: Context, gid: str | None) -> Record | None:
    number = ids.number(gid or "", "Customer")
    return get(context.database, context.shop.key, "customer", number) if number is not None else None


def _taken(context: Context, column: str, value: str, own: int) -> bool:
    where = f"{column} = ? COLLATE NOCASE AND id <> ?"
    return count(context.database, context.shop.key, "customer", where, (value, own)) > 0


def _contacts(context: Context, record: Record, wanted: dict[str, Any], doc: Doc) -> list[dict[str, Any]]:
    """Put phone and e-mail into `doc`, or say why not."""
    errors: list[dict[str, Any]] = []
    if "phone" in wanted:
        phone = (wanted["phone"] or "").strip()
        if phone and not _PHONE.fullmatch(phone):
            errors.append(_problem("Phone is invalid", "phone"))
        elif phone and _taken(context, "phone", phone, record.id):
            errors.append(_problem("Phone has already been taken", "phone"))
        doc["defaultPhoneNumber"] = {"phoneNumber": phone} if phone else None
    if "email" in wanted:
        email = (wanted["email"] or "").strip().lower()
        if email and not _EMAIL.fullmatch(email):
            errors.append(_problem("Email is invalid", "email"))
        elif email and _taken(context, "email", email, record.id):
            errors.append(_problem("Email has already been taken", "email"))
        doc["defaultEmailAddress"] = {"emailAddress": email} if email else None
    return errors


def update_customer(_root: Any, info: GraphQLResolveInfo, input: dict[str, Any]) -> Doc:
    """customerUpdate: one error stops the whole update."""
    context: Context = info.context
    record = _customer(context, input.get("id"))
    if record is None:
        errors = [_problem("Customer does not exist", "id")]
    else:
        doc = {**record.doc, **{name: input[name] for name in PLAIN_FIELDS if name in input}}
        errors = _contacts(context, record, input, doc)
        if not any((doc["firstName"], doc["lastName"], doc["defaultPhoneNumber"], doc["defaultEmailAddress"])):
            errors.append(_problem("A name, phone number, or email address must be present"))
        if not errors and input.get("metafields"):
            wanted = [{**field, "ownerId": input["id"]} for field in input["metafields"]]
            errors = [_problem(p["message"], "metafields") for p in set_all(context, wanted)[1]]
        if not errors:
            doc["updatedAt"] = moment(context.now)
            record = customer_of(doc, context.now)
            put(context.database, context.shop.key, [record])
    _note(context, "customerUpdate", str(input.get("id")), input, errors)
    return {"customer": record.doc if record and not errors else None, "userErrors": errors}


def _note(context: Context, kind: str, gid: str, values: dict[str, Any], errors: list[dict[str, Any]]) -> None:
    outcome = "; ".join(error["message"] for error in errors) or "accepted"
    shown = {name: value for name, value in values.items() if name != "id"}
    context.items.append(Item(kind=kind, id=gid, outcome=outcome, values=shown))
    if not errors:
        count_write(context.database, context.shop.key, kind)


def _address(address: dict[str, Any], doc: Doc) -> None:
    doc.update({name: address[name] for name in ADDRESS_FIELDS if name in address})
    if address.get("countryCode"):
        doc["countryCodeV2"] = address["countryCode"]
        doc["country"] = COUNTRIES[address["countryCode"]]


def _save(context: Context, record: Record, doc: Doc, *, default: bool) -> None:
    others = [one for one in record.doc["_addresses"] if one["id"] != doc["id"]]
    kept = [one if one["id"] != doc["id"] else doc for one in record.doc["_addresses"]]
    addresses = [doc, *others] if default else kept if len(kept) > len(others) else [*others, doc]
    new = {**record.doc, "_addresses": addresses, "updatedAt": moment(context.now)}
    put(context.database, context.shop.key, [customer_of(new, context.now)])


def create_address(
    _root: Any,
    info: GraphQLResolveInfo,
    customerId: str,
    address: dict[str, Any],
    setAsDefault: bool = False,
) -> Doc:
    """customerAddressCreate. An address that the customer has already is refused."""
    context: Context = info.context
    record = _customer(context, customerId)
    errors = [] if record else [_problem("Customer does not exist", "customerId")]
    doc: Doc | None = None
    if record:
        known = record.doc["_addresses"]
        numbers = [record.id] + [int(one["id"].split("/")[-1].split("?")[0]) for one in known]
        doc = {"__typename": "MailingAddress", **dict.fromkeys((*ADDRESS_FIELDS, "countryCodeV2"))}
        _address(address, doc)
        if any(all(one.get(name) == doc[name] for name in ADDRESS_FIELDS) for one in known):
            errors.append(_problem("Address already exists", "address"))
            doc = None
        else:
            doc["id"] = ids.gid("MailingAddress", f"{max(numbers) + 1}?model_name=CustomerAddress")
            _save(context, record, doc, default=bool(setAsDefault))
    _note(context, "customerAddressCreate", customerId, address, errors)
    return {"address": doc, "userErrors": errors}


def update_address(
    _root: Any,
    info: GraphQLResolveInfo,
    customerId: str,
    addressId: str,
    address: dict[str, Any],
    setAsDefault: bool = False,
) -> Doc:
    """customerAddressUpdate."""
    context: Context = info.context
    record = _customer(context, customerId)
    errors = [] if record else [_problem("Customer does not exist", "customerId")]
    doc: Doc | None = None
    if record:
        plain = addressId.split("?", maxsplit=1)[0]
        found = next((one for one in record.doc["_addresses"] if one["id"].split("?")[0] == plain), None)
        if found is None:
            errors.append(_problem("Address does not exist", "addressId"))
        else:
            doc = dict(found)
            _address(address, doc)
            _save(context, record, doc, default=bool(setAsDefault))
    _note(context, "customerAddressUpdate", customerId, address, errors)
    return {"address": doc, "userErrors": errors}


RESOLVERS: dict[str, Callable[..., Any]] = {
    "Mutation.customerUpdate": update_customer,
    "Mutation.customerAddressCreate": create_address,
    "Mutation.customerAddressUpdate": update_address,
}
