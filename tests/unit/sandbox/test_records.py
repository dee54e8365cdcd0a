"""Records of delimited text: quoted cells, line breaks in them, records that are not closed."""

import pytest

from sandbox.records import MAX_LINES, RecordReader


def _read(text: str, delimiter: str = ",") -> list[tuple[int, list[str] | str]]:
    reader = RecordReader(text.splitlines(keepends=True))
    reader.delimiter = delimiter
    return [(record.line, record.problem or record.cells) for record in reader]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "#"])
def test_a_quoted_cell_holds_delimiters_quotes_and_line_breaks(delimiter: str, end: str) -> None:
    cell = f'Dao{delimiter} kéo{end}19"" màn hình{end}{end}cuối'
    text = f'1{delimiter}"{cell}"{delimiter}5{end}2{delimiter}Áo{delimiter}6{end}'
    whole = cell.replace('""', '"')
    assert _read(text, delimiter) == [(1, ["1", whole, "5"]), (5, ["2", "Áo", "6"])]


def test_an_inch_sign_inside_a_cell_is_a_character() -> None:
    assert _read('1,Màn hình 19",5\n2,27" LG 4K,6\n') == [(1, ["1", 'Màn hình 19"', "5"]), (2, ["2", '27" LG 4K', "6"])]


def test_blank_lines_are_no_records() -> None:
    assert _read("\n1,a,5\n\r\n  \n2,b,6") == [(2, ["1", "a", "5"]), (5, ["2", "b", "6"])]


@pytest.mark.parametrize(
    "swallowed",
    ["2,Áo,6\n", '2,"Áo, quần",6\n', "SP-02,Áo,6\n", '2,"19"" LG",6\n'],
)
def test_a_quote_that_is_not_closed_skips_only_its_own_line(swallowed: str) -> None:
    found = _read(f'1,"Tivi 19,5\n{swallowed}3,"Loa",7\n4,Đèn,8\n')
    assert found[0] == (1, "a quotation mark is not closed")
    own = swallowed.partition(",")[0]
    assert [(line, record[0]) for line, record in found[1:]] == [(2, own), (3, "3"), (4, "4")]


def test_a_quote_that_is_not_closed_at_the_end_skips_no_line_before_it() -> None:
    assert _read('1,a,5\n2,"b,6') == [(1, ["1", "a", "5"]), (2, "a quotation mark is not closed")]
    assert _read('1,a,5\n2,"b,6\nlast line\n') == [
        (1, ["1", "a", "5"]),
        (2, "a quotation mark is not closed"),
        (3, ["last line"]),
    ]


def test_a_bad_record_of_several_lines_is_reported_once_with_its_first_line() -> None:
    assert _read('1,"Áo\nthun" đẹp,5\n2,b,6\n') == [(1, "text follows a closing quotation mark"), (3, ["2", "b", "6"])]
    assert _read('1,"a" b,5\n2,b,6\n') == [(1, "text follows a closing quotation mark"), (2, ["2", "b", "6"])]


def test_a_quote_that_opens_in_the_next_line_closes_nothing() -> None:
    found = _read('1,"Tivi 19,5\nkhông số,"Loa",6\n3,c,7\n')
    assert found == [(1, "a quotation mark is not closed"), (2, ["không số", "Loa", "6"]), (3, ["3", "c", "7"])]


def test_a_record_without_end_is_skipped() -> None:
    lines = "".join(f"dòng {number}\n" for number in range(MAX_LINES * 2))
    found = _read(f'1,"a\n{lines}2,b,6\n')
    assert found[0] == (1, "a quotation mark is not closed")
    assert found[-1] == (MAX_LINES * 2 + 2, ["2", "b", "6"])
    assert len(found) == MAX_LINES * 2 + 2


def test_a_line_of_text_in_a_quoted_cell_is_no_record_of_its_own() -> None:
    assert _read('1,"Áo\nsize L, màu đỏ, cotton",5\n') == [(1, ["1", "Áo\nsize L, màu đỏ, cotton", "5"])]


def test_a_cell_that_holds_what_looks_like_a_record_is_one_cell() -> None:
    """Half of a record must never become a product of its own."""
    assert _read('1,"Trà\n2,ô long",45000,9\n3,c,7\n') == [
        (1, ["1", "Trà\n2,ô long", "45000", "9"]),
        (3, ["3", "c", "7"]),
    ]
