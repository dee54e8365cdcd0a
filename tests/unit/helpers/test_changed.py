"""`make check` runs the tests of what differs from main, and of what depends on it."""

import subprocess
from pathlib import Path

import pytest
from tests.changed import ROOT, changed_files, select_tests


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with the library `log`, the service `shop-reader` that needs it, and their tests."""
    for folder in ("libs/log", "services/shop-reader", "bench"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "libs/log/pyproject.toml").write_text('[project]\nname = "log"\n')
    (tmp_path / "services/shop-reader/pyproject.toml").write_text('[project]\nname = "r"\ndependencies = ["log"]\n')
    for file, text in {
        "unit/log/test_a.py": "",
        "integration/log/conftest.py": "from tests.door import open",
        "unit/shop-reader/test_b.py": "from tests.door import open",
        "integration/shop-reader/test_c.py": "",
        "door.py": "",
    }.items():
        (tmp_path / "tests" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / file).write_text(text)
    _git(tmp_path, "init", "-q", "-b", "main")
    _git(tmp_path, "add", "-A")
    _git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def _git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *arguments], cwd=root, check=True)


def test_a_library_selects_its_tests_and_the_unit_tests_of_what_needs_it(tree: Path) -> None:
    assert select_tests(["libs/log/src/log/a.py"], tree) == [
        "tests/integration/log",
        "tests/unit/log",
        "tests/unit/shop-reader",
    ]


def test_a_service_selects_its_own_tests_only(tree: Path) -> None:
    found = select_tests(["services/shop-reader/a.sql"], tree)
    assert found == ["tests/integration/shop-reader", "tests/unit/shop-reader"]


def test_a_test_selects_itself_and_a_helper_the_tests_that_name_it(tree: Path) -> None:
    assert select_tests(["tests/unit/log/test_a.py"], tree) == ["tests/unit/log/test_a.py"]
    assert select_tests(["tests/door.py"], tree) == ["tests/integration/log", "tests/unit/shop-reader/test_b.py"]


def test_what_is_deleted_or_has_no_tests_selects_nothing(tree: Path) -> None:
    assert select_tests(["tests/unit/log/test_deleted.py", "LICENSE"], tree) == []


def test_committed_staged_and_new_files_differ_from_main(tree: Path) -> None:
    assert changed_files(tree) == set()
    _git(tree, "checkout", "-q", "-b", "work")
    (tree / "libs/log/committed.py").write_text("")
    _git(tree, "add", "-A")
    _git(tree, "commit", "-q", "-m", "second")
    (tree / "tests/door.py").write_text("# staged")
    _git(tree, "add", "-A")
    (tree / "neu é.md").write_text("")
    assert changed_files(tree) == {"libs/log/committed.py", "tests/door.py", "neu é.md"}


@pytest.mark.parametrize(
    "folder", ["libs/job-events", "libs/worker", "services/job-tracker", "sandbox", "cli", "bench"]
)
def test_a_package_of_this_repository_selects_its_unit_tests(folder: str) -> None:
    assert f"tests/unit/{Path(folder).name}" in select_tests([f"{folder}/x.py"], ROOT)
