"""Writes the language-neutral contract from the Python types: one JSON Schema a message, and asyncapi.yaml.

Run by `make schemas`; a test fails when the files and the types differ. Schemas are draft-07, the
newest draft that AsyncAPI 3.1 demands of every tool, and closed: a field that is not in them is a
mistake of the writer, though readers ignore what they do not know.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import yaml

from job_events.events import EVENT_TYPES, DeadLetter
from job_events.topics import SERVICES, Topics

MESSAGES: dict[str, type] = {**EVENT_TYPES, "job.dead-letter.v1": DeadLetter}
CONTROL = ["job.cancel.v1", "job.pause.v1", "job.resume.v1"]
LIFECYCLE = ["job.started.v1", "job.progress.v1", "job.finished.v1", "job.deleted.v1"]
SUMMARIES = {
    "job.requested.v1": "A job was accepted",
    "job.started.v1": "An attempt at a job begins",
    "job.progress.v1": "Where a running job is; also its sign of life",
    "job.finished.v1": "A job has ended for good",
    "job.deleted.v1": "A finished job leaves the table for good",
    "job.cancel.v1": "End a job, an account's jobs or a queue's jobs",
    "job.pause.v1": "Hold a job, an account or a queue",
    "job.resume.v1": "Let go what was held",
    "item.recorded.v1": "What happened to one item of a job",
    "job.dead-letter.v1": "A message that a consumer could not use",
}


def json_schema(name: str) -> dict[str, Any]:
    """The closed draft-07 schema of a message."""
    _, components = msgspec.json.schema_components([MESSAGES[name]], ref_template="#/definitions/{name}")
    root = components.pop(MESSAGES[name].__name__)
    for part in (root, *components.values()):
        if "properties" in part:
            part["additionalProperties"] = False
    root["title"] = name
    root["description"] = SUMMARIES[name]
    definitions = {"definitions": components} if components else {}
    return {"$schema": "http://json-schema.org/draft-07/schema#", **root, **definitions}


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.1 document of the whole system: topics, keys, messages, who writes and who reads."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    topics = Topics()
    for spec in topics.specs():
        config = spec.config()
        channels[_id(spec.name)] = {
            "address": spec.name,
            "messages": {_id(message): {"$ref": f"#/components/messages/{_id(message)}"} for message in _on(spec.name)},
            "bindings": {
                "kafka": {
                    "topic": spec.name,
                    "partitions": spec.partitions,
                    "topicConfiguration": {
                        "cleanup.policy": [config["cleanup.policy"]],
                        "retention.ms": int(config["retention.ms"]),
                        "max.message.bytes": int(config["max.message.bytes"]),
                    },
                }
            },
        }
        for action, who in (("send", _writers(spec.name)), ("receive", _readers(spec.name))):
            for service in who:
                operations[f"{service}-{action}-{_id(spec.name)}"] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{_id(spec.name)}"},
                    "title": f"{service} {'writes' if action == 'send' else 'reads'} {spec.name}",
                }
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "Jobtrail",
            "version": "1.0.0",
            "description": "Long jobs between Nhanh.vn and the shops, as events. Structured CloudEvents 1.0.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": {_id(name): _message(name) for name in MESSAGES}},
    }


def render() -> dict[str, str]:
    """Every generated file: name → text."""
    files = {f"{name}.json": json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n" for name in MESSAGES}
    files["asyncapi.yaml"] = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=120)
    return files


def _message(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": SUMMARIES[name],
        "contentType": "application/cloudevents+json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-07",
            "schema": {"$ref": f"./{name}.json"},
        },
    }


def _on(topic: str) -> list[str]:
    if topic.startswith("jobs.requests."):
        return ["job.requested.v1", *CONTROL]
    return {
        "jobs.events": LIFECYCLE,
        "jobs.items": ["item.recorded.v1"],
        "jobs.dead-letters": ["job.dead-letter.v1"],
    }.get(topic, [])


def _writers(topic: str) -> list[str]:
    if topic.startswith("jobs.requests."):
        return ["job-tracker", topic.rpartition(".")[2]]
    return {
        "jobs.events": [*SERVICES, "job-tracker"],
        "matcher.chunks": ["matcher"],
    }.get(topic, list(SERVICES))


def _readers(topic: str) -> list[str]:
    if topic.startswith("jobs.requests."):
        return [topic.rpartition(".")[2], "job-tracker"]
    return {
        "jobs.events": ["job-tracker", *SERVICES],
        "matcher.chunks": ["matcher"],
    }.get(topic, ["job-tracker"])


def _id(name: str) -> str:
    return name.replace(".", "-")


if __name__ == "__main__":
    folder = Path(__file__).parent
    for file_name, text in render().items():
        (folder / file_name).write_text(text, "utf-8")
        sys.stdout.write(f"wrote schemas/{file_name}\n")
