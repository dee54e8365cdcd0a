"""Articles and persons as Nhanh keeps them: the rows of product/list and customer/list."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sandbox.articles import Article, Person, Unit
from sandbox.chance import number_of
from sandbox.people import local_form
from sandbox.state import Doc, Record

STANDALONE, PARENT = -1, -2


def depot_record(number: int, name: str) -> Record:
    """One depot as business/depot lists it."""
    doc = {
        "id": number,
        "code": f"KHO{number % 100}",
        "name": name,
        "mobile": "02838251234",
        "location": {"cityId": 2, "districtId": 20, "wardId": 200},
        "locationV2": {"cityId": 79, "wardId": 26_734},
    }
    return Record(kind="depot", id=number, doc=doc, updated_at=0, title=name)


def _product(article: Article, number: int, parent: int, unit: Unit | None, depots: list[int]) -> Record:
    name = f"{article.title} {unit.option}" if unit and unit.option else article.title
    retail = float(unit.price) if unit and unit.price is not None else None
    doc: Doc = {
        "id": number,
        "parentId": parent,
        "code": unit.sku if unit else None,
        "barcode": unit.barcode if unit else None,
        "name": name,
        "otherName": article.model,
        "status": 2,
        "priceVatMode": 2,
        "importPriceVatMode": 2,
        "categoryId": None,
        "internalCategoryId": None,
        "prices": {
            "retail": retail,
            "retailVat": None,
            "import": None,
            "importVat": None,
            "old": None,
            "wholesale": None,
            "avgCost": None,
        },
        "images": {"avatar": None, "others": []},
        "warranty": {"month": None, "phone": None, "address": None},
        "brandId": 1_000 + number_of(article.brand, 5) if article.brand else None,
        "type": 1,
        "shipping": {"width": None, "height": None, "length": None, "weight": 200},
        "countryName": None,
        "units": {"name": None, "list": []},
        "combos": [],
        "attributes": _attributes(unit),
        "tagIds": [],
        "createdAt": article.updated_at - 86_400,
        "updatedAt": article.updated_at,
        "_brand": article.brand,
        "_description": article.description,
        "_stock": {str(depot): quantity for depot, quantity in zip(depots, unit.stock, strict=False)} if unit else {},
        "_truth": f"{article.truth}/{unit.option or ''}" if article.truth and unit else None,
    }
    return Record(
        kind="product",
        id=number,
        doc=doc,
        parent=str(parent),
        code=doc["code"],
        barcode=doc["barcode"],
        title=name,
        updated_at=article.updated_at,
        stock_updated_at=article.updated_at,
    )


def _attributes(unit: Unit | None) -> list[dict[str, Any]]:
    if unit is None or unit.option is None:
        return []
    # Live shops show attributes without a name; the reader must not rely on it.
    return [
        {
            "id": 1,
            "name": None,
            "nameOther": None,
            "value": unit.option,
            "code": unit.option,
            "codeOther": None,
        }
    ]


def product_records(articles: list[Article], depots: list[int]) -> Iterator[Record]:
    """One row a standalone product; a parent row and a row a child for products with options."""
    for article in articles:
        if len(article.units) == 1 and article.units[0].option is None:
            yield _product(article, article.id, STANDALONE, article.units[0], depots)
            continue
        yield _product(article, article.id, PARENT, None, depots)
        for place, unit in enumerate(article.units, start=1):
            yield _product(article, article.id + place, article.id, unit, depots)


def customer_record(person: Person) -> Record:
    """One row of customer/list."""
    doc: Doc = {
        "id": person.id,
        "type": 2 if person.company else 1,
        "name": f"{person.family} {person.given}".strip(),
        "mobile": person.phone,
        "code": f"KH{person.id}",
        "gender": person.gender,
        "address": person.address,
        "email": person.email,
        "birthday": person.birthday,
        "points": person.points,
        "saleName": None,
        "startedDate": datetime.fromtimestamp(person.updated_at, UTC).strftime("%Y-%m-%d"),
        "taxCode": None,
        "locations": {"cityId": None, "districtId": None, "wardId": None},
        "location": {"cityId": None, "wardId": None},
        "business": {"name": person.company, "address": None},
        "level": {"id": None, "name": None},
        "group": {"id": None, "name": None},
        "totalAmount": float(person.spent),
        "updatedAt": person.updated_at,
        "_truth": person.truth,
    }
    return customer_of(doc)


def customer_of(doc: Doc) -> Record:
    """The record of a customer's document."""
    return Record(
        kind="customer",
        id=doc["id"],
        doc=doc,
        email=doc["email"],
        phone=local_form(doc["mobile"]) if doc["mobile"] else None,
        title=doc["name"],
        updated_at=doc["updatedAt"],
    )


def public(doc: Doc) -> Doc:
    """A document without the sandbox's own keys."""
    return {key: value for key, value in doc.items() if not key.startswith("_")}


def inventory(stock: dict[str, int], granted: list[int] | None) -> Doc:
    """The `inventory` object. A token limited to some depots sees only their stock, and isn't told so."""
    depots = [
        {"id": int(depot), **_quantities(quantity)}
        for depot, quantity in stock.items()
        if granted is None or int(depot) in granted
    ]
    return {**_quantities(sum(d["remain"] for d in depots)), "depots": depots}


def _quantities(remain: float) -> Doc:
    holding = float(remain > 10)  # one in an order, so that `available` is not `remain`
    return {
        "remain": float(remain) + holding,
        "shipping": 0.0,
        "damaged": 0.0,
        "holding": holding,
        "transfering": 0.0,
        "available": float(remain),
        "warranty": {"remain": 0.0, "holding": 0.0},
    }
