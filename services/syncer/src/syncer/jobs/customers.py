"""CUSTOMER_SYNC: Nhanh's name, phone and e-mail by customerUpdate, its totals as metafields."""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import Connection

from job_events.events import ErrorInfo
from platforms.settings import AccountSettings
from platforms.shopify.client import ShopifyClient
from syncer.domain import customers, fields
from syncer.domain.plan import Change
from syncer.jobs.side import MappedSide, Pair, Read, Writing, outcomes
from syncer.store import rows
from syncer.store.plans import FieldOutcome, Intended
from syncer.store.rows import Kind, Row, Scope

METAFIELDS = 25  # Shopify's limit a call
_ON_NHANH = ErrorInfo("NOT_FOUND", "NOT_IN_CATALOGUE", "the mapped customer is no longer in Nhanh's catalogue")


class CustomerSide(MappedSide):
    """Contact fields and totals of mapped customers."""

    kind: Kind = "customer"
    batch_size = 25

    def __init__(self) -> None:
        self._settings = AccountSettings()

    def prepare(self, client: ShopifyClient, settings: AccountSettings) -> None:
        self._settings = settings

    def pairs(self, conn: Connection, scope: Scope, found: list[Row]) -> list[Pair]:
        phones = sorted({number for row in found for number in row["phones"] or ()})
        emails = sorted({mail for row in found if (mail := customers.email(row["email"])) is not None})
        holders = rows.contact_holders(conn, scope, phones, emails)
        return [self._pair(row, holders) for row in found]

    def _pair(self, row: Row, holders: dict[str, set[str | None]]) -> Pair:
        nhanh_id, shopify_id, write = row["nhanh_id"], row["shopify_id"], self._settings.write
        if not row["on_nhanh"]:
            return Pair(nhanh_id, shopify_id, problem=_ON_NHANH, skipped=True)
        wanted: dict[str, str] = {}
        if write.customer:
            # Phones and e-mails are unique in a shop: one that others have too would be refused, every time.
            shared = {contact for contact, who in holders.items() if who - {shopify_id}}
            wanted |= customers.contact_fields(row["name"], row["phones"] or (), row["email"], shared)
        if write.metafields:
            wanted |= customers.metafields(nhanh_id, row["totals"] or {})
        believed: dict[str, str | None] = {}
        if row["on_shopify"]:
            believed = {
                fields.NAME: row["shop_name"],
                fields.PHONE: row["shop_phone"],
                fields.EMAIL: row["shop_email"],
            }
        return Pair(nhanh_id, shopify_id, wanted, believed, row["pulled_at"], rows.memory_of_row(row))

    def note(self, changes: Sequence[Change]) -> str | None:
        return customers.person_note(changes)

    def check_writable(self) -> None:
        """Nothing: every shop can hold customers."""

    def read(self, client: ShopifyClient, shopify_ids: Sequence[str]) -> dict[str, Read]:
        found = client.customers_by_ids(shopify_ids, namespace=fields.METAFIELDS)
        return {str(customer["id"]): Read(_present(customer), {}) for customer in found}

    def write(self, writing: Writing, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
        yield from _write_contacts(writing, items)
        yield from _write_metafields(writing, items)


def _present(customer: dict[str, Any]) -> dict[str, str | None]:
    name = " ".join(part for part in (customer["lastName"], customer["firstName"]) if part)
    present: dict[str, str | None] = {
        fields.NAME: name or None,
        fields.PHONE: (customer["defaultPhoneNumber"] or {}).get("phoneNumber"),
        fields.EMAIL: (customer["defaultEmailAddress"] or {}).get("emailAddress"),
    }
    for node in customer["metafields"]["nodes"]:
        present[fields.metafield(node["key"])] = node["value"]
    return present


def _write_contacts(writing: Writing, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
    for item in items:
        changes = [change for change in item.writes if fields.metafield_key(change.field) is None]
        if changes:
            result = writing.client.update_customer({"id": item.shopify_id, **_input(changes)})
            yield from outcomes(item.shopify_id, changes, result.error, writing.log.last_ms)


def _input(changes: Sequence[Change]) -> dict[str, str | None]:
    """The fields as Shopify takes them; an empty value, which only a revert has, clears the field."""
    values: dict[str, str | None] = {change.field: change.after or None for change in changes}
    if fields.NAME in values:
        values["firstName"], values["lastName"] = customers.split_name(values.pop(fields.NAME) or "")
    return values


def _write_metafields(writing: Writing, items: Sequence[Intended]) -> Iterable[FieldOutcome]:
    named = [
        (item, change, key)
        for item in items
        for change in item.writes
        if (key := fields.metafield_key(change.field)) is not None
    ]
    for start in range(0, len(named), METAFIELDS):
        part = named[start : start + METAFIELDS]
        inputs = [
            {
                "ownerId": item.shopify_id,
                "namespace": fields.METAFIELDS,
                "key": key,
                "type": customers.METAFIELD_TYPES[key],
                "value": change.after,
            }
            for item, change, key in part
        ]
        results = writing.client.set_metafields(inputs)
        for (item, change, _), result in zip(part, results, strict=True):
            yield from outcomes(item.shopify_id, [change], result.error, writing.log.last_ms)
