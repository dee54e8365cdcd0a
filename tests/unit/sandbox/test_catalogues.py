"""Catalogue files: delimiters, malformed rows with their line numbers, JSON lines, gzip, real files."""

import gzip
import json
import os
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from sandbox.catalogues import CatalogueUnreadable, load, platform_id, sniff_delimiter

Write = Callable[..., Path]
DATA = Path(os.environ.get("JOBTRAIL_DATA", Path(__file__).parents[3] / "../shared/data"))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write bytes or text to a file of a given name."""

    def make(content: str | bytes, name: str = "c.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


@pytest.mark.parametrize("delimiter", [",", "|", "#", "\t", ";"])
def test_every_delimiter_is_recognised(write: Write, delimiter: str) -> None:
    lines = [["id", "title", "price"], ["7", "Áo thun", "120000"]]
    loaded = load(write("\n".join(delimiter.join(line) for line in lines)))
    assert [(row.id, row.title, row.price) for row in loaded.rows] == [(7, "Áo thun", Decimal(120000))]
    assert sniff_delimiter("id|name, full|price") == "|"


def test_headers_have_synonyms_in_any_case_and_order(write: Write) -> None:
    row = load(write("Manufacturer,NAME,id,ModelNo,Description\nSony,TV,1,KD-55,Wide\n")).rows[0]
    assert (row.brand, row.title, row.modelno, row.description) == ("Sony", "TV", "KD-55", "Wide")


def test_malformed_rows_are_skipped_with_line_and_reason(write: Write) -> None:
    content = (
        b"id,title,price\n1,One,5\n\n,No id,5\n2,,5\n3,Three\n4,Fo\xffur,5\n1,Again,5\n5,Five,abc\n6,Six,-1\n7,Last,\n"
    )
    loaded = load(write(content))
    assert [row.id for row in loaded.rows] == [1, 7]
    assert [(skipped.line, skipped.reason) for skipped in loaded.skipped] == [
        (4, "no id"),
        (5, "no title"),
        (6, "2 columns where the header has 3"),
        (7, "not UTF-8 at byte 5 of the line"),
        (8, "id already used on line 2"),
        (9, "price 'abc' is no number"),
        (10, "price '-1' is below zero"),
    ]


def test_quoted_cells_and_lone_inch_signs(write: Write) -> None:
    rows = load(write('id,title\n1,"Dao, kéo"\n2,Màn hình 27"\n')).rows
    assert [row.title for row in rows] == ["Dao, kéo", 'Màn hình 27"']


def test_prices_are_read_as_people_write_them(write: Write) -> None:
    content = "id|title|price\n1|a|$14.95\n2|b|$1,699.00\n3|c|120000₫\n4|d|\n5|e|1.250.000 đ\n6|f|\u00a0\n"
    prices = [row.price for row in load(write(content)).rows]
    assert prices == [Decimal("14.95"), Decimal("1699.00"), Decimal(120000), None, Decimal(1250000), None]


@pytest.mark.parametrize("price", ["1.250", "1.355,90", "1,250,000", "1,699.00", "1.250.000", "1e6", "\uff15"])
def test_an_ambiguous_price_rejects_its_record_with_the_raw_text(write: Write, price: str) -> None:
    loaded = load(write(f'id;title;price\n1;"Áo\nthun";{price}\n2;b;5\n'))
    assert [row.id for row in loaded.rows] == [2]
    ((line, reason),) = [(skipped.line, skipped.reason) for skipped in loaded.skipped]
    assert line == 2
    assert repr(price) in reason


def test_prices_in_json_lines_are_numbers_or_text(write: Write) -> None:
    lines = ['{"id": 1, "title": "a", "price": 1.125}', '{"id": 2, "title": "b", "price": "1.125"}']
    loaded = load(write("\n".join(lines), "c.jsonl"))
    assert [(row.id, row.price) for row in loaded.rows] == [(1, Decimal("1.125"))]
    assert [skipped.line for skipped in loaded.skipped] == [2]


def test_records_may_span_lines_and_count_from_their_first(write: Write) -> None:
    content = 'id,title,description\r\n1,"Áo ""đẹp"", đỏ","Dòng 1\r\nDòng 2"\r\n,"không\r\nmã",x\r\n3,Ba\r\n4,Bốn,\r\n'
    loaded = load(write(content))
    assert [(row.line, row.id, row.title) for row in loaded.rows] == [(2, 1, 'Áo "đẹp", đỏ'), (7, 4, "Bốn")]
    assert [(skipped.line, skipped.reason) for skipped in loaded.skipped] == [
        (4, "no id"),
        (6, "2 columns where the header has 3"),
    ]


def test_an_unclosed_quote_is_one_bad_record_and_hides_none(write: Write) -> None:
    loaded = load(write('id,title,price\n1,a,5\n2,"Tivi 19,6\n3,b,7\n4,"Loa, đài",8\n'))
    assert [row.id for row in loaded.rows] == [1, 3, 4]
    assert [(skipped.line, skipped.reason) for skipped in loaded.skipped] == [(3, "a quotation mark is not closed")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_ending_and_a_byte_order_mark(write: Write, end: str) -> None:
    loaded = load(write("\ufeff" + end.join(["id;title", "1;Áo", "2;Quần", ""])))
    assert [(row.line, row.id, row.title) for row in loaded.rows] == [(2, 1, "Áo"), (3, 2, "Quần")]
    assert loaded.skipped == []


def test_codes_come_without_invisible_characters_and_names_in_one_form(write: Write) -> None:
    title = unicodedata.normalize("NFD", "Cà phê sữa đá")
    content = f"id,sku,barcode,title\n\ufeff7,AT\u200b-01\u00a0,\u200e8938505970011,\u200b{title}\u00a0\n"
    row = load(write(content)).rows[0]
    assert (row.id, row.sku, row.barcode, row.title) == (7, "AT-01", "8938505970011", "Cà phê sữa đá")


def test_excels_line_for_the_delimiter_is_read(write: Write) -> None:
    loaded = load(write('sep=;\r\nid;title\r\n1;"a, b, c"\r\n'))
    assert [(row.line, row.title) for row in loaded.rows] == [(3, "a, b, c")]


def test_a_header_may_be_quoted_and_span_lines(write: Write) -> None:
    loaded = load(write('"ID","Title","Ghi\nchú, khác"\n1,a,x\n'))
    assert [(row.line, row.title) for row in loaded.rows] == [(3, "a")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("id,title\n1,Áo\n".encode("utf-16"), "UTF-16"),
        ("id,title\n1,Áo\n".encode("utf-16-le"), "UTF-8"),
        (b"PK\x03\x04rest of a workbook", "Excel"),
        (b"id,title,price,price\n1,a,5,6\n", "two columns price"),
        (b'id,"title\n1,a\n', "header"),
    ],
)
def test_files_of_another_form_are_refused_in_a_sentence(write: Write, content: bytes, reason: str) -> None:
    with pytest.raises(CatalogueUnreadable, match=reason):
        load(write(content))


def test_ids_are_the_files_when_they_are_numbers() -> None:
    assert platform_id("0") == 0
    assert platform_id("38200112") == 38200112
    derived = platform_id("B00A1")
    assert derived == platform_id("B00A1") != platform_id("B00A2")
    assert derived >= 10**12


def test_json_lines_and_gzip_and_open_food_facts(write: Write) -> None:
    lines = [
        json.dumps({"_id": "0001", "code": "0001", "id": "0001", "product_name": "Trà", "brands": "Lagg's, Other"}),
        "{broken",
        "[1]",
        json.dumps({"_id": "0002", "product_name": None}),
        json.dumps({"id": 9, "title": "Plain", "barcode": "893", "price": 5}),
    ]
    path = write(gzip.compress("\n".join(lines).encode()), "off.jsonl.gz")
    loaded = load(path)
    assert [(row.id, row.barcode, row.brand, row.title) for row in loaded.rows] == [
        (1, "0001", "Lagg's", "Trà"),  # its id is a barcode, so the line number stands in
        (9, "893", "", "Plain"),
    ]
    assert [skipped.line for skipped in loaded.skipped] == [2, 3, 4]
    assert loaded.skipped[2].reason == "no title"


@pytest.mark.parametrize(
    ("content", "reason"),
    [("", "empty"), ("code,label\n1,a\n", "no column id and no column title"), (b"id,t\xff\n", "header")],
)
def test_unusable_files_are_refused_with_a_reason(write: Write, content: str | bytes, reason: str) -> None:
    with pytest.raises(CatalogueUnreadable, match=reason):
        load(write(content))


def test_a_missing_file_and_a_truncated_gzip_are_reported(write: Write, tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnreadable, match="nowhere"):
        load(tmp_path / "nowhere.csv")
    torn = gzip.compress(b'{"id": 1, "title": "a"}\n' * 1000)[:-20]
    with pytest.raises(CatalogueUnreadable):
        load(write(torn, "torn.jsonl.gz"))


@pytest.mark.skipif(not (DATA / "abt-buy").is_dir(), reason="no Abt-Buy files in JOBTRAIL_DATA")
def test_abt_buy_loads_whole() -> None:
    abt, buy = load(DATA / "abt-buy" / "abt.csv"), load(DATA / "abt-buy" / "buy.csv")
    assert (len(abt.rows), len(buy.rows)) == (1076, 1076)
    assert abt.skipped == buy.skipped == []
    assert round(sum(row.price is not None for row in abt.rows) / 1076, 2) == 0.39
    assert round(sum(row.price is not None for row in buy.rows) / 1076, 2) == 0.54
    assert {row.id for row in abt.rows} == set(range(1076))
