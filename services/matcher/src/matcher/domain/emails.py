"""E-mail addresses as keys of a person."""

import re
import unicodedata

from platforms.placeholders import is_placeholder_email

_SHAPE = re.compile(r"^[^@\s]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z]{2,63}$")
_GMAIL = frozenset({"gmail.com", "googlemail.com"})
_SHOPS = frozenset({"admin", "info", "contact", "sales", "support", "shop", "store", "order", "orders", "example"})
"""Local parts that stand for a shop; shops type their own address to fill the field."""
_NOWHERE = frozenset({"example.com", "example.org", "test.com", "email.com", "mail.com", "noemail.com", "abc.com"})


def email_key(text: str | None) -> str | None:
    """An address as it compares: lower case, Gmail's dots and anybody's +tag left out.

    None for what is no address, and for a shop's or nobody's own.
    """
    clean = unicodedata.normalize("NFKC", text or "").strip().strip("<>\"'").removeprefix("mailto:").lower()
    if not _SHAPE.match(clean):
        return None
    local, _, domain = clean.rpartition("@")
    local = local.split("+", 1)[0]
    if domain in _GMAIL:
        local, domain = local.replace(".", ""), "gmail.com"
    if not local or local in _SHOPS or is_placeholder_email(clean) or domain in _NOWHERE:
        return None
    return f"{local}@{domain}"
