"""`python -m tests.changed`: print the tests of what differs from main, for `make check`.

A changed package selects its own test folders and the unit tests of the packages that depend on it.
"""

import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path, PurePath

ROOT = Path(__file__).parents[1]
KINDS = ("unit", "contract", "integration")
# Files outside packages, by the start of their path, and the tests that read them.
_OTHERS = {
    "schemas/": "tests/contract/job-events",
    "docker-compose.yml": "tests/contract/deployment",
    "Dockerfile": "tests/contract/deployment",
    "docs/": "tests/unit/docs",
    "README.md": "tests/unit/docs",
    "tests/conftest.py": "tests/integration/local-stack",
}


def changed_files(root: Path) -> set[str]:
    """The files that differ from the merge base with main, committed or not; without main: from the last commit."""
    base = _git(root, "merge-base", "HEAD", "main") or _git(root, "merge-base", "HEAD", "origin/main") or ["HEAD"]
    differing = _git(root, "diff", "--name-only", "--no-renames", base[0])
    return {*differing, *_git(root, "ls-files", "--others", "--exclude-standard")}


def select_tests(files: Iterable[str], root: Path) -> list[str]:
    """The existing test folders and test files that the changes select."""
    packages, found = _packages(root), set[str]()
    for file in sorted(files):
        path = PurePath(file)
        found |= {tests for start, tests in _OTHERS.items() if file.startswith(start)}
        for package, folder in packages.items():
            if PurePath(folder) in path.parents:
                found |= {f"tests/{kind}/{package}" for kind in KINDS}
                found |= {f"tests/unit/{other}" for other in _dependents(package, packages, root)}
        if path.parts[0] == "tests" and path.suffix == ".py":
            found |= _tests_of_module(path, root)
    return sorted(name for name in found if (root / name).exists())


def _tests_of_module(path: PurePath, root: Path) -> set[str]:
    """A test selects itself, a conftest its folder, any other module the tests and conftests that name it."""
    if path.name.startswith("test_"):
        return {str(path)}
    if path.name == "conftest.py":
        return {str(path.parent)} - {"tests"}
    module = ".".join(path.with_suffix("").parts)
    users = [file for name in ("test_*.py", "conftest.py") for file in root.glob(f"tests/**/{name}")]
    named = [file.relative_to(root) for file in users if module in file.read_text()]
    return {test for user in named for test in _tests_of_module(user, root)}


def _packages(root: Path) -> dict[str, str]:
    """Folder of each package, by its name."""
    folders = [file.parent for file in root.glob("*/**/pyproject.toml") if not file.is_relative_to(root / ".venv")]
    return {folder.name: str(folder.relative_to(root)) for folder in [*folders, root / "bench"]}


def _dependents(package: str, packages: dict[str, str], root: Path) -> set[str]:
    """The packages that need this one, directly or through others."""
    files = {name: root / folder / "pyproject.toml" for name, folder in packages.items()}
    needs = {n: tomllib.loads(f.read_text())["project"].get("dependencies", []) for n, f in files.items() if f.exists()}
    direct = {name for name, needed in needs.items() if package in needed}
    return direct.union(*(_dependents(name, packages, root) for name in direct))


def _git(root: Path, *arguments: str) -> list[str]:
    command = ["git", "-c", "core.quotepath=off", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout.splitlines()


if __name__ == "__main__":
    sys.stdout.write("\n".join(select_tests(changed_files(ROOT), ROOT)) + "\n")
