"""What an incremental pull may ask a platform for, and how it is refused."""

from dataclasses import replace
from typing import Any

import pytest

from job_events.job_params import IncrementalPullParams
from platforms.registry import platform, platforms
from puller import incremental
from puller.incremental import changed_source
from worker.errors import JobFailed


@pytest.mark.parametrize(
    ("name", "kind", "code", "reason"),
    [
        ("stone-shop", "products", "UNKNOWN_PLATFORM", r"known are nhanh, .*shopify"),
        ("shopify", "stock", "NOT_OFFERED", r"^shopify does not list changes of stock apart .* use kind products"),
        ("paper-shop", "products", "NOT_OFFERED", r"^paper-shop does not tell which products changed$"),
        ("paper-shop", "customers", "NOT_OFFERED", r"^paper-shop lists no customers$"),
    ],
)
def test_what_a_platform_does_not_offer_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, kind: Any, code: str, reason: str
) -> None:
    nhanh = platform("nhanh")
    bare = replace(
        nhanh, name="paper-shop", pulls={"product": replace(nhanh.pulls["product"], changed=None)}, stock=None
    )
    known = {**platforms(), "paper-shop": bare}
    monkeypatch.setattr(incremental, "platforms", lambda: known)
    with pytest.raises(JobFailed, match=reason) as failed:
        changed_source(IncrementalPullParams(name, kind))
    assert (failed.value.category, failed.value.code) == ("VALIDATION_FAILED", code)


def test_stock_is_of_products() -> None:
    kinds = {
        kind: changed_source(IncrementalPullParams("nhanh", kind)).kind for kind in ("products", "stock", "customers")
    }
    assert kinds == {"products": "product", "stock": "product", "customers": "customer"}
