"""Reading a merchant's catalogue file: CSV or JSON lines, plain or gzipped. docs/howto/catalogues.md tells how.

A malformed row is skipped and reported with its line number; it never stops the rest of the file.
"""

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from sandbox.chance import number_of

DELIMITERS = ("\t", "|", "#", ";", ",")
# Ids up to this many digits are kept as they are; variants and inventory items are numbered from them.
ID_DIGITS = 15
ALIASES = {
    "id": ("id",),
    "title": ("title", "name", "product_name"),
    "sku": ("sku",),
    "barcode": ("barcode", "gtin", "ean", "upc"),
    "modelno": ("modelno",),
    "brand": ("brand", "manufacturer", "brands"),
    "description": ("description",),
    "price": ("price",),
}


class CatalogueUnreadable(Exception):
    """The whole file can't be used; the message says why and what to change."""


class Skipped(msgspec.Struct):
    """One row that was left out. `line` counts from 1, the header included."""

    line: int
    reason: str


class Row(msgspec.Struct, kw_only=True):
    """One usable row. `id` is the platform's own id: the file's if it is a number, else one derived from it."""

    line: int
    id: int
    title: str
    sku: str | None = None
    barcode: str | None = None
    modelno: str | None = None
    brand: str = ""
    description: str = ""
    price: Decimal | None = None


class Catalogue(msgspec.Struct):
    """A loaded file: usable rows, and the data rows that were skipped with their reasons."""

    rows: list[Row]
    skipped: list[Skipped]


class _BadRow(Exception):
    """Why one row is skipped."""


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            yield number, line.rstrip(b"\r\n")


def sniff_delimiter(header: str) -> str:
    """The delimiter that cuts the header line into the most pieces; ties go to the rarer character."""
    counts = Counter({delimiter: header.count(delimiter) for delimiter in DELIMITERS})
    delimiter, found = counts.most_common(1)[0]
    return delimiter if found else ","


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _BadRow(f"not UTF-8 at byte {error.start + 1} of the line") from error


def _clean(value: object) -> str:
    return str(value).strip() if value is not None else ""


def _price(text: str) -> Decimal | None:
    """A price in VND: '14.95', '$14.95', '1,699.00' and '' (unknown) are understood."""
    bare = text.lstrip("$₫ ").removesuffix("₫").removesuffix("VND").strip().replace(",", "")
    if not bare:
        return None
    try:
        price = Decimal(bare)
    except InvalidOperation as error:
        raise _BadRow(f"price {text[:40]!r} is not a number") from error
    if not price.is_finite() or price < 0:
        raise _BadRow(f"price {text[:40]!r} is not a price")
    return price


def platform_id(text: str) -> int:
    """A file's id as a platform's number: digits stay what they are, other text gives a number derived from it."""
    if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS:
        return int(text)
    return 10**12 + number_of(text, 12)


def _row(line: int, fields: dict[str, Any]) -> Row:
    values: dict[str, str] = {}
    for name, headers in ALIASES.items():
        values[name] = next((text for header in headers if (text := _clean(fields.get(header)))), "")
    if "product_name" in fields or "_id" in fields:  # Open Food Facts: its ids are barcodes, not a platform's
        values["barcode"] = values["barcode"] or _clean(fields.get("code")) or _clean(fields.get("_id"))
        values["id"] = str(line)
        values["brand"] = values["brand"].split(",")[0].strip()
    if not values["id"]:
        raise _BadRow("no id")
    if not values["title"]:
        raise _BadRow("no title")
    return Row(
        line=line,
        id=platform_id(values["id"]),
        title=values["title"],
        sku=values["sku"] or None,
        barcode=values["barcode"] or None,
        modelno=values["modelno"] or None,
        brand=values["brand"],
        description=values["description"],
        price=_price(values["price"]),
    )


def _json_fields(line: bytes) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(_text(line).encode())
    except msgspec.DecodeError as error:
        raise _BadRow(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise _BadRow("not a JSON object")
    return fields


def _csv_cells(line: str, delimiter: str) -> list[str]:
    # A lone quotation mark is an inch sign (`19" screen`), so quoting counts only where the line balances.
    quoting = csv.QUOTE_MINIMAL if line.count('"') % 2 == 0 else csv.QUOTE_NONE
    return next(csv.reader(io.StringIO(line), delimiter=delimiter, quoting=quoting), [])


def _header(line: bytes) -> tuple[list[str], str]:
    try:
        text = _text(line)
    except _BadRow as error:
        raise CatalogueUnreadable(f"the header is {error}") from error
    delimiter = sniff_delimiter(text)
    names = [name.strip().lower() for name in _csv_cells(text, delimiter)]
    missing = [" or ".join(ALIASES[needed]) for needed in ("id", "title") if not set(ALIASES[needed]) & set(names)]
    if missing:
        raise CatalogueUnreadable(
            f"the header has no column {' and no column '.join(missing)}; it has: {', '.join(names)[:200]}"
        )
    return names, delimiter


def _is_json(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return bool({".jsonl", ".ndjson", ".json"} & set(suffixes[-2:]))


def load(path: Path) -> Catalogue:
    """Read a catalogue file.

    Raises CatalogueUnreadable when the file is missing, can't be opened or lacks the id or title column.
    Blank lines are not rows. Records may not span lines.
    """
    rows: list[Row] = []
    skipped: list[Skipped] = []
    seen: dict[int, int] = {}
    names: list[str] = []
    delimiter = ","
    as_json = _is_json(path)
    try:
        for number, line in _lines(path):
            if not line.strip():
                continue
            if not as_json and not names:
                names, delimiter = _header(line)
                continue
            try:
                if as_json:
                    fields = _json_fields(line)
                else:
                    cells = _csv_cells(_text(line), delimiter)
                    if len(cells) != len(names):
                        raise _BadRow(f"{len(cells)} columns where the header has {len(names)}")
                    fields = dict(zip(names, cells, strict=True))
                row = _row(number, fields)
                if row.id in seen:
                    raise _BadRow(f"id already used on line {seen[row.id]}")
            except (_BadRow, csv.Error) as error:
                skipped.append(Skipped(number, str(error)))
                continue
            seen[row.id] = number
            rows.append(row)
    except (OSError, EOFError) as error:
        raise CatalogueUnreadable(f"{path}: {error}") from error
    if not as_json and not names:
        raise CatalogueUnreadable(f"{path} is empty")
    return Catalogue(rows, skipped)
