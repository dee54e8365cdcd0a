"""Imports point one way, in the whole repository and inside the tracker; no two classes of a package share a name."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted((*ROOT.glob("libs/*/src/*"), *ROOT.glob("services/*/src/*"), ROOT / "cli/src/jobtrail"))
SERVICES = {path.name for path in ROOT.glob("services/*/src/*")}

# What a package may import of the others. The CLI stands above all of them, the sandbox beside them.
ALLOWED = {
    "job_events": set[str](),
    "service_kit": {"job_events"},
    "worker": {"service_kit", "job_events"},
    "platforms": {"service_kit", "job_events"},
    "local_stack": {"service_kit", "job_events"},
    **{service: {"worker", "service_kit", "job_events", "platforms"} for service in SERVICES},
    "jobtrail": {"worker", "service_kit", "job_events", "platforms", "local_stack", *SERVICES},
}
# The layers of the tracker, lowest first: each imports itself and what stands before it.
LAYERS = (
    *(
        "errors",
        "settings",
        "domain",
        "log",
        "store",
        "retention",
        "projector",
        "archive",
        "rebuild",
        "scheduler",
        "api",
    ),
    *("arguments", "bootstrap", "bootstrap_api", "bootstrap_archive", "bootstrap_rebuild", "bootstrap_scheduler"),
    *("commands", "__main__"),
)
# Layers on one level, which do not import each other.
BESIDE = ({"archive", "rebuild", "projector"}, {"api"})


def modules(package: Path) -> Iterator[Path]:
    return (path for path in sorted(package.rglob("*.py")) if "node_modules" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, also inside of functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", SOURCES, ids=lambda path: path.name)
def test_a_package_imports_only_those_below_it(package: Path) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if (top := name.split(".")[0]) in ALLOWED and top not in {package.name, *ALLOWED[package.name]}
    ]
    assert not wrong


def test_a_layer_of_the_tracker_imports_only_those_below_it() -> None:
    package = ROOT / "services/job-tracker/src/job_tracker"
    wrong: list[str] = []
    for path in modules(package):
        layer = path.relative_to(package).parts[0].removesuffix(".py")
        if layer == "__init__":
            continue
        below = LAYERS[: LAYERS.index(layer) + 1]
        for name in imported(path):
            if not name.startswith("job_tracker."):
                continue
            other = name.split(".")[1]
            beside = any(layer in one and other in two for one in BESIDE for two in BESIDE if one is not two)
            if other not in below or beside:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


@pytest.mark.parametrize("package", SOURCES, ids=lambda path: path.name)
def test_no_two_classes_of_a_package_share_a_name(package: Path) -> None:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in modules(package):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(str(path.relative_to(ROOT)))
    assert not {name: paths for name, paths in found.items() if len(paths) > 1}
