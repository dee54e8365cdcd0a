"""When titles have nothing in common, so that a code that agrees is doubted; and how well that separates real data."""

import csv
import gzip
import json
import os
import random
from pathlib import Path

import pytest

from matcher.domain.overlap import TitleOverlap

DATA = Path(os.environ.get("JOBTRAIL_DATA", "../shared/data"))
needs_data = pytest.mark.skipif(not (DATA / "abt-buy").is_dir(), reason=f"no benchmark data in {DATA}")
PAIRS = 10_000


def strangers(left: str, right: str) -> bool:
    """In a catalogue of these two products alone, whichever side each is on."""
    verdict = TitleOverlap([left], [right]).strangers(0, 0)
    assert TitleOverlap([right], [left]).strangers(0, 0) == verdict
    return verdict


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Máy xay sinh tố Philips", "Dép lê trẻ em"),
        ("Máy xay sinh tố", "Blender"),
        ("Cà phê sữa", "Trà sữa"),  # milk is what they share; coffee and tea are what they are
        ("Bò khô", "Bơ khô"),
        ("Nồi cơm điện 1.8L", "Bình đun siêu tốc 1.8L"),  # a measure is nothing in common
        ("Bia Sài Gòn 330ml", "Coca-Cola 330ml"),
        ("Áo khoác nữ size 35", "Giày thể thao size 35"),
        ("商品", "日本酒"),
    ],
)
def test_strangers(left, right):
    assert strangers(left, right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Bò khô", "Bo kho"),  # one is typed without accents
        ("Áo thun hòa bình", "Áo thun hoà bình"),  # one word in two spellings
        ("Cà phê sữa đá", "Cà phê sữa đá lon 240ml"),
        ("Coca lon", "Coca-Cola lon"),
        ("Bia Sài Gòn Special lon 330ml", "Saigon Special beer can"),
        ("Sony Turntable - PSLX350H", "Bộ mâm than PSLX350H"),
        ("Sony Turntable - PSLX350H", "PS-LX350H"),
        ("50ml", "50ml"),
        ("日本酒", "日本酒"),
        ("", "Dép lê"),  # nothing that could disagree
    ],
)
def test_no_strangers(left, right):
    assert not strangers(left, right)


def test_a_common_word_binds_less_than_a_rare_one():
    left = [f"Áo thun kiểu {chr(97 + n) * 4}" for n in range(26)] + ["Áo thun Zenith"]
    right = [f"Áo sơ mi {chr(97 + n) * 5}" for n in range(26)] + ["Zenith polo"]
    overlap = TitleOverlap(left, right)
    assert overlap.strangers(0, 0)
    assert not overlap.strangers(26, 26)


def abt_buy() -> tuple[list[str], list[str], list[tuple[int, int]]]:
    sides: list[dict[str, str]] = []
    for name in ("abt.csv", "buy.csv"):
        with (DATA / "abt-buy" / name).open(encoding="utf-8", newline="") as file:
            sides.append(
                {row["id"]: row["name"] for row in csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE)}
            )
    places = [{one: at for at, one in enumerate(side)} for side in sides]
    with (DATA / "abt-buy" / "gt.csv").open(encoding="utf-8", newline="") as file:
        truth = [(places[0][row["D1"]], places[1][row["D2"]]) for row in csv.DictReader(file, delimiter="|")]
    return [*sides[0].values()], [*sides[1].values()], truth


def doubted(overlap: TitleOverlap, pairs: list[tuple[int, int]]) -> float:
    return sum(overlap.strangers(*pair) for pair in pairs) / len(pairs)


def figure(name: str, value: float) -> None:
    print(f"figure {name} {value:.4f} ratio")  # noqa: T201 - read from the test's output


@needs_data
def test_random_pairs_of_abt_buy_are_doubted_and_true_ones_are_not():
    left, right, truth = abt_buy()
    overlap = TitleOverlap(left, right)
    chance, true = random.Random(5), set(truth)  # noqa: S311 - a repeatable choice
    chosen = [(chance.randrange(len(left)), chance.randrange(len(right))) for _ in range(PAIRS)]
    at_random, of_true = doubted(overlap, [pair for pair in chosen if pair not in true]), doubted(overlap, truth)
    figure("title_doubt_abt_buy_random", at_random)
    figure("title_doubt_abt_buy_true", of_true)
    assert at_random >= 0.95
    assert of_true <= 0.02


@needs_data
@pytest.mark.parametrize("name", ["openfoodfacts", "openbeautyfacts"])
def test_random_pairs_of_a_real_catalogue_are_doubted(name):
    with gzip.open(DATA / f"{name}-products-min.jsonl.gz", "rt", encoding="utf-8") as file:
        titles = [title for line in file if (title := (json.loads(line).get("product_name") or "").strip())]
    chance = random.Random(5)  # noqa: S311 - a repeatable choice
    chosen = [(chance.randrange(len(titles)), chance.randrange(len(titles))) for _ in range(PAIRS)]
    at_random = doubted(TitleOverlap(titles, titles), [(left, right) for left, right in chosen if left != right])
    figure(f"title_doubt_{name}_random", at_random)
    assert at_random >= 0.95


@needs_data
@pytest.mark.parametrize("size", [2, 10, 20, 21, 50, 200])
def test_small_catalogues_separate_as_well(size):
    left, right, truth = abt_buy()
    chance = random.Random(size)  # noqa: S311 - a repeatable choice
    hits, wrong, count = 0, 0, 0
    while count < 2000:
        some = chance.sample(truth, size)
        overlap = TitleOverlap([left[one] for one, _ in some], [right[other] for _, other in some])
        for at in range(size):
            hits += overlap.strangers(at, (at + 1) % size)
            wrong += overlap.strangers(at, at)
        count += size
    figure(f"title_doubt_abt_buy_{size}_random", hits / count)
    figure(f"title_doubt_abt_buy_{size}_true", wrong / count)
    assert hits / count >= 0.95
    assert wrong / count <= 0.08
