"""Text from outside: in JSON values, and safe for a terminal."""

from collections.abc import Callable
from typing import Any

# C0 and C1, bidirectional controls, and lone surrogates, which no encoding has.
_RANGES = (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in _RANGES if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """The text without control characters, which could control a terminal."""
    return text.translate(_CONTROLS)


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The value with `change` applied to every string, keys included."""
    match value:
        case str():
            return change(value)
        case dict():
            return {with_texts(name, change): with_texts(part, change) for name, part in value.items()}
        case list():
            return [with_texts(part, change) for part in value]
        case _:
            return value
