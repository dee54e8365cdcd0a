"""The four forms of a value."""

import pytest

from syncer.domain import fields


@pytest.mark.parametrize(
    ("field", "one", "other", "same"),
    [
        ("price", "120000", "120000.00", True),
        ("price", "0.10", ".1", True),
        ("price", "100", "1E+2", True),
        ("price", "120000", "120001", False),
        ("stock@x", "5", "5.0", True),
        ("name", "Nguyễn Văn An", "Văn An Nguyễn", True),
        ("name", "Nguyễn Văn An", "Nguyen Van An", False),
        ("name", "Nguye\u0302\u0303n", "Nguyễn", True),
        ("email", "A@x.vn", "a@X.vn", True),
        ("phone", "+84912345678", "0912345678", True),
        ("phone", "+84912345678", "+84 (0) 912 345 678", True),
        ("phone", "+84321234567", "01621234567", True),
        ("phone", "+84912345678", "+84912345679", False),
        ("phone", None, "+84912345678", False),
        ("name", " Lê\u200b  Hoa ", "Lê\u00a0Hoa", True),
        ("name", "Lê Hoa", "lê hoa", False),
        ("nhanh.total_amount", "1500000.0", "1500000", True),
        ("nhanh.level", "Vàng", "vàng", False),
        ("price", None, "0", False),
    ],
)
def test_what_counts_as_the_same(field: str, one: str | None, other: str, same: bool) -> None:
    assert (fields.key_of(field, one) == fields.key_of(field, other)) is same
    assert (fields.last_written_of(field, one) == fields.last_written_of(field, other)) is same


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("phone", "+84912345678", "+84…78"),
        ("phone", "12345", "…"),
        ("email", "mai.tran@example.vn", "m…@example.vn"),
        ("name", "Nguyễn Thị Mai", "N… T… M…"),
        ("price", "120000", "120000"),
        ("phone", None, None),
    ],
)
def test_personal_values_are_shown_masked(field: str, value: str | None, expected: str | None) -> None:
    assert fields.shown(field, value) == expected


@pytest.mark.parametrize("field", ["phone", "email", "name", "nhanh.points"])
def test_personal_values_are_remembered_as_hashes(field: str) -> None:
    assert fields.last_written_of(field, "912345678").startswith("sha256:")
    assert "912345678" not in fields.last_written_of(field, "912345678")


def test_prices_and_stock_are_remembered_as_they_are() -> None:
    assert (fields.last_written_of("price", "12.50"), fields.last_written_of("stock@x", "7")) == ("12.5", "7")
