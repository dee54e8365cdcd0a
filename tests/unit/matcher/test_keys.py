"""SKUs, barcodes, e-mail addresses and texts as they compare."""

import pytest

from matcher.domain.emails import email_key
from matcher.domain.keys import barcode_hint, barcode_key, sku_code, sku_hints, sku_key
from matcher.domain.text import distinctions, fold, full_name, measures, model_numbers, same_words, words


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("036000291452", "00036000291452"),  # UPC-A
        ("0036000291452", "00036000291452"),  # the same as EAN-13
        ("00036000291452", "00036000291452"),  # and as GTIN-14
        ("8934563138164", None),  # wrong check digit
        ("8934563138165", "08934563138165"),
        ("'8934563138165", "08934563138165"),
        ("8934563138165.0", "08934563138165"),
        ("893-4563-138165", "08934563138165"),
        ("96385074", "00000096385074"),  # EAN-8
        ("0000000000000", None),
        ("1111111111116", None),
        ("8934563138165,0", "08934563138165"),
        ("８９３４５６３１３８１６５", "08934563138165"),  # full-width digits
        ("\ufeff8934563138165\u200b", "08934563138165"),
        ("\u00a08934563138165 ", "08934563138165"),
        ("8.93E+12", None),
        ("18934563138162", "18934563138162"),  # a carton: another GTIN than what is in it
        ("9780306406157", "09780306406157"),  # a book
        ("0306406152", None),  # its ISBN-10 is no GTIN
        ("2000000000008", None),
        ("2012345678900", None),  # in-store: every shop gives out these
        ("0212345678901", None),
        ("212345678901", None),
        ("0412345678909", None),
        ("20000042", None),
        ("9912345678906", None),  # a coupon
        ("123456789012", None),  # its check digit holds, but it is counting
        ("1234567890128", None),
        ("12345670", None),
        ("12345", None),
        ("ABC4563138165", None),
        ("", None),
        (None, None),
    ],
)
def test_barcodes(text, key):
    assert barcode_key(text) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("at-0001", "at-0001"),
        (" AT-0001 ", "at-0001"),
        ("AT 0001", "at 0001"),
        ("AT\u00a00001", "at 0001"),
        ("\ufeffAT-\u200b0001\u2060", "at-0001"),
        ("'AT-0001", "at-0001"),
        ("A\u0301o-1", "áo-1"),  # decomposed
        ("Áo-Đỏ-1", "áo-đỏ-1"),
        ("NC1", "nc1"),
        ("SP000123", "sp000123"),
        ("1.02.34", "1.02.34"),
        ("1E5", "1e5"),
        ("KHONG-01", "khong-01"),
    ],
)
def test_skus_as_written(text, key):
    assert sku_key(text) == key
    assert sku_code(text) == key


@pytest.mark.parametrize(
    "text",
    [
        *("", None, " ", "-", "...", "--", "\u200b", "?", "0", "000", "0000", "xxx", "XXXX", "aaa", "1111"),
        *("n/a", "N.A.", "#N/A", "#REF!", "#VALUE!", "none", "NULL", "nan", "undefined", "empty", "tbd", "TBA"),
        *("không", "Khong", "không có", "KHÔNG CÓ MÃ", "chưa có", "chua co", "chưa cập nhật", "mã", "Mã SP", "trống"),
        *("sku", "SKU", "barcode", "code", "default", "Default Title", "test", "TEST1", "test 2", "demo", "temp"),
        *("123", "1234", "123456", "0123456789", "987654321", "654321", "abc", "abc123", "asdf", "qwerty"),
        *("sản phẩm", "Product"),
        *("8.93E+12", "8,93E+12", "8.93456E12", "1E+05", "12345.0", "12345,00", "8934563138165.0"),
        *("02-Jan", "Jan-24", "1-thg 2", "2024-01-02 00:00:00"),
    ],
)
def test_fields_that_hold_no_sku(text):
    assert sku_code(text) is None
    assert sku_key(text) is None


@pytest.mark.parametrize("text", ["12", "A1", "7", "532", "XXL", "Freesize", "đen", "black", "combo", "khác"])
def test_skus_too_short_or_too_general_to_name_a_product(text):
    assert sku_code(text) == text.casefold()
    assert sku_key(text) is None
    assert sku_hints(text) == frozenset()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("AT-01", "AT01"),
        ("AT-01", "at_01"),
        ("AT 0001", "AT-1"),  # leading zeros
        ("AT-01-XL", "XL-AT-01"),
        ("ÁO-ĐỎ-1", "AO-DO-1"),
        ("SONY350", "S0NY35O"),
        ("ＡＴ０１", "AT01"),
        ("8934563138165.0", "8934563138165"),
    ],
)
def test_looser_forms_of_skus_only_suggest(one, other):
    assert sku_hints(one) & sku_hints(other)
    assert sku_key(one) != sku_key(other)


@pytest.mark.parametrize(("one", "other"), [("AT-01", "AT-02"), ("AT-10", "AT-01"), ("khong", "khong"), ("XL", "XL")])
def test_skus_that_suggest_nothing(one, other):
    assert not sku_hints(one) & sku_hints(other)


@pytest.mark.parametrize(
    ("one", "other", "suggests"),
    [
        ("893456", "893456", True),
        ("36000291452", "036000291452", True),  # a leading zero is lost
        ("2012345678900", "2012345678900", True),  # in-store
        ("8934563138164", "8934563138164", True),  # wrong check digit on both sides
        ("0306406152", "9780306406157", True),
        ("BC-893", "bc893", True),
        ("8.93E+12", "8.93E+12", False),
        ("không có", "không có", False),
        ("0000000000000", "0000000000000", False),
        ("12", "12", False),
    ],
)
def test_barcodes_that_are_no_gtin_suggest(one, other, suggests):
    assert (barcode_hint(one) is not None and barcode_hint(one) == barcode_hint(other)) == suggests


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (" Le.Cuong+shop@Gmail.com ", "lecuong@gmail.com"),
        ("le.cuong@firma.vn", "le.cuong@firma.vn"),
        ("<dung@googlemail.com>", "dung@gmail.com"),
        ("noemail@shop.vn", None),
        ("khachle@gmail.com", None),
        ("an@example.com", None),
        ("an@", None),
        ("an at firma.vn", None),
        (None, None),
    ],
)
def test_emails(text, key):
    assert email_key(text) == key


def test_texts_lose_case_accents_and_punctuation():
    assert fold("Đồng hồ  Casio, nữ — “Vintage”") == "dong ho casio nu vintage"
    assert fold("Men's") == "mens"
    assert fold(None) == ""


def test_accents_are_part_of_a_word_and_their_place_in_it_is_not():
    assert len({word for text in ("bò", "bơ", "bó", "bo", "đo") for word in words(text)}) == 5
    assert words("bo\u0300") == words("bò")
    assert words("hoà thuỷ") == words("hòa thủy")
    assert words("BÒ\u00a0KHÔ\u200b") == words("bò khô")
    assert same_words("Bò khô, 200g", "bò KHÔ 200g")
    assert not same_words("Bò khô", "Bơ khô")
    assert not same_words("Bò khô", "Bò khô cay")
    assert not same_words("", "")


def test_a_variant_is_part_of_the_name_unless_it_says_nothing():
    assert full_name("Áo thun", "Default Title") == "Áo thun"
    assert full_name("Áo thun", "XL / đỏ") == "Áo thun XL / đỏ"
    assert full_name("Áo thun XL", "xl") == "Áo thun XL"
    assert full_name(None, None) == ""


def test_model_numbers_and_what_tells_siblings_apart():
    assert model_numbers("Sony Turntable - PSLX350H") == {"PSLX350H"}
    assert model_numbers("Belkin Cable - F3H982-10 6ft") == {"F3H98210"}
    assert model_numbers("iPhone 12 128GB") == {"128GB"}
    assert distinctions("ao thun 12 xl") == {"12", "xl"}
    assert measures("iphone 12 64 gb") == {"64gb"}
    assert measures("sua tam 500ml xl") == {"500ml", "xl"}
