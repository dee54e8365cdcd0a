"""All routes of a FastAPI application, those of included routers too."""

from collections.abc import Iterator
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import Mount, Route


def api_routes(app: Any) -> Iterator[APIRoute]:
    """Every APIRoute but the pages of documentation; a kind of route that is not known here is refused."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            if not route.path.startswith("/docs"):
                yield route
        elif hasattr(route, "original_router"):
            yield from api_routes(route.original_router)
        else:
            known = isinstance(route, Mount | Route) and route.path in {"/openapi.json", "/static-offline-docs"}
            assert known, f"a route that no test knows: {route}"
