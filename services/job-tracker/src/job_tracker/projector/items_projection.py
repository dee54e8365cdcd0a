"""The projection `items`: the sync log, and the dead letters of other services.

It has a consumer group of its own, so that many items do not delay jobs.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import LiteralString, NamedTuple

from msgspec import UNSET

from job_events.envelope import canonical, decode, job_id_in, read_dead_letter
from job_events.errors import InvalidEvent
from job_events.events import ItemRecorded
from job_events.topics import Topics
from job_tracker.log.records import Record
from job_tracker.projector.batch import DeadLetterRow
from job_tracker.store.binary_copy import EncodedRows, column_list, copy_rows, type_oids
from job_tracker.store.postgres import Cursor
from service_kit.sql_files import queries

# Bytes: the longest name of a topic in Kafka, and what fits into the index of the table's key.
_LONGEST_TOPIC, _LONGEST_CONSUMER = 249, 255
_LAST_PARTITION = 2**31 - 1  # the greatest int4, in Kafka and in the table


class ItemRow(NamedTuple):
    """One row of `item`. `body` is the canonical JSON of the event; of copies the one with the greater body stays."""

    event_id: str
    topic: str
    partition: int
    offset: int
    appended_at: object
    job_id: str
    at: object
    tenant: str
    account: str
    job_type: str
    attempt: int
    item: str
    action: str
    response_ms: int | None
    worker: str
    error_category: str | None
    body: str

    def beats(self, other: "ItemRow") -> bool:
        mine, theirs = self.body.encode(), other.body.encode()
        place, their_place = (self.topic, self.partition, self.offset), (other.topic, other.partition, other.offset)
        return mine > theirs or (mine == theirs and place < their_place)


# The columns of an item in the order of ItemRow, with their PostgreSQL types.
_ITEM: dict[LiteralString, str] = {
    **{"event_id": "text", "topic": "text", "partition": "int4", "offset": "int8", "appended_at": "timestamptz"},
    **{"job_id": "text", "at": "timestamptz", "tenant": "text", "account": "text", "job_type": "text"},
    **{"attempt": "int4", "item": "text", "action": "text", "response_ms": "int8", "worker": "text"},
    **{"error_category": "text", "body": "text"},
}
_ITEM_TYPES = type_oids(_ITEM.values())
_replaced: list[LiteralString] = [f'"{column}" = excluded."{column}"' for column in list(_ITEM)[1:]]
_SQL = dict(queries("job_tracker.store", "items.sql"))
_SQL["stage_items"] = _SQL["stage_items"].format(columns=column_list(_ITEM))
_SQL["merge_items"] = _SQL["merge_items"].format(columns=column_list(_ITEM), replacements=", ".join(_replaced))


@dataclass(slots=True)
class ItemsContent:
    """The items of a batch by event id, until `pack` encodes them as rows."""

    items: dict[str, ItemRow] = field(default_factory=dict)
    rows: EncodedRows = field(default_factory=lambda: EncodedRows(_ITEM_TYPES))


class ItemsProjection:
    """Maintains `item`, and in `dead_letter` the rows of other services."""

    remedy = "`jobtrail rebuild --items` brings table and log together again, `jobtrail skip-gap` goes on behind it"
    session: LiteralString = _SQL["stage_items"]

    def __init__(self, topics: Topics, name: str = "tracker-items") -> None:
        self._items, self._dead_letters = topics.items, topics.dead_letters
        self._name = topics.prefix + name

    @property
    def name(self) -> str:
        return self._name

    @property
    def topics(self) -> list[str]:
        return [self._items, self._dead_letters]

    def begin(self) -> ItemsContent:
        return ItemsContent()

    def add(self, content: ItemsContent, records: Sequence[Record]) -> list[DeadLetterRow]:
        dead: list[DeadLetterRow] = []
        items = content.items
        for record in records:
            try:
                if record.topic == self._dead_letters:
                    dead.append(_dead_letter(record))
                    continue
                row = _item(record)
            except InvalidEvent as error:
                dead.append(DeadLetterRow.of(record, error))
                continue
            held = items.get(row.event_id)
            if held is None or row.beats(held):
                items[row.event_id] = row
        return dead

    def pack(self, content: ItemsContent) -> None:
        for event_id in sorted(content.items):
            content.rows.add(content.items[event_id])
        content.items.clear()

    def write(self, cursor: Cursor, content: ItemsContent) -> int:
        if not content.rows.data:
            return 0
        copy_rows(cursor, _SQL["copy_items"], [content.rows])
        return self.merge(cursor)

    def merge(self, cursor: Cursor) -> int:
        """Merge the staged rows into the table."""
        return cursor.execute(_SQL["merge_items"]).rowcount


def _item(record: Record) -> ItemRow:
    event = decode(record.value, record.appended_at)
    if not isinstance(event, ItemRecorded):
        raise InvalidEvent(f"{event.__struct_config__.tag} does not belong on this topic", event.job_id)
    try:
        body = canonical(event)
    except (ValueError, OverflowError, RecursionError, TypeError) as error:
        raise InvalidEvent(f"holds a value that JSON cannot carry back: {error}", event.job_id) from None
    data = event.data
    return ItemRow(
        *(event.id, record.topic, record.partition, record.offset, record.appended_at),
        *(event.job_id, event.time, event.tenant, data.job.account, data.job.type),
        *(data.attempt, data.item, data.action, data.response_ms, data.worker),
        data.error.category if data.error else None,
        body,
    )


def _dead_letter(record: Record) -> DeadLetterRow:
    """The dead letter that another service has sent, stored at the position of the record that it refused.

    One that does not fit into the table is a dead letter itself: a row that PostgreSQL refuses would stop all.
    """
    dead_letter = read_dead_letter(record.value)
    data = dead_letter.data
    fits = len(data.topic.encode()) <= _LONGEST_TOPIC and len(data.consumer.encode()) <= _LONGEST_CONSUMER
    if not fits or data.partition > _LAST_PARTITION or "\0" in data.topic + data.consumer:
        raise InvalidEvent(
            f"names no place that a record could have: {data.topic!r}[{data.partition}]", dead_letter.subject
        )
    refused = record._replace(
        topic=data.topic,
        partition=data.partition,
        offset=data.offset,
        key=data.key.encode() if data.key is not None else None,
        value=_bytes(data.value, data.encoding),
    )
    job_id = dead_letter.subject or job_id_in(refused.value)
    size = None if data.value_bytes is UNSET else data.value_bytes
    return DeadLetterRow(refused, data.reason, job_id, data.consumer, size)


def _bytes(text: str | None, encoding: str) -> bytes | None:
    if text is None or encoding != "base64":
        return text.encode() if text is not None else None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
