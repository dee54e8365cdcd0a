"""The published schemas, the Python types and the golden events say the same."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from job_events.envelope import canonical, decode, encode, read_dead_letter
from job_events.fold import fold

SCHEMAS = Path(__file__).parents[3] / "schemas"
GOLDEN = sorted((SCHEMAS / "golden").glob("*.json"))


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", SCHEMAS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_published_files_are_those_of_the_types(generator: ModuleType) -> None:
    rendered: dict[str, str] = generator.render()
    for name, text in rendered.items():
        assert (SCHEMAS / name).read_text("utf-8") == text, f"{name} is out of step: run make schemas"
    published = {path.name for path in SCHEMAS.glob("*.json")}
    assert published == {name for name in rendered if name.endswith(".json")}


def test_every_message_has_a_golden_event(generator: ModuleType) -> None:
    covered = {json.loads(path.read_text("utf-8"))["type"] for path in GOLDEN}
    assert covered == set(generator.MESSAGES)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_event_is_valid_and_still_read(path: Path) -> None:
    raw = json.loads(path.read_text("utf-8"))
    schema = json.loads((SCHEMAS / f"{raw['type']}.json").read_text("utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(raw, schema, jsonschema.Draft7Validator)
    if raw["type"] == "job.dead-letter.v1":
        assert read_dead_letter(json.dumps(raw).encode()).data.offset == raw["data"]["offset"]
        return
    event = decode(json.dumps(raw).encode())
    # Nothing of the golden event is lost by reading and writing it again.
    again: dict[str, Any] = json.loads(encode(event))
    assert canonical(again) == canonical(raw)


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_numbers_of_the_contract_are_integers(path: Path) -> None:
    """Counts, sizes, attempts and places; a reader refuses 5.0."""

    def types(part: Any) -> set[str]:
        if isinstance(part, list):
            return {kind for one in part for kind in types(one)}
        if not isinstance(part, dict):
            return set()
        own = {part["type"]} if isinstance(part.get("type"), str) else set[str]()
        return own.union(*(types(one) for one in part.values()))

    schema = json.loads(path.read_text("utf-8"))
    assert "number" not in types(schema)
    properties = [schema, *schema.get("definitions", {}).values()]
    found = {name: types(held) for one in properties for name, held in one.get("properties", {}).items()}
    counted = {"total", "processed", "successful", "failed", "skipped", "attempt", "seq", "duration_ms", "response_ms"}
    for name in (counted | {"partition", "offset", "value_bytes"}) & found.keys():
        assert found[name] <= {"integer", "null"}, name


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_published_schema_is_closed_but_readers_are_tolerant(path: Path) -> None:
    raw = json.loads(path.read_text("utf-8"))
    schema = json.loads((SCHEMAS / f"{raw['type']}.json").read_text("utf-8"))
    raw["data"]["a_field_of_tomorrow"] = 1
    with pytest.raises(jsonschema.ValidationError, match="a_field_of_tomorrow"):
        jsonschema.validate(raw, schema, jsonschema.Draft7Validator)
    if raw["type"] != "job.dead-letter.v1":
        decode(json.dumps(raw).encode())


def test_the_current_fold_reads_every_golden_lifecycle_event() -> None:
    events = [decode(path.read_bytes()) for path in GOLDEN if path.stem.startswith("job.") and "dead" not in path.stem]
    lifecycle = [event for event in events if type(event).__name__ in {"Requested", "Started", "Progress", "Finished"}]
    (row,) = fold(lifecycle).values()  # pyright: ignore[reportArgumentType]
    assert (row.state, row.status, row.attempt) == ("finished", "FAILED", 1)
    assert row.request.priority == "high"
    (deletion,) = [event for event in events if type(event).__name__ == "Deleted"]
    (row,) = fold([*lifecycle, deletion]).values()  # pyright: ignore[reportArgumentType]
    assert (row.state, row.end) == ("deleted", None)


def test_asyncapi_document_is_valid(asyncapi_schema: dict[str, Any]) -> None:
    document = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text("utf-8"))
    jsonschema.validate(document, asyncapi_schema, jsonschema.Draft7Validator)
    for message in document["components"]["messages"].values():
        assert (SCHEMAS / message["payload"]["schema"]["$ref"]).is_file()
    del document["info"]["title"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, asyncapi_schema, jsonschema.Draft7Validator)
