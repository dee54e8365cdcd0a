"""Checks of HTTP answers: success, an accepted command, the content of a read, a problem."""

from typing import Any

import httpx


def answers(url: str) -> bool:
    """Whether this address answers with success. A process that is starting refuses the connection."""
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.TransportError:
        return False


def accepted(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 202, response.text
    return response.json()


def shown(api: httpx.Client, path: str, token: str | None = None, **query: Any) -> dict[str, Any]:
    response = api.get(path, params=query | ({"wait_for": token} if token else {}))
    assert response.status_code == 200, response.text
    assert response.headers["Jobtrail-Freshness"] == response.json()["freshness"]["token"]
    return response.json()


def problem(response: httpx.Response, status: int, field: str | None = None) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    if field is not None:
        assert field in [error["field"] for error in body["errors"]], body
    return body
