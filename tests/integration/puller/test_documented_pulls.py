"""The commands and records of docs/howto/catalogues.md about incremental pulls and orders, as they stand there."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "catalogues.md").read_text("utf-8")
SECTIONS = PAGE[PAGE.index("## Incremental pulls") :]


def documented_jobs() -> list[tuple[str, dict[str, Any]]]:
    """Type and parameters of each `jobtrail jobs start`."""
    words = [shlex.split(line) for line in re.findall(r"^ {4}(jobtrail jobs start .*)$", SECTIONS, re.MULTILINE)]
    return [(line[3], json.loads(line[line.index("--params") + 1])) for line in words]


def documented_records() -> list[dict[str, Any]]:
    """The order and the bill."""
    (block,) = re.findall(r"^```\n(.*?)^```", SECTIONS, re.DOTALL | re.MULTILINE)
    decoder, found = json.JSONDecoder(), []
    while block := block.strip():
        record, end = decoder.raw_decode(block)
        found.append(record)
        block = block[end:]
    return found


def test_documented_pulls_run_and_read_the_documented_records(world: Any, puller: Callable[[], Any]) -> None:
    order, bill = documented_records()
    for kind, record in (("order", order), ("bill", bill)):
        path = f"/records/{world.account}/nhanh/{kind}"
        world.sandbox.http.put(path, json=record).raise_for_status()
    jobs = documented_jobs()
    assert [job_type for job_type, _ in jobs] == ["INCREMENTAL_PULL", "PULL_NHANH_ORDERS"]
    with puller():
        for job_type, params in jobs:
            assert world.run(job_type, **params).data.outcome == "success", job_type
    rows = world.rows("select document_id, bill_ids, total::int, dated from puller.api_orders")
    assert [(row["document_id"], row["bill_ids"], row["total"]) for row in rows] == [("1", ["51"], 216_000)]
