"""A JSON object laid over another, and what that changes."""

import json
from typing import Any

Json = dict[str, Any]


def merged(stored: Json, given: Json) -> Json:
    """`given` over `stored`, object by object; null takes a member away (JSON Merge Patch, RFC 7396)."""
    result = dict(stored)
    for name, value in given.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            under = result.get(name)
            result[name] = merged(under if isinstance(under, dict) else {}, value)
        else:
            result[name] = value
    return result


def changes(before: Json, after: Json) -> list[str]:
    """`write.price: true → false`, a line for each value that differs."""
    old, new = _values(before), _values(after)
    return [
        f"{path}: {old.get(path, 'nothing')} → {new.get(path, 'nothing')}"
        for path in sorted(old | new)
        if old.get(path) != new.get(path)
    ]


def _values(tree: Json, above: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in tree.items():
        path = f"{above}{name}"
        found |= _values(value, f"{path}.") if isinstance(value, dict) else {path: json.dumps(value)}
    return found
