"""Texts that others wrote: within a value of JSON's types, and as a terminal may show them."""

from collections.abc import Callable
from typing import Any

_CONTROLS = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


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
