"""The list of sales, from the puller's view."""

from typing import Any

import httpx
from tests.api_answers import problem, shown

from service_kit.database import migrate

SALES = [
    ("order", "1", None, "54", "1"),
    ("order", "2", None, "60", "42"),
    ("bill", "10", "2", None, None),  # of an order: no sale of its own
    ("bill", "11", None, None, None),
]


def test_sales_are_listed_filtered_and_paged(*, api: httpx.Client, system: Any, connection: Any, tenant: str) -> None:
    assert shown(api, "/orders", tenant=tenant)["missing"] == "puller has never started"
    migrate(system.database_url, "puller", ["worker", "puller"])
    connection.execute("ALTER VIEW puller.api_orders RENAME TO later")
    assert shown(api, "/orders", tenant=tenant)["missing"] == "puller has not been upgraded yet"
    connection.execute("ALTER VIEW puller.later RENAME TO api_orders")
    for kind, document, order, status, channel in SALES:
        connection.execute(
            "INSERT INTO puller.sales_document (tenant, account, platform, kind, document_id, order_id, customer_id, "
            "status_word, channel_word, total, currency, content_hash, seen_by_job, changed_at) "
            "VALUES (%s, 'demo-shop', 'nhanh', %s, %s, %s, 'c1', %s, %s, 120000.5, 'VND', 'h', 'job', now())",
            [tenant, kind, document, order, status, channel],
        )

    def listed(**query: Any) -> list[tuple[str, str]]:
        answer = shown(api, "/orders", tenant=tenant, **query)
        assert answer["total"] == len(answer["orders"])
        return [(row["kind"], row["document_id"]) for row in answer["orders"]]

    assert listed() == [("bill", "11"), ("order", "1"), ("order", "2")]
    assert listed(account="demo-shop", platform="nhanh", kind="order") == [("order", "1"), ("order", "2")]
    assert listed(status="60") == listed(channel="42") == [("order", "2")]
    assert listed(customer_id="c2") == listed(account="nobody") == []
    assert listed(text="11") == [("bill", "11")]
    (order,) = shown(api, "/orders", tenant=tenant, status="60")["orders"]
    assert (order["bill_ids"], order["order_id"], float(order["total"])) == (["10"], "2", 120000.5)

    found: list[str] = []
    page = shown(api, "/orders", tenant=tenant, limit=1)
    while True:
        found += [row["document_id"] for row in page["orders"]]
        if page["next"] is None:
            break
        page = shown(api, "/orders", tenant=tenant, limit=1, cursor=page["next"])
    assert found == ["11", "1", "2"]
    problem(api.get("/orders", params={"kind": "gift"}), 422, "kind")
    problem(api.get("/orders", params={"wait_for": "x"}), 422, "wait_for")
