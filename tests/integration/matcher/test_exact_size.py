"""A match by keys alone of 100,000 records a side, and a match of one chosen record beside them."""

from typing import Any

import pytest

NUMBER = 100_000
_RECORDS = """
insert into puller.record (tenant, account, platform, kind, record_id, seen_by_job, seen_at, changed_at)
select 't', 'shop', platform, 'product', n::text, 'pull', now(), now()
from unnest(array['nhanh', 'shopify']) platform, generate_series(1, %s) n
"""
_PRODUCTS = """
insert into puller.product (tenant, account, platform, product_id, title)
select 't', 'shop', platform, n::text, 'Áo thun nam cổ tròn kiểu ' || n || ' màu xanh'
from unnest(array['nhanh', 'shopify']) platform, generate_series(1, %s) n
"""
# A tenth has no partner, a hundredth shares its code with a neighbour.
_VARIANTS = """
insert into puller.variant (tenant, account, platform, variant_id, record_id, product_id, sku, barcode, prices)
select 't', 'shop', platform, n::text, n::text, n::text,
       case when n %% 10 = 0 then platform else 'AT' end || '-' || n - (n %% 100 = 1)::integer, null, '{}'
from unnest(array['nhanh', 'shopify']) platform, generate_series(1, %s) n
"""


def figure(name: str, value: float, unit: str) -> None:
    print(f"figure {name} {value:.3f} {unit}")  # noqa: T201  # what benchmarks report


@pytest.fixture
def filled(room: Any) -> Any:
    for statement in (_RECORDS, _PRODUCTS, _VARIANTS):
        room.run(statement, NUMBER)
    room.run("analyze puller.record, puller.product, puller.variant")
    return room


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_keys_of_a_hundred_thousand_products_match_in_seconds(filled, ended):
    filled.start()
    first = ended(filled.request("MATCH_EXACT_PRODUCTS"))
    assert (first.data.outcome, first.data.counters.total) == ("success", NUMBER)
    assert (
        first.data.metadata["created"]
        == filled.rows("select count(*) as n from matcher.match where status = 'auto'")[0]["n"]
    )
    assert first.data.metadata["created"] >= 0.85 * NUMBER
    figure("match_exact_100k_first", first.data.duration_ms / 1000, "s")
    again = ended(filled.request("MATCH_EXACT_PRODUCTS"))
    assert (again.data.metadata["created"], again.data.metadata["updated"]) == (0, 0)
    figure("match_exact_100k", again.data.duration_ms / 1000, "s")
    assert again.data.duration_ms < 60_000
