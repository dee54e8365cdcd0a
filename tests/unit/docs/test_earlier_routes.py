"""The tables of docs/howto/earlier-routes.md are those of the code."""

import re
from pathlib import Path

import pytest
from tests.api_routes import api_routes

from job_tracker.api import earlier_lists, earlier_routes, earlier_schedule
from job_tracker.api.earlier_routes import EARLIER_ROUTES, EarlierFields, EarlierRoute, NoEffect

PLACE = {"tenant", "account"}
PAGE = (Path(__file__).parents[3] / "docs" / "howto" / "earlier-routes.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| `((?:GET|POST|PATCH|DELETE) /api/\S+)` \| (.+?) \|$", PAGE, re.MULTILINE))


def described(fields: type[EarlierFields], mark: str = "") -> list[str]:
    """The fields as the page writes them, without those that every body has."""
    names = {one.alias: any(isinstance(why, NoEffect) for why in one.metadata) for one in fields.model_fields.values()}
    return [f"*`{mark}{name}`*" if idle else f"`{mark}{name}`" for name, idle in names.items() if name not in PLACE]


@pytest.mark.parametrize("route", EARLIER_ROUTES, ids=lambda route: route.path)
def test_a_job_is_on_the_page_with_its_fields(route: EarlierRoute) -> None:
    fields = [*described(route.body), *described(route.options, "?")]
    assert ROWS[f"POST {route.path}"].rstrip(" |") == f"{route.job_type} | {', '.join(fields)}".rstrip(" |")


def test_the_page_has_every_route_of_the_earlier_system() -> None:
    modules = (earlier_routes, earlier_lists, earlier_schedule)
    routes = [route for module in modules for route in api_routes(module.router)]
    served = {f"{method} {route.path}" for route in routes for method in route.methods or ()}
    assert ROWS.keys() == served
    assert len(EARLIER_ROUTES) == 18
