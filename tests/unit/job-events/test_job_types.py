"""Requests are refused with the field that is wrong; tokens are read back as written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_events.errors import InvalidRequest
from job_events.events import Then
from job_events.job_types import CHAINS, JOB_TYPES, check_then, read_params
from job_events.tokens import decode_token, encode_token


@pytest.mark.parametrize(
    ("job_type", "params", "field"),
    [
        ("NO_SUCH_JOB", {}, "type"),
        ("PULL_NHANH_PRODUCTS", {"page_size": 0}, "params.page_size"),
        ("PULL_NHANH_PRODUCTS", {"pages": 3}, "params.pages"),
        ("PRODUCT_SYNC", {"dry_run": "yes"}, "params.dry_run"),
        ("EDIT_MATCH", {}, "params"),
        ("EDIT_MATCH", {"action": "create", "kind": "product", "nhanh_id": "1"}, "params.shopify_id"),
    ],
)
def test_a_bad_request_names_its_field(job_type: str, params: object, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_params(job_type, params)
    assert refused.value.field == field


def test_chains_know_only_jobs_that_exist() -> None:
    for chain in CHAINS.values():
        assert set(chain.first) <= set(JOB_TYPES)
        for first in chain.first:
            check_then(chain.then, first)


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
