"""Reading a merchant's catalogue file: CSV or JSON lines, plain or gzipped. The format: docs/howto/catalogues.md.

A bad record is skipped as a whole and reported with its first line; it never stops the rest of the file.
"""

import gzip
import io
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from platforms.errors import NotANumber
from platforms.values import code_text, json_number, normal_text, price_of
from sandbox.chance import number_of
from sandbox.records import RecordReader, sniff_delimiter, undecoded

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
CODES = frozenset({"id", "sku", "barcode", "modelno"})
_OTHER_FORMS = {
    b"PK\x03\x04": "an Excel workbook or another zip file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of the old form",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_decoder = msgspec.json.Decoder(float_hook=json_number)


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


@contextmanager
def _lines(path: Path) -> Generator[Iterator[str]]:
    """The lines with their endings (LF, CRLF or CR), without a byte order mark; bytes that are no UTF-8 come as
    surrogates."""
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        _check_form(file.peek(4096))
        yield io.TextIOWrapper(cast("IO[bytes]", file), "utf-8-sig", errors="surrogateescape", newline="")


def _check_form(head: bytes) -> None:
    for mark, form in _OTHER_FORMS.items():
        if head.startswith(mark):
            raise CatalogueUnreadable(f"the file is {form}; save it as CSV in UTF-8")
    if b"\0" in head:
        raise CatalogueUnreadable("the file is no text in UTF-8 (it holds zero bytes); save it as CSV in UTF-8")


def _clean(value: object, column: str) -> str:
    if value is None:
        return ""
    return code_text(str(value)) if column in CODES else normal_text(str(value))


def _price(value: Any) -> Decimal | None:
    """A price in VND, see `price_of`; None where it is blank."""
    if value is None or (isinstance(value, str) and not normal_text(value)):
        return None
    try:
        return price_of(value)
    except NotANumber as error:
        raise _BadRow(f"price {error}") from error


def platform_id(text: str) -> int:
    """A file's id as a platform's number: digits stay what they are, other text gives a number derived from it."""
    if text.isascii() and text.isdigit() and len(text) <= ID_DIGITS:
        return int(text)
    return 10**12 + number_of(text, 12)


def _row(line: int, fields: dict[str, Any]) -> Row:
    raw: dict[str, Any] = {}
    values: dict[str, str] = {}
    for name, headers in ALIASES.items():
        given = next((header for header in headers if _clean(fields.get(header), name)), None)
        raw[name] = fields.get(given) if given else None
        values[name] = _clean(raw[name], name)
    if "product_name" in fields or "_id" in fields:  # Open Food Facts: its ids are barcodes, not a platform's
        code = _clean(fields.get("code"), "barcode") or _clean(fields.get("_id"), "barcode")
        values["barcode"] = values["barcode"] or code
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
        price=_price(raw["price"]),
    )


def _json_rows(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any] | _BadRow]]:
    for number, line in enumerate(lines, start=1):
        text = line.strip("\ufeff \t\r\n")
        if not text:
            continue
        try:
            yield number, _json_fields(text)
        except _BadRow as error:
            yield number, error


def _json_fields(text: str) -> dict[str, Any]:
    problem = undecoded(text)
    if problem:
        raise _BadRow(problem)
    try:
        fields = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _BadRow(f"not JSON: {error}") from error
    if not isinstance(fields, dict):
        raise _BadRow("not a JSON object")
    return fields


def _csv_rows(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, Any] | _BadRow]]:
    """Each record by the names of the header, which is the first record."""
    reader = RecordReader(lines)
    names = _header(reader)
    for record in reader:
        problem = record.problem
        if problem is None and len(record.cells) != len(names):
            problem = f"{len(record.cells)} columns where the header has {len(names)}"
        yield record.line, _BadRow(problem) if problem else dict(zip(names, record.cells, strict=True))


def _header(reader: RecordReader) -> list[str]:
    """The names of the columns in small letters; sets the reader's delimiter and shape of a record."""
    first = reader.first_line()
    if first is None:
        raise CatalogueUnreadable("the file is empty")
    told = re.fullmatch(r"sep=(.)\r?\n?", first)  # Excel's line for the delimiter
    if told:
        reader.skip_line()
        first = reader.first_line() or ""
    reader.delimiter = told[1] if told else sniff_delimiter(first)
    header = next(reader, None)
    if header is None or header.problem:
        raise CatalogueUnreadable(f"the header is unreadable: {header.problem if header else 'it is missing'}")
    names = [" ".join(code_text(name).lower().split()) for name in header.cells]
    missing = [" or ".join(ALIASES[needed]) for needed in ("id", "title") if not set(ALIASES[needed]) & set(names)]
    if missing:
        raise CatalogueUnreadable(
            f"the header has no column {' and no column '.join(missing)}; it has: {', '.join(names)[:200]}"
        )
    twice = next((name for headers in ALIASES.values() for name in headers if names.count(name) > 1), None)
    if twice:
        raise CatalogueUnreadable(f"the header has two columns {twice}")
    return names


def _is_json(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return bool({".jsonl", ".ndjson", ".json"} & set(suffixes[-2:]))


def load(path: Path) -> Catalogue:
    """Read a catalogue file.

    Raises CatalogueUnreadable when the file is missing, can't be opened, is no UTF-8 text or lacks the id or title
    column. Blank lines are not rows.
    """
    rows: list[Row] = []
    skipped: list[Skipped] = []
    seen: dict[int, int] = {}
    try:
        with _lines(path) as lines:
            for number, fields in _json_rows(lines) if _is_json(path) else _csv_rows(lines):
                try:
                    if isinstance(fields, _BadRow):
                        raise fields
                    row = _row(number, fields)
                    if row.id in seen:
                        raise _BadRow(f"id already used on line {seen[row.id]}")
                except _BadRow as error:
                    skipped.append(Skipped(number, str(error)))
                    continue
                seen[row.id] = number
                rows.append(row)
    except (OSError, EOFError) as error:
        raise CatalogueUnreadable(f"{path}: {error}") from error
    except CatalogueUnreadable as error:
        raise CatalogueUnreadable(f"{path}: {error}") from None
    return Catalogue(rows, skipped)
