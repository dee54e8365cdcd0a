"""Passwords of any kind in Java's formats, read back by a reader of those formats."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.java_properties import PLAIN, login_module, properties_text


def read_properties(text: str) -> dict[str, str]:
    """As java.util.Properties reads a file of one line a property."""
    found: dict[str, str] = {}
    for line in text.encode("latin-1").decode("latin-1").split("\n")[:-1]:
        name, _, value = line.partition("=")
        value = value.lstrip(" \t\f")
        units = re.sub(r"\\(?:u([0-9a-f]{4})|(.))", _unit, value)
        found[name] = units.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    return found


def _unit(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}.get(match[2], match[2])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_any_text_survives_a_properties_file(text: str) -> None:
    assert read_properties(properties_text({"a.b": text})) == {"a.b": text}


@pytest.mark.parametrize("text", ["plain", 'a"b', "a\\b", 'a\\"b', "a b;", "ö😀", "a\nb", "{}=,"])
def test_any_text_survives_a_login_module(text: str) -> None:
    """As Java's tokenizer reads a quoted word: a backslash takes the next character literally, n and r apart."""
    stated = login_module(PLAIN, {"username": "lan", "password": text})
    match = re.fullmatch(rf'{PLAIN} required username="lan" password="((?:[^"\\\n]|\\.)*)";', stated)
    assert match is not None
    assert re.sub(r"\\(.)", lambda escape: {"n": "\n", "r": "\r"}.get(escape[1], escape[1]), match[1]) == text
