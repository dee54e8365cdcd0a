"""Expected and found as readable differences. No I/O: a value that is right gives no line."""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any

from tests.safety.case import Expect, ItemExpectation, JobExpectation
from tests.safety.names import field_name, hub_id, normal, shop_name

Json = dict[str, Any]
NOTHING = "nothing"
_NAMED = 4  # records of one difference that a line names
_WIDTH = 40


def same(expected: Any, found: Any) -> bool:
    """Numbers by their value (900000 and "900000.00" are one), all else as text."""
    if expected is None or found is None:
        return expected is None and found in {None, ""}
    one, other = str(expected), str(found)
    try:
        return Decimal(one) == Decimal(other)
    except InvalidOperation:
        return one == other


def contains(expected: str, found: str | None) -> bool:
    """Whether a text contains what is expected of it, in any case; `sku|code` expects one of the two."""
    return any(one.strip() in (found or "").casefold() for one in expected.casefold().split("|"))


def line(what: str, expected: Any, found: Any) -> str:
    """One difference."""
    return f"{what:<{_WIDTH}} expected {_shown(expected)}\n{'':<{_WIDTH}} found    {_shown(found)}"


def _shown(value: Any) -> str:
    if value is None or value in ({}, [], ""):
        return NOTHING
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {inner}" for name, inner in value.items())
    return str(value)


def _linked(rows: Iterable[Json]) -> dict[str, str]:
    return {row["hub_id"]: shop_name(row["remote_id"]) for row in rows if row["status"] in {"auto", "confirmed"}}


def links(expected: Mapping[str, str], rows: list[Json]) -> list[str]:
    """All links; of a wrong one the line says how it was made."""
    wanted = {hub_id(left): normal(right) for left, right in expected.items()}
    found = _linked(rows)
    how = {row["hub_id"]: f"{row['status']} by {row['method']}, score {row['score']}" for row in rows}
    return [
        line(
            f"link of {left}",
            wanted.get(left),
            f"{found[left]} ({how[left]})" if left in found else _suggested(left, rows),
        )
        for left in sorted({*wanted, *found})
        if wanted.get(left) != found.get(left)
    ]


def _suggested(left: str, rows: list[Json]) -> str:
    seen = [
        f"{shop_name(row['remote_id'])} for review ({row.get('reason')})"
        for row in rows
        if row["hub_id"] == left and row["status"] == "review"
    ]
    return "; ".join(seen)


def reviews(expected: Mapping[str, Mapping[str, str]], rows: list[Json]) -> list[str]:
    """The expected suggestions with their reasons; none at all where none is expected."""
    found = {
        (row["hub_id"], shop_name(row["remote_id"])): row.get("reason") for row in rows if row["status"] == "review"
    }
    if not expected:
        return [line(f"review of {left}", None, f"{right} ({reason})") for (left, right), reason in found.items()]
    lines: list[str] = []
    for left, partners in expected.items():
        for right, reason in partners.items():
            pair = hub_id(left), normal(right)
            if pair not in found:
                partner = _linked(rows).get(pair[0])
                lines.append(line(f"review of {left}", f"{right} ({reason})", partner and f"a link to {partner}"))
            elif not contains(reason, found[pair]):
                lines.append(line(f"reason of {left}-{right}", f"… {reason} …", found[pair]))
    return lines


def writes(expected: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    """Every write that the shop accepted: nothing else may have been written."""
    wanted = {
        normal(record): {name: value if isinstance(value, list) else [value] for name, value in fields.items()}
        for record, fields in expected.items()
    }
    wrong: list[tuple[str, str, str, str]] = []
    for record in sorted({*wanted, *found}, key=_by_number):
        fields, real = wanted.get(record, {}), found.get(record, {})
        for name in sorted({*fields, *real}):
            one, other = fields.get(name, []), real.get(name, [])
            if len(one) != len(other) or not all(same(a, b) for a, b in zip(one, other, strict=True)):
                wrong.append((record, name, " then ".join(map(str, one)), " then ".join(other)))
    return _together("{name} written to {records}", wrong)


def _by_number(record: str) -> tuple[int, str]:
    number, _, rest = record.partition("/")
    return int(number), rest


def _together(what: str, wrong: Iterable[tuple[str, str, str, str]]) -> list[str]:
    """Differences of (record, field, expected, found): records with the same difference share a line."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for record, name, expected, found in wrong:
        groups.setdefault((name, expected, found), []).append(record)
    lines: list[str] = []
    for (name, expected, found), records in groups.items():
        more = f" and {len(records) - _NAMED} more" if len(records) > _NAMED else ""
        lines.append(line(what.format(name=name, records=", ".join(records[:_NAMED]) + more), expected, found))
    return lines


def waits(seconds: float, calls: list[Json]) -> list[str]:
    """Calls that came too soon after one that was told to wait."""
    lines: list[str] = []
    for first, second in pairwise(calls):
        pause = round(second["time"] - first["time"], 2)
        if "429" in first["faults"] and pause < seconds:
            lines.append(line(f"pause after call {first['seq']}", f"{seconds} s or more", f"{pause} s"))
    return lines


def holds(expected: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Values in the shop after the step."""
    wrong: list[tuple[str, str, str, str]] = []
    for record, fields in expected.items():
        for name, value in fields.items():
            real = found.get(normal(record), {}).get(name, "no such record")
            if not same(value, real):
                wrong.append((record, name, str(value), real))
    return _together("{name} in the shop of {records}", wrong)


def job(name: str, expected: str | JobExpectation, found: Json | None) -> list[str]:
    """How a job ended, with its error's whole message."""
    if isinstance(expected, str):
        outcome, _, code = expected.partition(" ")
        expected = JobExpectation(outcome=outcome, error=code or None)
    if found is None:
        return [line(f"job {name}", expected.outcome or "some end", "it did not run")]
    error = found["error"] or {}
    said = f"{found['outcome']} {error.get('code', '')}".strip()
    told = f"{said}: {error['message']}" if error else said
    lines: list[str] = []
    if (expected.outcome is not None and expected.outcome != found["outcome"]) or (
        expected.error is not None and expected.error not in {error.get("code"), error.get("category")}
    ):
        lines.append(line(f"job {name}", f"{expected.outcome} {expected.error or ''}".strip(), told))
    if expected.message is not None and not contains(expected.message, error.get("message")):
        lines.append(line(f"message of {name}", f"… {expected.message} …", error.get("message")))
    for part, wanted in (("counters", expected.counters), ("metadata", expected.metadata)):
        for key, value in wanted.items():
            if not same(value, found[part].get(key)):
                lines.append(line(f"{name} {part} {key}", value, found[part].get(key)))
    return lines


def items(expect: Expect, found: list[Json]) -> list[str]:
    """Held items (all of them, where the step names any) and what else is said of items."""
    by_id = {item["item"]: item for item in found}
    lines: list[str] = []
    if expect.held is not None:
        held = {name: item.get("held") for name, item in by_id.items() if item.get("held")}
        wanted = {hub_id(name): reason for name, reason in expect.held.items()}
        for name in sorted({*wanted, *held}):
            if name not in wanted or not contains(wanted[name], held.get(name) if name in held else None):
                lines.append(line(f"held {name}", wanted.get(name), held.get(name)))
            elif name not in held:
                lines.append(line(f"held {name}", wanted[name] or "held", None))
    for name, wanted_item in expect.items.items():
        lines += _item(name, wanted_item, by_id.get(hub_id(name)))
    return lines


def _item(name: str, expected: ItemExpectation, found: Json | None) -> list[str]:
    if found is None:
        return [line(f"item {name}", expected.action or "told", None)]
    error = found["error"] or {}
    lines: list[str] = []
    if expected.action is not None and expected.action != found["action"]:
        lines.append(line(f"item {name}", expected.action, f"{found['action']} ({error.get('message')})"))
    if expected.error is not None and expected.error not in {error.get("code"), error.get("category")}:
        lines.append(line(f"item {name}", expected.error, f"{error.get('code')}: {error.get('message')}"))
    if expected.message is not None and not contains(expected.message, error.get("message")):
        lines.append(line(f"message of item {name}", f"… {expected.message} …", error.get("message")))
    if expected.held is not None and not contains(expected.held, found.get("held")):
        lines.append(line(f"item {name} held", f"… {expected.held} …", found.get("held")))
    about = found.get("about") or {}
    lines += [
        line(f"item {name} {key}", f"… {text} …", about.get(key))
        for key, text in expected.about.items()
        if not contains(text, about.get(key))
    ]
    if expected.changes is not None:
        changes = {field_name(one["name"]): [one["before"], one["after"]] for one in found["changes"]}
        lines += [
            line(f"item {name} {field}", before_after, changes.get(field))
            for field, before_after in expected.changes.items()
            if field not in changes or not all(same(a, b) for a, b in zip(before_after, changes[field], strict=True))
        ]
    return lines
