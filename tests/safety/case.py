"""The format of a safety case: what stands in tests/safety/*.yaml, read strictly. docs/howto/safety.md explains it."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

RecordKind = Literal["product", "customer"]
FOLDER = Path(__file__).parent
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


class JobExpectation(Struct, frozen=True, forbid_unknown_fields=True):
    """How a job ends. Omitted fields are not compared; `message` is a part of the error's message."""

    outcome: str | None = None
    error: str | None = None
    message: str | None = None
    counters: dict[str, int] = {}
    metadata: dict[str, Any] = {}


class ItemExpectation(Struct, frozen=True, forbid_unknown_fields=True):
    """One item of the step's last sync or revert, or of its last job where there is none.

    changes: field -> [before, after]. All other texts are parts of what is found.
    """

    action: str | None = None
    error: str | None = None
    message: str | None = None
    held: str | None = None
    about: dict[str, str] = {}
    changes: dict[str, list[Any]] | None = None


class Expect(Struct, frozen=True, forbid_unknown_fields=True):
    """What a step must lead to. Only `writes` is compared when it is omitted: then the shop received no write.

    links: all links, hub -> shop. reviews: these suggestions are there, each with a part of its reason; an empty
    mapping means that there is none. holds: values in the shop after the step. held: all held items of the last sync
    with a part of the reason. jobs: job -> "outcome [error code]"; a job that is not named ends with success.
    find: search text -> hub ids. waits: seconds that pass at least after each call that a 429 fault hit.
    """

    links: dict[str, str] | None = None
    reviews: dict[str, dict[str, str]] | None = None
    writes: dict[str, dict[str, Any]] = {}
    holds: dict[str, dict[str, Any]] = {}
    held: dict[str, str] | None = None
    items: dict[str, ItemExpectation] = {}
    jobs: dict[str, str | JobExpectation] = {}
    find: dict[str, list[str]] = {}
    waits: float | None = None


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """Edits in both back offices, then jobs, then what they must lead to."""

    expect: Expect
    hub: dict[str, dict[str, Any]] = {}
    shop: dict[str, dict[str, Any]] = {}
    hub_new: str = ""
    shop_new: str = ""
    hub_gone: list[str] = []
    shop_gone: list[str] = []
    decide: dict[str, str | None] = {}
    settings: dict[str, Any] = {}
    switches: dict[str, dict[str, Any]] = {}
    faults: list[dict[str, Any]] = []
    run: Literal["chain"] | list[str | dict[str, dict[str, Any]]] = "chain"
    params: dict[str, dict[str, Any]] = {}


class RawFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A catalogue file byte for byte, for the loader of files. `rejects`: line -> part of the reason, all of them."""

    file: str
    rejects: dict[str, str] = {}


class Case(Struct, frozen=True, forbid_unknown_fields=True):
    """One account: what its two sides hold, its settings, and the steps that it goes through."""

    id: str
    clause: str
    why: str
    nhanh: str | RawFile
    shopify: str | RawFile
    steps: list[Step]
    settings: dict[str, Any] = {}
    switches: dict[str, dict[str, Any]] = {}

    @property
    def kind(self) -> RecordKind:
        """Customers where a side's header has a name and no title."""
        text = self.nhanh if isinstance(self.nhanh, str) else self.nhanh.file
        header = text.lstrip("\ufeff \n").partition("\n")[0].lower()
        return "customer" if "phone" in header or "email" in header else "product"


class BadCase(Exception):
    """A case that cannot be read: file, case and reason."""


def load_cases(folder: Path = FOLDER) -> list[Case]:
    """Every case of every file. Raises BadCase."""
    found: list[Case] = []
    for path in sorted(folder.glob("*.yaml")):
        for position, raw in enumerate(yaml.safe_load(path.read_text("utf-8")) or [], start=1):
            try:
                found.append(msgspec.convert(as_text(raw), Case))
            except (msgspec.ValidationError, ValueError) as error:
                name = raw.get("id", f"number {position}") if isinstance(raw, dict) else f"number {position}"
                raise BadCase(f"{path.name}, case {name}: {error}") from error
    ids = [case.id for case in found]
    twice = sorted({one for one in ids if ids.count(one) > 1})
    if twice:
        raise BadCase(f"ids that two cases have: {', '.join(twice)}")
    return found


def as_text(value: Any) -> Any:
    """Keys as text, and ranges of ids expanded: YAML reads 504 as a number, and `1..60: x` means 60 entries."""
    if isinstance(value, list):
        return [as_text(one) for one in value]
    if not isinstance(value, dict):
        return value
    result: dict[Any, Any] = {}
    for key, inner in value.items():
        expanded = expand(str(key))
        if len(expanded) == 1:
            result[str(key)] = as_text(inner)
            continue
        values = (
            expand(inner) if isinstance(inner, str) and _RANGE.fullmatch(inner) else [as_text(inner)] * len(expanded)
        )
        if len(values) != len(expanded):
            raise ValueError(f"{key} and {inner} are not of one length")
        result.update(zip(expanded, values, strict=True))
    return _ids_as_text(result)


def _ids_as_text(mapping: dict[Any, Any]) -> dict[Any, Any]:
    """Ids on the right side of links and decisions, and in lists of ids, are texts as well."""
    for name in ("links", "decide"):
        if isinstance(mapping.get(name), dict):
            mapping[name] = {left: None if right is None else str(right) for left, right in mapping[name].items()}
    for name in ("hub_gone", "shop_gone", "only"):
        if isinstance(mapping.get(name), list):
            mapping[name] = [one for text in mapping[name] for one in expand(str(text))]
    if isinstance(mapping.get("find"), dict):
        mapping["find"] = {text: [str(one) for one in ids] for text, ids in mapping["find"].items()}
    return mapping


def expand(text: str) -> list[str]:
    """`1..3` as 1, 2, 3; any other text as it is."""
    found = _RANGE.fullmatch(text)
    return [str(number) for number in range(int(found[1]), int(found[2]) + 1)] if found else [text]


def rows(text: str) -> list[dict[str, str]]:
    """The rows of a CSV block. In a row whose id is `1..60`, {n} in the other cells is the number."""
    found: list[dict[str, str]] = []
    for row in csv.DictReader(io.StringIO(text.strip()), skipinitialspace=True):
        if None in row or None in row.values():
            raise ValueError(f"a row has another number of columns than the header: {row}")
        found.extend(
            {name: cell.strip().replace("{n}", number) for name, cell in row.items()} | {"id": number}
            for number in expand(row["id"].strip())
        )
    return found


def articles(given: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Rows as the sandbox takes products; rows `700/1`, `700/2` are the variants of product 700."""
    made: dict[str, dict[str, Any]] = {}
    for row in given:
        product, _, place = row["id"].partition("/")
        article = made.setdefault(product, {"id": int(product), "title": row["title"], "units": []})
        for name in ("brand", "model", "description"):
            if row.get(name):
                article[name] = row[name]
        unit: dict[str, Any] = {"stock": [int(row.get(name) or 0) for name in ("stock", "stock2")]}
        for name in ("sku", "barcode", "price"):
            unit[name] = row.get(name) or None
        if place:
            unit["option"] = row.get("option") or place
        article["units"].append(unit)
    return list(made.values())


def persons(given: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Rows as the sandbox takes customers; the first word of a name is the family name."""
    made: list[dict[str, Any]] = []
    for row in given:
        family, given_name = split_name(row["name"])
        contacts = {name: row.get(name) or None for name in ("phone", "email", "address", "company")}
        made.append({"id": int(row["id"]), "family": family, "given": given_name, **contacts})
    return made


def split_name(name: str) -> tuple[str, str]:
    """(family name, given names); a single word is a given name."""
    family, _, given = name.partition(" ")
    return (family, given) if given else ("", family)
