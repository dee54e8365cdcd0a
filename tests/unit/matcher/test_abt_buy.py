"""What the matcher reaches on Abt-Buy, a public benchmark with truth: titles and descriptions, no SKU, no barcode.

The weights and bands were set on this very data, so the figures are optimistic.
"""

import csv
import os
import random
from pathlib import Path

import pytest

from matcher.domain.candidates import Known
from matcher.domain.product_codes import Product
from matcher.domain.products import ProductIndex
from matcher.domain.resolution import Bands, Decision, resolve_products

DATA = Path(os.environ.get("JOBTRAIL_DATA", "../shared/data")) / "abt-buy"


def read(name: str) -> dict[str, Product]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE)
        return {row["id"]: Product(row["name"], description=row["description"]) for row in rows}


def figure(name: str, value: float, unit: str = "ratio") -> None:
    print(f"figure {name} {value:.4f} {unit}")  # noqa: T201 - read from the test's output


def measure(decision: Decision, truth: set[tuple[str, str]], prefix: str) -> tuple[float, float]:
    """Precision and F1 of the links."""
    linked = {one.pair for one in decision.links}
    shown = linked | {one.pair for one in decision.reviews}
    precision, recall = len(linked & truth) / len(linked), len(linked & truth) / len(truth)
    f1 = 2 * precision * recall / (precision + recall)
    figure(f"{prefix}_auto_precision", precision)
    figure(f"{prefix}_auto_recall", recall)
    figure(f"{prefix}_auto_f1", f1)
    figure(f"{prefix}_auto_or_review_precision", len(shown & truth) / len(shown))
    figure(f"{prefix}_auto_or_review_recall", len(shown & truth) / len(truth))
    figure(f"{prefix}_records_to_review", len({one.hub_id for one in decision.reviews}), "records")
    return precision, f1


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no benchmark data in {DATA}: set JOBTRAIL_DATA")
@pytest.mark.parametrize("missing", [0.0, 0.5], ids=["all-have-partners", "half-have-none"])
def test_what_links_by_itself_is_right(missing):
    nhanh, shopify = read("abt.csv"), read("buy.csv")
    with (DATA / "gt.csv").open(encoding="utf-8", newline="") as file:
        truth = {(row["D1"], row["D2"]) for row in csv.DictReader(file, delimiter="|")}
    chance = random.Random(11)  # noqa: S311 - a repeatable choice
    shopify = {one: product for one, product in shopify.items() if chance.random() >= missing}
    truth = {pair for pair in truth if pair[1] in shopify}
    result = ProductIndex(nhanh, shopify).score(0, len(nhanh) - 1)
    decision = resolve_products(result.candidates, Known(), Bands(link_by_name="auto"))
    precision, f1 = measure(decision, truth, "abt_buy" if not missing else "abt_buy_half")
    waits = resolve_products(result.candidates, Known(), Bands())
    assert waits.links == []
    assert {one.pair for one in waits.reviews} == {one.pair for one in (*decision.links, *decision.reviews)}
    assert waits.waiting_by_name == len(decision.links)
    assert precision >= 0.95
    assert f1 >= 0.85  # the plain TF-IDF baseline reaches 0.773
