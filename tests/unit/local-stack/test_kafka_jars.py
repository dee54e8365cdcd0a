"""The jars' class path and their checksums."""

import hashlib
import os
from pathlib import Path

import pytest

from local_stack import BadJar
from local_stack.java_jars import JarSet, check, classpath, expected_checksums, jars_under, read_checksums


def _jar(folder: Path, name: str, content: bytes = b"x") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    jar = folder / name
    jar.write_bytes(content)
    return jar


def _wanted(expected: dict[str, str]) -> JarSet:
    return JarSet("some", "Some Jars", (), expected)


def test_jars_of_both_folders_are_on_the_class_path(tmp_path: Path) -> None:
    plain, module = _jar(tmp_path / "jars", "b.jar"), _jar(tmp_path / "modules", "a.jar")
    assert classpath(jars_under([tmp_path])) == os.pathsep.join([str(module), str(plain)])


def test_the_first_environment_wins(tmp_path: Path) -> None:
    first = _jar(tmp_path / "one" / "jars", "a.jar")
    _jar(tmp_path / "two" / "modules", "a.jar")
    assert jars_under([tmp_path / "one", tmp_path / "two"]) == [first]


def test_a_changed_jar_is_refused_with_both_digests_and_the_remedy(tmp_path: Path) -> None:
    jar = _jar(tmp_path / "jars", "a.jar", b"evil")
    digest = hashlib.sha256(b"evil").hexdigest()
    with pytest.raises(BadJar, match=f"a.jar has the sha256 {digest} but {'0' * 64} was expected: remove the cache"):
        check([jar], _wanted({"a.jar": "0" * 64}))


def test_missing_and_unknown_jars_are_refused(tmp_path: Path) -> None:
    jar = _jar(tmp_path / "jars", "a.jar")
    good = hashlib.sha256(b"x").hexdigest()
    check([jar], _wanted({"a.jar": good}))
    with pytest.raises(BadJar, match=r"lacks b\.jar"):
        check([jar], _wanted({"a.jar": good, "b.jar": good}))
    with pytest.raises(BadJar, match=r"has a\.jar, which the list"):
        check([jar], _wanted({}))


def test_the_list_names_one_version_of_each_jar_and_a_logger() -> None:
    names = sorted(expected_checksums())
    stems = [name.rsplit("-", 1)[0] for name in names]
    assert len(stems) == len(set(stems))
    assert any(name.startswith("log4j-slf4j-impl-") for name in names)
    assert all(len(digest) == 64 for digest in expected_checksums().values())


def test_a_checksum_file_is_read() -> None:
    assert read_checksums("# why\nabc  one.jar\n\ndef  two.jar\n") == {"one.jar": "abc", "two.jar": "def"}
