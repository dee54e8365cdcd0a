"""CUSTOMER_SYNC: names, phones, e-mails and totals of linked customers."""

from collections.abc import Mapping, Sequence

from psycopg import Connection
from psycopg_pool import ConnectionPool

from job_events.events import ErrorInfo
from platforms import field_names
from platforms.adapter import Kind, RemoteRecord, Writer
from platforms.settings import AccountSettings
from syncer.domain import customers, fields
from syncer.domain.customers import Contacts
from syncer.domain.plan import Change
from syncer.jobs.targets import MatchedTarget, Pair, Records, about, without_values
from syncer.store import rows
from syncer.store.rows import Holders, Row, Scope

_NOT_IN_HUB = ErrorInfo("NOT_FOUND", "NOT_IN_CATALOGUE", "the mapped customer is no longer in Nhanh's catalogue")


class CustomerTarget(MatchedTarget):
    """Contact fields and totals of linked customers."""

    kind: Kind = "customer"

    def __init__(self) -> None:
        self._settings = AccountSettings()

    def prepare(self, writer: Writer, settings: AccountSettings, pool: ConnectionPool, scope: Scope) -> None:
        self._settings = settings

    def check_writable(self) -> None:
        """Contact fields mean the same in every channel."""

    def pairs(self, conn: Connection, scope: Scope, found: list[Row], read: Records) -> list[Pair]:
        phones = sorted({number for row in found for number in row["phones"] or ()})
        emails: list[str] = []
        if self._settings.write.customer_email:
            emails = sorted({mail for row in found if (mail := customers.email(row["email"])) is not None})
        holders = rows.contact_holders(conn, scope, phones, emails)
        return [self._pair(scope, row, holders, read.get(row["remote_id"])) for row in found]

    def _pair(self, scope: Scope, row: Row, holders: Mapping[str, Holders], read: RemoteRecord | None) -> Pair:
        hub_id, remote_id, write = row["hub_id"], row["remote_id"], self._settings.write
        shown = about(row["method"])
        unusable = without_values(row, scope, _NOT_IN_HUB, shown)
        if unusable is not None:
            return unusable
        wanted: dict[str, str] = {}
        if write.customer:
            hub = Contacts(row["name"], row["phones"] or (), row["email"])
            # Phones and e-mails are unique in a shop: one that others have, too, is always refused.
            taken = {one for one in hub.unique() if one in holders and holders[one].are_others_than(remote_id)}
            wanted |= customers.contact_fields(hub, _held(row, read), taken, with_email=write.customer_email)
        if write.metafields:
            wanted |= customers.metafields(hub_id, row["totals"] or {})
        believed: dict[str, str | None] = {}
        if row["on_channel"]:
            believed = {
                field_names.NAME: row["remote_name"],
                field_names.PHONE: row["remote_phone"],
                field_names.EMAIL: row["remote_email"],
            }
        return Pair(hub_id, remote_id, wanted, believed, row["pulled_at"], rows.last_written_of_row(row), about=shown)

    def note(self, changes: Sequence[Change]) -> str | None:
        return customers.person_note(changes)


def _held(row: Row, read: RemoteRecord | None) -> Contacts:
    """What the channel's customer holds: as of the last pull, and where it has changed since, as just read.

    The pull shows an address's number of a customer without one, and may join a name in another order; neither is a
    change.
    """
    name, phone = row["remote_name"], row["remote_phone"]
    if read is not None:
        now = read.fields.get(field_names.NAME)
        name = name if fields.key_of(field_names.NAME, now) == fields.key_of(field_names.NAME, name) else now
        phone = read.fields.get(field_names.PHONE) or phone
    return Contacts(name, () if phone is None else (phone,))
