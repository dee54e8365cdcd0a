"""SKUs, barcodes, e-mail addresses and texts as they compare."""

import pytest

from matcher.domain.emails import email_key
from matcher.domain.keys import barcode_key, sku_key
from matcher.domain.text import distinctions, fold, full_name, measures, model_numbers


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
        ("at-0001", "AT0001"),
        (" AT 0001 ", "AT0001"),
        ("Áo-Đỏ-1", "AODO1"),
        ("n/a", None),
        ("12", None),
        ("0000", None),
        ("-", None),
        (None, None),
    ],
)
def test_skus(text, key):
    assert sku_key(text) == key


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
