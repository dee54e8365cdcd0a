"""A part of Shopify's search syntax: field:value terms with comparators and quotes, AND (or a blank), OR, NOT.

Unknown fields are ignored with a warning in `extensions.search`, as the platform does. Customers' `updated_at`
compares whole days, says the schema; products and variants compare moments.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

_TERM = re.compile(
    r"""(?P<not>-|NOT\s+)?(?P<field>[a-z_]+)\s*:\s*(?P<op><=|>=|<|>)?\s*"""
    r"""(?:'(?P<single>(?:\\.|[^'])*)'|"(?P<double>(?:\\.|[^"])*)"|(?P<bare>[^\s()]+))"""
    r"""|(?P<join>AND\b|OR\b)|(?P<open>\()|(?P<close>\))|(?P<word>[^\s()]+)"""
)
_COLUMNS = {
    "product": {"title": "title", "id": "id", "updated_at": "updated_at"},
    "variant": {
        "sku": "code",
        "barcode": "barcode",
        "product_id": "parent",
        "title": "title",
        "id": "id",
        "updated_at": "updated_at",
    },
    "customer": {"email": "email", "phone": "phone", "id": "id", "updated_at": "updated_at"},
    "location": {"name": "title", "id": "id"},
}
_DAY = 86_400


class Condition(msgspec.Struct):
    """A WHERE clause with its parameters, and warnings about what was not understood."""

    sql: str
    params: tuple[Any, ...]
    warnings: list[dict[str, str]]


def _seconds(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _moment(kind: str, op: str, text: str) -> tuple[str, list[Any]] | None:
    seconds = _seconds(text)
    if seconds is None:
        return None
    if kind == "customer" or len(text) == len("2026-11-01"):
        day = seconds - seconds % _DAY
        bounds = {">=": (">=", day), ">": (">=", day + _DAY), "<": ("<", day), "<=": ("<", day + _DAY)}
        if op in bounds:
            sign, bound = bounds[op]
            return f"updated_at {sign} ?", [bound]
        return "updated_at >= ? AND updated_at < ?", [day, day + _DAY]
    return f"updated_at {op or '='} ?", [seconds]


# A product is found by what its variants carry.
_BY_VARIANT = (
    "id IN (SELECT CAST(parent AS INTEGER) FROM records v"
    " WHERE v.shop = records.shop AND v.kind = 'variant' AND v.{column} = ? COLLATE NOCASE)"
)


def _text_term(column: str, op: str, text: str) -> tuple[str, list[Any]]:
    if text.endswith("*"):
        return f"instr(lower({column}), lower(?)) = 1", [text[:-1]]
    if column == "title":
        return "instr(lower(title), lower(?)) > 0", [text]
    return f"{column} {op or '='} ? COLLATE NOCASE", [text]


def _term(kind: str, field: str, op: str, text: str) -> tuple[str, list[Any]] | None:
    """SQL for one term, or None when the field or value means nothing here."""
    if kind == "product" and field in {"sku", "barcode"}:
        return _BY_VARIANT.format(column=_COLUMNS["variant"][field]), [text]
    if kind == "product" and field in {"status", "product_status"}:
        wanted = [part.upper() for part in text.split(",")]
        return f"json_extract(doc, '$.status') IN ({', '.join('?' * len(wanted))})", wanted
    column = _COLUMNS[kind].get(field)
    if column is None or column == "updated_at":
        return _moment(kind, op, text) if column else None
    if column in {"id", "parent"}:
        tail = text.rsplit("/", 1)[-1]
        return (f"CAST({column} AS INTEGER) {op or '='} ?", [int(tail)]) if tail.isdigit() else None
    return _text_term(column, op, text)


def parse(kind: str, query: str | None) -> Condition:
    """Turn a search into SQL on the records of `kind` (product, variant, customer, location)."""
    pieces: list[str] = []
    params: list[Any] = []
    warnings: list[dict[str, str]] = []
    joined = True
    for found in _TERM.finditer(query or ""):
        if found["join"]:
            if pieces and not joined:
                pieces.append(found["join"])
                joined = True
            continue
        if found["close"]:
            pieces.append(")")
            joined = False
            continue
        if not joined:
            pieces.append("AND")
        joined = False
        if found["open"]:
            pieces.append("(")
            joined = True
            continue
        field = found["field"] or "default"
        text = next((found[name] for name in ("single", "double", "bare", "word") if found[name] is not None), "")
        text = re.sub(r"\\(.)", r"\1", text)
        if field == "default":
            pieces.append("instr(lower(title), lower(?)) > 0")
            params.append(text)
            continue
        term = _term(kind, field, found["op"] or "", text)
        if term is None:
            warnings.append({"field": field, "message": "Invalid search field for this query."})
            pieces.append("1")
            continue
        pieces.append(f"{'NOT ' if found['not'] else ''}({term[0]})")
        params.extend(term[1])
    balanced = pieces.count("(") == pieces.count(")") and not joined
    if query and query.strip() and not balanced:
        warnings.append({"field": "query", "message": "The search could not be read and was ignored."})
        return Condition("1", (), warnings)
    return Condition(" ".join(pieces) or "1", tuple(params), warnings)
