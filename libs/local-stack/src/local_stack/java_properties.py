"""Texts in the two formats of Java that Kafka reads: properties files and JAAS login modules."""

from collections.abc import Mapping

PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f"}


def properties_text(properties: Mapping[str, object]) -> str:
    """A properties file. Java reads it as Latin-1, takes backslashes for escapes and drops leading white space."""
    return "".join(f"{key}={_value(str(value))}\n" for key, value in properties.items())


def login_module(module: str, options: Mapping[str, str]) -> str:
    """A value of `sasl.jaas.config`; option values may hold any character."""
    stated = "".join(f" {name}={_quoted(value)}" for name, value in options.items())
    return f"{module} required{stated};"


def _value(text: str) -> str:
    escaped = "".join(_ESCAPES.get(letter, letter) if letter.isascii() else _utf16(letter) for letter in text)
    return f"\\{escaped}" if escaped.startswith(" ") else escaped


def _utf16(letter: str) -> str:
    units = letter.encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
