"""Requests are refused with the field that is wrong; tokens are read back as written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_events.chains import CHAINS, Chain, FirstJob, check_then
from job_events.errors import InvalidRequest
from job_events.events import Then
from job_events.job_types import JOB_TYPES, concurrency_key, default_priority, read_params, unknown_here
from job_events.request_checks import check_params, check_steps
from job_events.tokens import decode_token, encode_token


@pytest.mark.parametrize(
    ("job_type", "params", "field"),
    [
        ("NO_SUCH_JOB", {}, "type"),
        ("PULL_NHANH_PRODUCTS", {"page_size": 0}, "params.page_size"),
        ("PULL_NHANH_PRODUCTS", {"pages": 3}, "params.pages"),
        ("PRODUCT_SYNC", {"dry_run": "yes"}, "params.dry_run"),
        ("EDIT_MATCH", {}, "params"),
        ("EDIT_MATCH", {"action": "create", "kind": "product", "hub_id": "1"}, "params.remote_id"),
        ("EDIT_MATCH", {"action": "create", "kind": "product", "nhanh_id": "1"}, "params.remote_id"),
        ("EDIT_MATCH", {"action": "delete", "kind": "product", "nhanh_id": "1", "hub_id": "1"}, "params.nhanh_id"),
        ("AUTO_MATCH_PRODUCTS", {"platform": ""}, "params.platform"),
    ],
)
def test_a_bad_request_names_its_field(job_type: str, params: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_params(job_type, params)
    assert refused.value.field == field


def test_a_match_is_read_by_the_former_names_of_its_fields() -> None:
    edit = {"action": "create", "kind": "product"}
    present = read_params("EDIT_MATCH", {**edit, "hub_id": "1", "platform": "shopify", "remote_id": "gid://7"})
    former = {**edit, "nhanh_id": "1", "shopify_id": "gid://7"}
    assert read_params("EDIT_MATCH", former) == present
    assert unknown_here("EDIT_MATCH", former) is None
    assert unknown_here("PRODUCT_SYNC", {"nhanh_id": "1"}) is not None


def test_chains_name_only_known_job_types() -> None:
    for chain in CHAINS.values():
        assert set(chain.types()) <= set(JOB_TYPES)
        for first in chain.first:
            check_params(first.type, first.params)
            check_then(chain.then, first.type)
            check_steps(chain.then)


def test_two_first_jobs_of_one_type_would_start_what_follows_twice() -> None:
    with pytest.raises(ValueError, match="same type"):
        Chain((FirstJob(PULL), FirstJob(PULL, {"page_size": 1})))


def test_the_incremental_chain_reads_products_and_stock_before_it_writes() -> None:
    chain = CHAINS["incremental"]
    assert chain.types() == ("INCREMENTAL_PULL", "AUTO_MATCH_PRODUCTS", "AUTO_SYNC_PRODUCTS")
    (stock,) = chain.then
    assert (chain.first[0].params["kind"], stock.type, stock.params["kind"]) == (
        "products",
        "INCREMENTAL_PULL",
        "stock",
    )
    assert stock.then[0].params == {"since": "last"}


MATCH, SYNC, PULL = "AUTO_MATCH_PRODUCTS", "PRODUCT_SYNC", "PULL_NHANH_PRODUCTS"


@pytest.mark.parametrize(
    ("then", "field", "reason"),
    [
        ((Then(MATCH, (PULL,), then=(Then(SYNC, ()),)),), "then[0].then[0].needs", MATCH),
        ((Then(MATCH, (PULL,), then=(Then(SYNC, (PULL,)),)),), "then[0].then[0].needs", MATCH),
        ((Then(MATCH, ("PULL_SHOPIFY_CUSTOMERS",)),), "then[0].needs", PULL),
        ((Then(MATCH, (PULL, "PULL_LAZADA")),), "then[0].needs", "PULL_LAZADA"),
        ((Then(MATCH, (PULL,)), Then(MATCH, (PULL, PULL), {"auto": 0.9})), "then[1].type", "one job"),
    ],
)
def test_a_step_that_would_never_run_is_found(then: tuple[Then, ...], field: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        check_then(then, PULL)
    assert refused.value.field == field


def test_steps_of_one_type_may_follow_different_jobs() -> None:
    check_then((Then(MATCH, (PULL,)), Then(MATCH, (PULL, "PULL_SHOPIFY_PRODUCTS"))), PULL)


@given(st.dictionaries(st.tuples(st.text("ab.", min_size=1), st.integers(0, 50)), st.integers(0, 2**40)))
def test_tokens_are_read_back(positions: dict[tuple[str, int], int]) -> None:
    assert decode_token(encode_token(positions)) == positions


@pytest.mark.parametrize("token", ["", "x", "e30x!", "bm8"])
def test_a_broken_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match="freshness token"):
        decode_token(token)


def steps(count: int, then: tuple[Then, ...] = (), parent: str = PULL) -> tuple[Then, ...]:
    """So many steps that differ in what else they need."""
    others = [f"PULL_{number}" for number in range(count)]
    return tuple(Then(MATCH, (parent, other), then=then) for other in others)


def deep(levels: int) -> tuple[Then, ...]:
    return (Then(MATCH, (MATCH,), then=deep(levels - 1)),) if levels else ()


BIG = {"filters": {"name": "x" * 300_000}}


@pytest.mark.parametrize(
    ("then", "parent", "field", "reason"),
    [
        (deep(9), MATCH, "then[0].then[0].then[0].then[0].then[0].then[0].then[0].then[0].then", "more than 8"),
        (steps(21), PULL, "then", "21 steps; at most 20"),
        ((Then(MATCH, (PULL,), then=steps(21, parent=MATCH)),), PULL, "then[0].then", "21 steps; at most 20"),
        (steps(10, steps(10, parent=MATCH)), PULL, "then[9]", "at most 100"),
        ((Then(MATCH, tuple([PULL] * 21)),), PULL, "then[0].needs", "21 jobs; at most 20"),
        ((Then("PULL_SHOPIFY_PRODUCTS", (PULL,), BIG),), PULL, "then", "at most 262,144"),
    ],
)
def test_what_follows_a_job_is_bounded(then: tuple[Then, ...], parent: str, field: str, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason) as refused:
        check_then(then, parent, newer_allowed=True)
    assert refused.value.field == field


def test_the_largest_allowed_chain_passes() -> None:
    check_then(deep(8), MATCH)
    check_then(steps(20), PULL, newer_allowed=True)
    check_then(steps(20, steps(4, parent=MATCH)), PULL, newer_allowed=True)


def test_only_a_running_service_lets_types_and_parameters_of_a_newer_version_pass() -> None:
    newer = (Then("SYNC_LAZADA", (PULL,), {"x": 1}), Then(MATCH, (PULL,), {"by": "name"}, then=(Then("X", (MATCH,)),)))
    check_then(newer, PULL, newer_allowed=True)
    for then in (newer[:1], newer[1:]):
        with pytest.raises(InvalidRequest):
            check_then(then, PULL)
    with pytest.raises(InvalidRequest, match="needs"):
        check_then((Then("SYNC_LAZADA", ()),), PULL, newer_allowed=True)
    with pytest.raises(InvalidRequest, match="auto"):
        check_then((Then(MATCH, (PULL,), {"auto": 2}),), PULL, newer_allowed=True)


def test_one_chosen_record_does_not_wait_for_a_sync_of_all() -> None:
    everything = concurrency_key("AUTO_SYNC_PRODUCTS", {})
    assert everything == concurrency_key("PRODUCT_SYNC", {}) == concurrency_key("PRODUCT_SYNC", {"only": ["7", "8"]})
    one = concurrency_key("PRODUCT_SYNC", {"only": ["7"]})
    assert len({everything, one, concurrency_key("PRODUCT_SYNC", {"only": ["8"]})}) == 3
    assert default_priority("PRODUCT_SYNC", {"only": ["7"]}) == "high"
    assert default_priority("PRODUCT_SYNC", {"only": ["7", "8"]}) == default_priority("NEW", {}) == "normal"


def test_a_pull_of_stock_excludes_pulls_of_products_and_no_others() -> None:
    full = concurrency_key("PULL_NHANH_PRODUCTS", {})
    kinds = {kind: {"platform": "nhanh", "kind": kind} for kind in ("products", "stock", "customers")}
    keys = {kind: concurrency_key("INCREMENTAL_PULL", params) for kind, params in kinds.items()}
    assert keys["products"] == keys["stock"] == full
    assert keys["customers"] == concurrency_key("PULL_NHANH_CUSTOMERS", {}) != full
    assert concurrency_key("INCREMENTAL_PULL", {"platform": "shopify", "kind": "stock"}) != full
    assert concurrency_key("NEW", {}) == "NEW"
