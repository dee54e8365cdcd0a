"""Texts within a value of JSON's types."""

from collections.abc import Callable
from typing import Any


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
