"""Removes secrets from whatever is logged, stored or put into an error.

Two nets: by name (headers and JSON or form fields that carry tokens on any platform), and by value
(the credentials of the connection at hand, wherever they turn up).
"""

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
# `"name": "value"`, also inside a string of JSON (quotes escaped) and with a bare value.
_JSON_FIELD = re.compile(
    rf"""(?P<head>(?P<quote>\\*["'])(?:{_NAME})(?P=quote)\s*:\s*)"""
    r"""(?:(?P<open>\\*["'])(?:\\.|(?!(?P=open)).)*(?:(?P=open)|$)|[^\s,}\]]+)""",
    re.IGNORECASE | re.DOTALL,
)
_FORM_FIELD = re.compile(rf"(?P<head>(?<![A-Za-z0-9])(?:{_NAME})=)[^&\s\"']+", re.IGNORECASE)
_HEADER_LINE = re.compile(
    rf"(?P<head>(?<![A-Za-z0-9])(?:{_NAME}):[ \t]+)(?![\"'])(?:Bearer |Basic )?[^\s,;\"']+", re.IGNORECASE
)
_SHORTEST_VALUE: Final = 6  # shorter values would tear holes into innocent text


class Redactor:
    """Redacts by name, and by the values it was given."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= _SHORTEST_VALUE}
        forms = long_enough | {quote(secret, safe="") for secret in long_enough}
        longest_first = sorted(forms, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        """`text` (a body, a URL, a message) with its secrets replaced by ***."""
        if self._values:
            text = self._values.sub(MASK, text)
        text = _JSON_FIELD.sub(_mask_field, text)
        text = _FORM_FIELD.sub(rf"\g<head>{MASK}", text)
        return _HEADER_LINE.sub(rf"\g<head>{MASK}", text)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers with secret ones masked and the others searched for secret values."""
        return {name: MASK if _NAME_ONLY.fullmatch(name) else self.text(value) for name, value in headers.items()}

    def bounded(self, text: str, limit: int) -> str:
        """Redacted first, so that no cut-off secret slips through, then cut to `limit` characters."""
        clean = self.text(text)
        return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _mask_field(match: re.Match[str]) -> str:
    opening = match["open"] or match["quote"]
    return f"{match['head']}{opening}{MASK}{opening}"
