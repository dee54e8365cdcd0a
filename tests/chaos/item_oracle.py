"""The expected sync log and the other services' dead letters, from the raw bytes of their two topics alone.

What an item says of a job does not touch the job, and what becomes of the job does not touch its items: those of a
deleted job stay as they are until retention sweeps them, and the sweep leaves alone what was deleted more than 40 days
ago. The workload deletes in its own past, so here every event id has its row.
"""

import base64
import binascii
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from tests.chaos.oracle import DeadLetterKey, Expected, LogRecord, Row, canonical, kept, moment
from tests.chaos.readable import ITEM, Json, readable, readable_letter, subject_in

LETTERS = "jobs.dead-letters"


def expect_items(log: Iterable[LogRecord]) -> Expected:
    """One row an event id: of all its copies the one with the greatest bytes, where it first lies in the log.

    A letter stands where the record that it is about lies; of several about one record the first.
    """
    found = Expected()
    copies: dict[str, list[Row]] = {}
    for record in log:
        if record.topic.endswith(LETTERS):
            _letter(found, record)
            continue
        event = readable(record.value, (ITEM,), record.appended_ms)
        if event is None:
            found.bury(record)
        else:
            copies.setdefault(event["id"], []).append(_row(record, event))
    for event_id, rows in copies.items():
        greatest = max(row["body"].encode() for row in rows)
        same = [row for row in rows if row["body"].encode() == greatest]
        found.rows[event_id] = min(same, key=lambda row: (row["topic"], row["partition"], row["offset"]))
    return found


def _letter(found: Expected, record: LogRecord) -> None:
    letter = readable_letter(record.value)
    if letter is None:
        return found.bury(record)
    data = letter["data"]
    key, value = data.get("key"), data.get("value")
    raw = value.encode() if value is not None else None
    if raw is not None and data.get("encoding") == "base64":
        with suppress(binascii.Error):  # else it is kept as it came
            raw = base64.b64decode(raw, validate=True)
    row = kept(key.encode() if key is not None else None, raw)
    row["value_bytes"] = max(row["value_bytes"], data.get("value_bytes", 0))
    row |= {"appended_at": record.appended_at, "job_id": letter.get("subject") or subject_in(raw)}
    key = DeadLetterKey(data["topic"], data["partition"], data["offset"], data["consumer"])
    if key not in found.dead or found.dead[key]["appended_at"] < row["appended_at"]:
        found.dead[key] = row
    return None


def _row(record: LogRecord, event: Json) -> Row:
    data = event["data"]
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "appended_at": record.appended_at,
        "job_id": event["subject"],
        "at": moment(event["time"]),
        "tenant": event["tenant"],
        "account": data["job"]["account"],
        "job_type": data["job"]["type"],
        "attempt": data["attempt"],
        "item": data["item"],
        "action": data["action"],
        "response_ms": data.get("response_ms"),
        "worker": data.get("worker", ""),
        "error_category": (data.get("error") or {}).get("category"),
        "body": _body(event),
    }


def _body(event: Json) -> str:
    """The whole event without what the contract does not name; of the data every field, of the rest what is there."""
    data, error = event["data"], event["data"].get("error")
    job = {name: data["job"].get(name) for name in ("type", "account", "batch", "about")}
    whole = {
        "type": ITEM,
        **{name: event[name] for name in ("specversion", "id", "source", "subject", "tenant", "correlationid")},
        # In the zone that it was said in; a whole second without a fraction.
        "time": datetime.fromisoformat(event["time"]).isoformat().replace("+00:00", "Z"),
        "causationid": event.get("causationid"),
        "traceparent": event.get("traceparent"),
        "data": {
            "job": {name: value for name, value in job.items() if value is not None},
            "attempt": data["attempt"],
            "item": data["item"],
            "action": data["action"],
            "ids": data.get("ids", {}),
            "response_ms": data.get("response_ms"),
            "worker": data.get("worker", ""),
            "error": {name: error[name] for name in ("category", "code", "message")} if error else None,
            "changes": [
                {name: change.get(name) for name in ("name", "before", "after")} for change in data.get("changes", [])
            ],
        },
    }
    return canonical({name: value for name, value in whole.items() if value is not None})
