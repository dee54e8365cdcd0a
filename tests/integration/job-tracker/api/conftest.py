"""The API of one system for each test file; each test has a tenant of its own."""

from typing import Any

import httpx
import psycopg
import pytest


@pytest.fixture(scope="module")
def system(shared_system: Any) -> Any:
    return shared_system


@pytest.fixture(scope="module")
def api(shared_api: httpx.Client) -> httpx.Client:
    return shared_api


@pytest.fixture(scope="module")
def connection(shared_connection: psycopg.Connection[Any]) -> psycopg.Connection[Any]:
    return shared_connection


@pytest.fixture
def tenant(shop: dict[str, str]) -> str:
    return shop["tenant"]


@pytest.fixture
def asked(tenant: str) -> dict[str, Any]:
    """The body of a job request."""
    return {"type": "PULL_NHANH_PRODUCTS", "tenant": tenant, "account": "demo-shop"}


@pytest.fixture
def stream(make_stream: Any, tenant: str) -> Any:
    return make_stream(7, tenant)
