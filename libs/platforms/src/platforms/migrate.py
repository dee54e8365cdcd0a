"""Brings the schema `accounts` to its newest version from the plain SQL files in `migrations/`."""

from service_kit import database

SCHEMA = "accounts"


def migrate(database_url: str) -> None:
    """Apply what is missing. Safe to call from many processes at once: one works, the others wait for it."""
    database.migrate(database_url, SCHEMA, ["platforms"])
