"""Accounts and their connections as values. Names: tenant (who pays), account (one merchant), platform."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from platforms.errors import InvalidAccount
from platforms.settings import AccountSettings

OK, NEEDS_AUTHORISATION = "ok", "needs re-authorisation"
"""The states of a connection that pulls and syncs note."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,128}")
_CREDENTIAL = re.compile(r"[!-~]*")  # what a header can carry: printable ASCII


@dataclass(frozen=True)
class Account:
    """One merchant's set of shop connections with its settings."""

    tenant: str
    account: str
    settings: AccountSettings


@dataclass(frozen=True)
class Connection:
    """Everything a client needs to talk to one shop. Credentials stay out of `repr`.

    base_url: https://pos.open.nhanh.vn, https://{shop}.myshopify.com or a sandbox's, without a final slash.
    status: OK, NEEDS_AUTHORISATION or another word for people; reason says why.
    """

    tenant: str
    account: str
    platform: str
    base_url: str
    credentials: Mapping[str, str] = field(repr=False)
    status: str = OK
    reason: str = ""
    updated_at: datetime | None = None


def checked_name(field_name: str, value: str) -> str:
    """`value` if it may be a tenant's or account's name (no slash: both form the topics' key)."""
    if not _NAME.fullmatch(value):
        raise InvalidAccount(field_name, "must be 1 to 128 letters, digits, dots, hyphens or underscores")
    return value


def checked_base_url(value: str) -> str:
    """`value` without a final slash if it is an http(s) address that carries neither login nor query."""
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InvalidAccount("base_url", "must be an http or https address")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidAccount("base_url", "must carry neither a login nor a query")
    return value.rstrip("/")


def checked_credentials(platform: str, needed: Iterable[str], credentials: Mapping[str, object]) -> dict[str, str]:
    """The credentials as strings, if all that are `needed` are there; further ones are kept.

    Raises InvalidAccount naming the field, never its value. Blanks around a credential are cut off; inside one they
    are a sign of text that was wrapped when it was copied.
    """
    texts = {key: str(value).strip() for key, value in credentials.items() if value is not None}
    for key, text in texts.items():
        if not _CREDENTIAL.fullmatch(text):
            raise InvalidAccount(f"credentials.{key}", "must be printable ASCII without blanks or line ends inside")
    for key in needed:
        if not texts.get(key):
            raise InvalidAccount(f"credentials.{key}", f"is needed to connect to {platform}")
    return texts
