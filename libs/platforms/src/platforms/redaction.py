"""Removes secrets from whatever is logged, stored or put into an error.

Two nets: by name (headers and JSON or form fields that carry tokens on any platform), and by value
(the credentials of the connection at hand, wherever they turn up).
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

MASK: Final = "***"

# Compared without case, hyphens and underscores, so accessToken, access_token and Access-Token are one.
_SECRET_NAMES: Final = (
    "access[-_]?token",
    "refresh[-_]?token",
    "x[-_]shopify[-_]access[-_]token",
    "x[-_]tts[-_]access[-_]token",
    "access[-_]?code",
    "auth[-_]?code",
    "secret[-_]?key",
    "partner[-_]?key",
    "api[-_]?key",
    "(?:app|client)[-_]?secret",
    "webhooks?[-_]?verify[-_]?token",
    "password",
    "authorization",
    "proxy[-_]authorization",
    "(?:set[-_])?cookie",
    "sign(?:ature)?",
)
_NAME = "|".join(_SECRET_NAMES)
_NAME_ONLY = re.compile(f"(?:{_NAME})", re.IGNORECASE)
# `"name": "value"`, also inside a string of JSON (quotes escaped) and with a bare value. It begins at a quote and not
# at the backslashes before it: a long run of those would be read again from each of them.
_JSON_FIELD = re.compile(
    rf"""(?P<head>["'](?:{_NAME})(?P<quote>\\*["'])\s*:\s*)"""
    r"""(?:(?P<open>\\*["'])(?:\\.|(?!(?P=open)).)*(?:(?P=open)|$)|[^\s,}\]]+)""",
    re.IGNORECASE | re.DOTALL,
)
_FORM_FIELD = re.compile(rf"(?P<head>(?<![A-Za-z0-9])(?:{_NAME})=)[^&\s\"']+", re.IGNORECASE)
_HEADER_LINE = re.compile(
    rf"(?P<head>(?<![A-Za-z0-9])(?:{_NAME}):[ \t]+)(?![\"'])(?:Bearer |Basic )?[^\s,;\"']+", re.IGNORECASE
)
_SHORTEST_VALUE: Final = 6  # shorter values would also match ordinary text


class Redactor:
    """Redacts by name, and by the values it was given."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= _SHORTEST_VALUE}
        longest_first = sorted({form for secret in long_enough for form in _forms(secret)}, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """`text` (a body, a URL, a message) with its secrets replaced by ***."""
        return _without_named(self._without_known(text))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers with secret ones masked and the others searched for secret values."""
        return {name: MASK if _NAME_ONLY.fullmatch(name) else self.text(value) for name, value in headers.items()}

    def bounded(self, text: str, limit: int) -> str:
        """Redacted, then cut to `limit` characters.

        Known values are taken out of all of it, so that no cut-off one slips through. Names, which take longer and
        whose cut-off values are known as such, are looked for in what can still be shown.
        """
        known = self._without_known(text)
        shown = known[: 2 * limit]
        clean = _without_named(shown)
        return clean if len(clean) <= limit and len(shown) == len(known) else clean[: limit - 1] + "…"

    def _without_known(self, text: str) -> str:
        return self._values.sub(MASK, text) if self._values else text


def _without_named(text: str) -> str:
    text = _JSON_FIELD.sub(_mask_field, text)
    text = _FORM_FIELD.sub(rf"\g<head>{MASK}", text)
    return _HEADER_LINE.sub(rf"\g<head>{MASK}", text)


def _forms(secret: str) -> set[str]:
    """How a secret may be written: as it is, in a URL, in JSON (PHP's escapes slashes), in Python's `repr`."""
    in_json = {json.dumps(secret, ensure_ascii=ascii)[1:-1] for ascii in (True, False)}
    in_php = {form.replace("/", r"\/") for form in in_json}
    in_python = {repr(secret)[1:-1], repr(secret.encode("utf-8", "replace"))[2:-1]}
    return {secret, quote(secret, safe="", errors="replace"), *in_json, *in_php, *in_python}


def _mask_field(match: re.Match[str]) -> str:
    opening = match["open"] or match["quote"]
    return f"{match['head']}{opening}{MASK}{opening}"
