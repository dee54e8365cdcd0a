"""Texts that others wrote: within a value of JSON's types, and as a terminal may show them."""

from collections.abc import Callable
from typing import Any

# C0 and C1, what turns the direction of writing, and halves of surrogate pairs, which no terminal's encoding has.
_RANGES = (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in _RANGES if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """The same text without control characters: printed, what others wrote could steer people's terminals."""
    return text.translate(_CONTROLS)


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with every text changed, those that name members too."""
    match value:
        case str():
            return change(value)
        case dict():
            return {with_texts(name, change): with_texts(part, change) for name, part in value.items()}
        case list():
            return [with_texts(part, change) for part in value]
        case _:
            return value
