"""Safety cases are read strictly: what is misspelt is refused, never taken for nothing."""

from pathlib import Path

import pytest
from tests.safety.case import BadCase, articles, as_text, load_cases, persons, rows

CASE = """
- id: one
  clause: "1.1"
  why: because
  nhanh: "id,sku,barcode,title,price,stock"
  shopify: "id,sku,barcode,title,price,stock"
  steps:
    - expect: {}
"""


def test_every_case_of_the_table_can_be_read() -> None:
    cases = load_cases()
    assert len(cases) >= 60
    clauses = {case.clause.split(".")[0] for case in cases}
    assert clauses == {"1", "2", "3", "4"}
    assert all(rows(side) for case in cases for side in (case.nhanh, case.shopify) if isinstance(side, str))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("expect: {}", "expect: {write: {}}"), "write"),
        (("expect: {}", "expects: {}"), "expect"),
        (("steps:", "settings: 1\n  steps:"), "settings"),
        (("expect: {}", "expect: {links: {1..3: 1..2}}"), "length"),
    ],
)
def test_what_is_misspelt_is_refused_with_the_case(tmp_path: Path, change: tuple[str, str], reason: str) -> None:
    (tmp_path / "cases.yaml").write_text(CASE.replace(*change))
    with pytest.raises(BadCase, match=rf"cases\.yaml, case one: .*{reason}"):
        load_cases(tmp_path)


def test_an_id_is_used_once(tmp_path: Path) -> None:
    (tmp_path / "cases.yaml").write_text(CASE + CASE)
    with pytest.raises(BadCase, match="one"):
        load_cases(tmp_path)


def test_ranges_of_ids() -> None:
    read = as_text({"links": {"1..3": "11..13", 5: 15}, "hub_gone": ["1..2", 7], "only": [3]})
    assert read == {
        "links": {"1": "11", "2": "12", "3": "13", "5": "15"},
        "hub_gone": ["1", "2", "7"],
        "only": ["3"],
    }
    assert as_text({"hub": {"1..2": {"price": 5}}}) == {"hub": {"1": {"price": 5}, "2": {"price": 5}}}


def test_rows_become_products_with_their_variants() -> None:
    text = "id,sku,title,price,stock,stock2,option\n700/1,A-S,Áo,10,1,2,S\n700/2,A-M,Áo,,0,0,M\n1..2,B-{n},Mũ {n},5,3,,"
    shirt, *hats = articles(rows(text))
    assert shirt["id"] == 700
    assert [(unit["sku"], unit["price"], unit["stock"], unit["option"]) for unit in shirt["units"]] == [
        ("A-S", "10", [1, 2], "S"),
        ("A-M", None, [0, 0], "M"),
    ]
    assert [(hat["id"], hat["title"], hat["units"][0]["sku"]) for hat in hats] == [
        (1, "Mũ 1", "B-1"),
        (2, "Mũ 2", "B-2"),
    ]
    with pytest.raises(ValueError, match="number of columns"):
        rows("id,sku\n1,2,3")


def test_rows_become_customers() -> None:
    first, second = persons(rows("id,name,phone,email\n1,Nguyễn Văn An,0912345678,\n2,Khách,,k@shop.vn"))
    assert (first["family"], first["given"], first["phone"], first["email"]) == ("Nguyễn", "Văn An", "0912345678", None)
    assert (second["family"], second["given"], second["phone"]) == ("", "Khách", None)
