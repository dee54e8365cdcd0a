"""Articles and persons as Shopify keeps them: documents in the shape of its GraphQL objects."""

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from sandbox.articles import Article, Person, Unit
from sandbox.ids import gid
from sandbox.people import e164, local_form, plain
from sandbox.state import Doc, Record, get

CURRENCY = "VND"
FIRST_LOCATION = 90_100_000_000
_CLEAN_MOBILE = re.compile(r"0[35789]\d{8}")


def moment(seconds: int) -> str:
    """Unix seconds as a DateTime scalar."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def money(amount: Decimal | None) -> str:
    """A Money scalar: two decimals always, '0.00' for an unknown price."""
    return f"{amount or Decimal(0):.2f}"


def location_record(number: int, name: str) -> Record:
    """One location."""
    doc: Doc = {
        "__typename": "Location",
        "id": gid("Location", number),
        "legacyResourceId": str(number),
        "name": name,
        "isActive": True,
        "fulfillsOnlineOrders": True,
        "shipsInventory": True,
        "hasActiveInventory": True,
        "createdAt": moment(1_700_000_000),
        "updatedAt": moment(1_700_000_000),
    }
    return Record(kind="location", id=number, doc=doc, title=name, updated_at=1_700_000_000)


def _variant(article: Article, number: int, place: int, unit: Unit, locations: list[int]) -> Record:
    title = unit.option or "Default Title"
    doc: Doc = {
        "__typename": "ProductVariant",
        "id": gid("ProductVariant", number),
        "legacyResourceId": str(number),
        "title": title,
        "displayName": f"{article.title} - {title}",
        "sku": unit.sku,
        "barcode": unit.barcode,
        "price": money(unit.price),
        "compareAtPrice": None,
        "position": place,
        "inventoryPolicy": "DENY",
        "availableForSale": True,
        "taxable": True,
        "createdAt": moment(article.updated_at - 86_400),
        "updatedAt": moment(article.updated_at),
        "selectedOptions": [{"name": "Size" if unit.option else "Title", "value": title}],
        "_number": number,
        "_product": article.id,
        "_tracked": True,
        "_cost": None,
        "_levels": {str(at): quantity for at, quantity in zip(locations, unit.stock, strict=False)},
        "_truth": f"{article.truth}/{unit.option or ''}" if article.truth else None,
    }
    return Record(
        kind="variant",
        id=number,
        doc=doc,
        parent=str(article.id),
        code=unit.sku,
        barcode=unit.barcode,
        title=article.title,
        updated_at=article.updated_at,
        stock_updated_at=article.updated_at,
    )


def product_records(articles: list[Article], locations: list[int]) -> Iterator[Record]:
    """A product record and its variants' records for each article."""
    for article in articles:
        options = [unit.option for unit in article.units if unit.option]
        doc: Doc = {
            "__typename": "Product",
            "id": gid("Product", article.id),
            "legacyResourceId": str(article.id),
            "title": article.title,
            "handle": f"{re.sub('[^a-z0-9]+', '-', plain(article.title).lower()).strip('-')[:80]}-{article.id}",
            "vendor": article.brand,
            "productType": "",
            "status": "ACTIVE",
            "description": article.description,
            "descriptionHtml": article.description,
            "tags": [],
            "hasOnlyDefaultVariant": not options,
            "tracksInventory": True,
            "createdAt": moment(article.updated_at - 86_400),
            "publishedAt": moment(article.updated_at - 86_400),
            "updatedAt": moment(article.updated_at),
            "_number": article.id,
            "_truth": article.truth,
        }
        yield Record(kind="product", id=article.id, doc=doc, title=article.title, updated_at=article.updated_at)
        for place, unit in enumerate(article.units, start=1):
            yield _variant(article, article.id * 100 + place, place, unit, locations)


def _address(number: int, person: Person) -> Doc:
    return {
        "__typename": "MailingAddress",
        "id": gid("MailingAddress", f"{number}?model_name=CustomerAddress"),
        "address1": person.address,
        "address2": None,
        "city": person.city,
        "company": person.company,
        "country": "Vietnam",
        "countryCodeV2": "VN",
        "province": None,
        "provinceCode": None,
        "zip": None,
        "firstName": person.given,
        "lastName": person.family,
        "phone": person.phone,
    }


def customer_records(
    persons: list[Person], taken_phones: Collection[str] = (), taken_emails: Collection[str] = ()
) -> Iterator[Record]:
    """Customers. Phones and e-mails are unique in a shop, and a phone is E.164: one that can't be the customer's
    own (taken already, or written too messily for Shopify's form) stays in the address, where anything goes."""
    phones = set(taken_phones)
    emails = set(taken_emails)
    for person in persons:
        local = local_form(person.phone or "")
        phone = e164(local) if _CLEAN_MOBILE.fullmatch(local) else None
        phone = None if phone in phones else phone
        email = person.email.lower() if person.email else None
        email = None if email in emails else email
        phones.add(phone or "")
        emails.add(email or "")
        has_address = bool(person.address or (person.phone and not phone))
        doc: Doc = {
            "__typename": "Customer",
            "id": gid("Customer", person.id),
            "legacyResourceId": str(person.id),
            "firstName": person.given,
            "lastName": person.family,
            "locale": "vi",
            "note": None,
            "tags": [],
            "state": "DISABLED",
            "taxExempt": False,
            "verifiedEmail": True,
            "numberOfOrders": str(person.orders),
            "amountSpent": {"amount": money(person.spent), "currencyCode": CURRENCY},
            "defaultEmailAddress": {"emailAddress": email} if email else None,
            "defaultPhoneNumber": {"phoneNumber": phone} if phone else None,
            "createdAt": moment(person.updated_at - 86_400),
            "updatedAt": moment(person.updated_at),
            "_number": person.id,
            "_addresses": [_address(person.id + 1, person)] if has_address else [],
            "_truth": person.truth,
        }
        yield customer_of(doc, person.updated_at)


def customer_of(doc: Doc, updated_at: int) -> Record:
    """The record of a customer's document."""
    email, phone = doc["defaultEmailAddress"], doc["defaultPhoneNumber"]
    return Record(
        kind="customer",
        id=doc["_number"],
        doc=doc,
        email=email["emailAddress"] if email else None,
        phone=phone["phoneNumber"] if phone else None,
        title=display_name(doc),
        updated_at=updated_at,
    )


def display_name(doc: Doc) -> str:
    """What Shopify shows for a customer: the name, else the e-mail, else the phone."""
    name = " ".join(part for part in (doc["firstName"], doc["lastName"]) if part)
    email, phone = doc["defaultEmailAddress"], doc["defaultPhoneNumber"]
    return name or (email["emailAddress"] if email else "") or (phone["phoneNumber"] if phone else "")


def touched_products(connection: sqlite3.Connection, shop: str, variants: Iterable[Record], now: int) -> list[Record]:
    """The products of `variants`, changed now: Shopify counts a change of a variant, and an adjustment of its stock, as
    a change of the product."""
    numbers = dict.fromkeys(int(variant.parent or 0) for variant in variants)
    found = [get(connection, shop, "product", number) for number in numbers]
    return [touched(product, now) for product in found if product is not None]


def touched(record: Record, now: int) -> Record:
    """A record changed now: its times say so."""
    doc = {**record.doc, "updatedAt": moment(now)}
    return msgspec.structs.replace(record, doc=doc, updated_at=now)
