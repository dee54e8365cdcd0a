"""CUSTOMER_SYNC: Nhanh's name, phone and e-mail by customerUpdate, its totals as metafields."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from platforms.settings import AccountSettings
from platforms.shopify.client import ShopifyClient
from syncer.domain import customers, fields
from syncer.domain.customers import Contacts
from syncer.domain.plan import Change
from syncer.jobs.side import MappedTarget, Pair, Read, Writing, about, outcomes, stale_problem
from syncer.store import rows
from syncer.store.plans import FieldOutcome, Intended
from syncer.store.rows import Holders, Kind, Row, Scope

METAFIELDS = 25  # Shopify's limit a call
_ON_NHANH = ErrorInfo("NOT_FOUND", "NOT_IN_CATALOGUE", "the mapped customer is no longer in Nhanh's catalogue")


class CustomerTarget(MappedTarget):
    """Contact fields and totals of mapped customers."""

    kind: Kind = "customer"
    batch_size = 25

    def __init__(self) -> None:
        self._settings = AccountSettings()
        self._just_read: dict[str, Read] = {}

    def prepare(self, client: ShopifyClient, settings: AccountSettings, pool: ConnectionPool, scope: Scope) -> None:
        self._settings = settings

    def check_writable(self) -> None:
        """Contact fields mean the same in every shop."""

    def pairs(self, conn: Connection, scope: Scope, found: list[Row]) -> list[Pair]:
        phones = sorted({number for row in found for number in row["phones"] or ()})
        emails: list[str] = []
        if self._settings.write.customer_email:
            emails = sorted({mail for row in found if (mail := customers.email(row["email"])) is not None})
        holders = rows.contact_holders(conn, scope, phones, emails)
        return [self._pair(row, holders) for row in found]

    def _pair(self, row: Row, holders: Mapping[str, Holders]) -> Pair:
        hub_id, remote_id, write = row["hub_id"], row["remote_id"], self._settings.write
        shown = about(row["method"])
        problem = stale_problem(row) if row["on_nhanh"] else _ON_NHANH
        if problem is not None:
            return Pair(hub_id, remote_id, problem=problem, skipped=True, about=shown)
        wanted: dict[str, str] = {}
        if write.customer:
            hub = Contacts(row["name"], row["phones"] or (), row["email"])
            # Phones and e-mails are unique in a shop: one that others have too would be refused, every time.
            taken = {one for one in hub.unique() if one in holders and holders[one].are_others_than(remote_id)}
            wanted |= customers.contact_fields(hub, self._held(row), taken, with_email=write.customer_email)
        if write.metafields:
            wanted |= customers.metafields(hub_id, row["totals"] or {})
        believed: dict[str, str | None] = {}
        if row["on_shopify"]:
            believed = {
                fields.NAME: row["shop_name"],
                fields.PHONE: row["shop_phone"],
                fields.EMAIL: row["shop_email"],
            }
        return Pair(
            hub_id, remote_id, wanted, believed, row["pulled_at"], rows.last_written_of_row(row), about=shown
        )

    def _held(self, row: Row) -> Contacts:
        """What the shop's customer holds: as of the last pull, and where it has changed since, as just read.

        The pull shows an address's number of a customer without one, and may join a name in another order; neither
        is a change.
        """
        name, phone = row["shop_name"], row["shop_phone"]
        read = self._just_read.get(row["remote_id"])
        if read is not None:
            now = read.fields.get(fields.NAME)
            name = name if fields.key_of(fields.NAME, now) == fields.key_of(fields.NAME, name) else now
            phone = read.fields.get(fields.PHONE) or phone
        return Contacts(name, () if phone is None else (phone,))

    def note(self, changes: Sequence[Change]) -> str | None:
        return customers.person_note(changes)

    def read(self, client: ShopifyClient, remote_ids: Sequence[str]) -> dict[str, Read]:
        found = client.customers_by_ids(remote_ids, namespace=fields.METAFIELDS)
        self._just_read = {str(customer["id"]): Read(_present(customer), {}) for customer in found}
        return self._just_read

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
            result = writing.client.update_customer({"id": item.remote_id, **_input(changes)})
            yield from outcomes(item.remote_id, changes, result.error, writing.log.last_ms)


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
                "ownerId": item.remote_id,
                "namespace": fields.METAFIELDS,
                "key": key,
                "type": customers.METAFIELD_TYPES[key],
                "value": change.after,
            }
            for item, change, key in part
        ]
        results = writing.client.set_metafields(inputs)
        for (item, change, _), result in zip(part, results, strict=True):
            yield from outcomes(item.remote_id, [change], result.error, writing.log.last_ms)
