"""A service reads other schemas through their views `api_*` and calls their functions; it touches no table of theirs.

That holds for SQL files and for SQL inside of Python, and for the tables that the worker library keeps in the schema of
each service: those belong to the library.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeGuard

import pytest

ROOT = Path(__file__).parents[3]
# The schemas that the SQL of a package may touch as it likes.
OWN = {
    "job_tracker": {"tracker", "tracker_rebuild", "tracker_audit", "tracker_replaced"},
    "puller": {"puller"},
    "matcher": {"matcher"},
    "syncer": {"syncer"},
    "platforms": {"accounts"},
    "worker": set[str](),
    "service_kit": set[str](),
    "jobtrail": set[str](),
}
SCHEMAS = {schema for schemas in OWN.values() for schema in schemas}
PACKAGES = {
    path.name: path for path in (*ROOT.glob("libs/*/src/*"), *ROOT.glob("services/*/src/*"), ROOT / "cli/src/jobtrail")
}
# Pairs that name no relation: indexes, of which only the catalogue is asked whether they exist, and a process.
OTHER_PAIRS = {("puller", "variant_search"), ("puller", "customer_search"), ("matcher", "agent")}

_SCHEMA = re.compile(rf"(?<![\w.%(])({'|'.join(sorted(SCHEMAS))})\.\"?(\w+)\"?(\s*\()?")
_READS = re.compile(r"\b(?:from|join|into|update|table|using|only|references)\s+$", re.IGNORECASE)
_SQL = re.compile(
    r"\b(?:select|insert\s+into|update|delete\s+from|lock\s+table|truncate|create|alter|drop)\b", re.IGNORECASE
)
_TABLE = re.compile(r"\bcreate table (?:if not exists )?(\w+)", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


class Text(NamedTuple):
    """A piece of SQL and where it stands."""

    place: str
    sql: str


def texts(package: Path) -> Iterator[Text]:
    """The SQL of a package: its files, and the strings of its modules that look like SQL."""
    for path in sorted(package.rglob("*.sql")):
        if "node_modules" not in path.parts:
            yield Text(str(path.relative_to(ROOT)), _COMMENT.sub(" ", path.read_text("utf-8")))
    for path in sorted(package.rglob("*.py")):
        if "node_modules" in path.parts:
            continue
        tree = ast.parse(path.read_text("utf-8"))
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if id(node) in documented:
                continue
            place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.search(node.value):
                yield Text(place, _COMMENT.sub(" ", node.value))
            # ("puller", "api_products"), Identifier("puller", "api_products")
            elements = node.elts if isinstance(node, ast.Tuple) else node.args if is_identifier(node) else []
            values = [one.value for one in elements if isinstance(one, ast.Constant)]
            if len(values) == len(elements) == 2 and is_relation(*values):
                yield Text(place, f"select from {values[0]}.{values[1]}")


def is_identifier(node: ast.AST) -> TypeGuard[ast.Call]:
    """Whether it is a call of psycopg's Identifier."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Identifier"


def is_relation(schema: object, name: object) -> bool:
    """Whether two constants that stand together name a relation of a schema, and no process or index."""
    named = isinstance(name, str) and re.fullmatch(r"\w+", name) is not None
    return named and schema in SCHEMAS and schema != name and (schema, name) not in OTHER_PAIRS


def foreign_tables(text: Text, own: set[str]) -> Iterator[str]:
    """What a piece of SQL touches in other schemas besides views `api_*` and functions."""
    for found in _SCHEMA.finditer(text.sql):
        schema, name, called = found.groups()
        reads = _READS.search(text.sql[: found.start()])
        if schema not in own and not name.startswith("api_") and (reads or not called):
            yield f"{text.place}: {schema}.{name}"


@pytest.mark.parametrize("package", OWN)
def test_other_schemas_are_read_through_their_views(package: str) -> None:
    assert not [found for text in texts(PACKAGES[package]) for found in foreign_tables(text, OWN[package])]


@pytest.mark.parametrize("package", ["puller", "matcher", "syncer"])
def test_a_service_leaves_the_tables_of_the_worker_library_alone(package: str) -> None:
    tables = {
        name
        for path in (PACKAGES["worker"] / "migrations").glob("*.sql")
        for name in _TABLE.findall(path.read_text("utf-8"))
    }
    assert {"inbox", "hold"} <= tables
    touched = re.compile(
        rf"\b(?:from|join|into|update|table|using|only)\s+({'|'.join(sorted(tables))})\b", re.IGNORECASE
    )
    assert not [f"{text.place}: {name}" for text in texts(PACKAGES[package]) for name in touched.findall(text.sql)]


@pytest.mark.parametrize(
    ("sql", "refused"),
    [
        ("SELECT 1 FROM puller.variant", True),
        ("INSERT INTO accounts.account (tenant) VALUES (1)", True),
        ("DELETE FROM tracker.job USING matcher.match", True),
        ("SELECT 1 FROM puller.api_products JOIN tracker.job ON true", False),
        ("SELECT accounts.spend_points(1)", False),
        ("SELECT puller.variant.name FROM x", True),
    ],
)
def test_the_check_knows_a_table_from_a_view(sql: str, refused: bool) -> None:
    assert bool(list(foreign_tables(Text("here", sql), OWN["job_tracker"]))) is refused
