"""Requests are read strictly where they enter; what is unknown or cannot be addressed is named by its path."""

import json
from typing import Any

import pytest

from job_events.envelope import decode, job_id_in
from job_events.errors import InvalidRequest
from job_events.events import JobInfo, Requested, Then
from job_events.request_checks import FILTERS, check_address, check_params, check_steps, read_steps
from job_events.strict import read_strictly

STEP = {"type": "PRODUCT_SYNC", "needs": ["AUTO_MATCH_PRODUCTS"]}


@pytest.mark.parametrize(
    ("then", "field", "reason"),
    [
        ([STEP | {"param": {}}], "then[0].param", "unknown field"),
        ([STEP, STEP | {"then": [STEP | {"then": [STEP | {"x": 1}]}]}], "then[1].then[0].then[0].x", "unknown field"),
        ([STEP | {"needs": [1]}], "then[0].needs[0]", "Expected `str`"),
        ([{"type": "A"}], "then[0]", "missing required field `needs`"),
        ([STEP | {"params": []}], "then[0].params", "Expected `object`"),
        (["A"], "then[0]", "Expected `object`"),
    ],
)
def test_a_step_with_an_unknown_or_wrong_field_is_named(then: list[Any], field: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        read_steps(then)
    assert refused.value.field == field


def test_readers_of_events_stay_tolerant() -> None:
    event = {
        "type": "job.requested.v1",
        "specversion": "1.0",
        "id": "a/0/0",
        "source": "test",
        "subject": "a",
        "time": "2026-01-01T00:00:00Z",
        "tenant": "t",
        "correlationid": "..",
        "data": {"job": {"type": "A", "account": "b", "later": 1}, "then": [STEP | {"later": {}}]},
    }
    read = decode(json.dumps(event).encode())
    assert isinstance(read, Requested) and read.data.then == (Then("PRODUCT_SYNC", ("AUTO_MATCH_PRODUCTS",)),)


@pytest.mark.parametrize(
    ("job_type", "params", "field"),
    [
        ("PULL_NHANH_PRODUCTS", {"filters": {"id": 5}}, "params.filters.id"),
        ("PULL_NHANH_PRODUCTS", {"filters": {"updatedAtFrom": 1.5}}, "params.filters.updatedAtFrom"),
        ("PULL_NHANH_PRODUCTS", {"filters": {"ids": [1, -1]}}, "params.filters.ids[1]"),
        ("PULL_NHANH_PRODUCTS", {"filters": {"ids": ["12\n"]}}, "params.filters.ids[0]"),
        ("PULL_NHANH_PRODUCTS", {"filters": {"status": 2}}, "params.filters.status"),
        ("PULL_NHANH_PRODUCTS", {"filters": {"gpid": 4}}, "params.filters.gpid"),
        ("PULL_NHANH_PRODUCTS", {"filters": {"price": {"from": "1"}}}, "params.filters.price.from"),
        ("PULL_NHANH_CUSTOMERS", {"filters": {"name": "Lan"}}, "params.filters.name"),
        ("PULL_NHANH_CUSTOMERS", {"filters": {"lastBoughtDateTo": "31.1.2026"}}, "params.filters.lastBoughtDateTo"),
        ("PULL_NHANH_CUSTOMERS", {"query": "Lan"}, "params.query"),
        ("PULL_SHOPIFY_PRODUCTS", {"filters": {}}, "params.filters"),
        ("PRODUCT_SYNC", {"only": ["a", 7]}, "params.only[1]"),
        ("PRODUCT_SYNC", {"dryrun": True}, "params.dryrun"),
        ("REVERT_SYNC", {"job_id": "."}, "params.job_id"),
        ("NO_SUCH_JOB", {}, "type"),
    ],
)
def test_parameters_are_named_by_their_path_at_any_depth(job_type: str, params: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_params(job_type, params)
    assert refused.value.field == field
    step = Then(job_type, ("A",), params)
    with pytest.raises(InvalidRequest) as refused:
        check_steps([Then("PRODUCT_SYNC", ("A",), then=(step,))])
    assert refused.value.field == f"then[0].then[0].{field}"


def test_filters_are_named_as_nhanh_names_them() -> None:
    assert set(FILTERS["PULL_NHANH_PRODUCTS"].__struct_encode_fields__) == {
        *("ids", "name", "parentId", "gpid", "categoryIds", "brandIds", "status", "price", "imei"),
        *("updatedAtFrom", "updatedAtTo"),
    }
    assert set(FILTERS["PULL_NHANH_CUSTOMERS"].__struct_encode_fields__) == {
        *("ids", "id", "mobile", "type", "lastBoughtDateFrom", "lastBoughtDateTo", "updatedAtFrom", "updatedAtTo")
    }


@pytest.mark.parametrize("job_id", [".", ".."])
def test_an_id_that_a_url_cannot_carry_is_refused(job_id: str) -> None:
    with pytest.raises(InvalidRequest, match="URL"):
        check_address(job_id, "chain")
    for good in ("...", ".a", "a..b"):
        check_address(good, "chain")


def test_what_nests_without_end_is_refused() -> None:
    endless: list[Any] = []
    for _ in range(5000):
        endless = [{"type": "A", "needs": [], "then": endless}]
    with pytest.raises(InvalidRequest, match="nests too deeply"):
        read_steps(endless)
    with pytest.raises(InvalidRequest) as refused:
        read_strictly({"type": "a", "account": "b", "about": {"x": 1}}, JobInfo, "job")
    assert refused.value.field.startswith("job.about")


@pytest.mark.parametrize(
    ("value", "job_id"),
    [
        (b'{"subject":"job-1"}', "job-1"),
        (b'{"subject":"no id"}', None),
        (b'{"subject":7}', None),
        (b"[]", None),
        (b"\xff", None),
        (None, None),
    ],
)
def test_the_job_of_a_bad_record_is_told_where_it_can_be_read(value: bytes | None, job_id: str | None) -> None:
    assert job_id_in(value) == job_id
