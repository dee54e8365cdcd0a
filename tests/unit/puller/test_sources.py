"""Every pull job type reads what its platform declares."""

from typing import Any, cast

import pytest

from platforms.registry import platforms
from puller.pulls import Pull
from puller.sources import Source, sources
from worker.errors import JobFailed


def test_there_is_a_source_for_every_pull() -> None:
    found = sources()
    assert set(found) == {
        "PULL_NHANH_PRODUCTS",
        "PULL_NHANH_CUSTOMERS",
        "PULL_SHOPIFY_PRODUCTS",
        "PULL_SHOPIFY_CUSTOMERS",
    }
    for source in found.values():
        assert source.pull is platforms()[source.platform].pulls[source.kind]


def test_a_kind_that_the_platform_does_not_list_ends_the_job() -> None:
    unused = cast("Any", None)
    with pytest.raises(JobFailed, match=r"^paper-shop lists no customers$") as failed:
        Pull(Source("paper-shop", "customer", None), unused, unused)(unused)
    assert failed.value.code == "NOT_OFFERED"
